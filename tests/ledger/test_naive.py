"""R45, R46 attacked: random accounts against an independent, naive computation in fractions, to the last digit.

Several coins and two quotes, fees in base, quote, a third coin or none, rebates, dust, deposits and withdrawals in the
middle, others who trade the same coins, coins that were never there, quantities down to 1e-18, moments that tie.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.ledger.test_lots import INTENT
from tradecore.cli.ledger_beancount import beancount_text
from tradecore.cli.ledger_csv import csv_text
from tradecore.engine.ledger import external_postings, imbalance, trade_postings, transfer
from tradecore.engine.lots import gains, history, lots_of
from tradecore.engine.portfolio import close_position, open_position, with_fill
from tradecore.engine.proofs import LedgerRows, book_of, prove_all
from tradecore.model.fill import Fill, VenueTrade
from tradecore.model.lot import Why
from tradecore.model.position import Position
from tradecore.model.reasons import Reason
from tradecore.model.records import Posting, PostingKind
from tradecore.model.units import ZERO, PositionId, Side, exact_sum, plus, ratio, times

D = Decimal
BUY, SELL = Side.BUY, Side.SELL
SYMBOLS = ("AAA/USDT", "BNB/USDT", "BTC/USDT", "AAA/BTC", "AAA/USDC", "BNB/BTC", "USDC/USDT")
MONEY = "USDT"


class Account(NamedTuple):
    """What the engine would have written, and in which order it happened."""

    fills: list[Fill]
    postings: list[Posting]
    positions: list[Position]

    @property
    def rows(self) -> LedgerRows:
        legs = [leg for one in self.fills for leg in trade_postings(one)] + self.postings
        balances: dict[tuple[str, str], Decimal] = {}
        for leg in legs:
            key = leg.account, leg.currency
            balances[key] = plus(balances.get(key, ZERO), leg.amount)
        return LedgerRows(MONEY, self.fills, legs, self.positions, (), (), balances, None)


quantities = st.one_of(
    st.decimals("0.001", "20", places=3), st.decimals("0.000000000000000001", "0.001", places=18),
    st.decimals("0.1", "2", places=18),
)  # fmt: skip
prices = st.one_of(st.decimals("0.01", "500", places=2), st.decimals("0.000000000001", "0.01", places=12))
rates = st.sampled_from(["0", "0.001", "0.00075", "-0.0002", "0.0333333"])


@st.composite
def accounts(draw: st.DrawFn, finest: str = "") -> Account:
    """Draw a history; at its end positions are open, closed with dust, or sold whole.

    Args:
        finest: Step of what a trade moves and of its fee, with prices in cents; empty: as fine as they come.
    """
    fills: list[Fill] = []
    legs: list[Posting] = [*transfer("opening/a/USDT", "USDT", D(10**6), PostingKind.OPENING, 5)]
    if draw(st.booleans()):
        legs += transfer("opening/a/BNB", "BNB", D("0.5"), PostingKind.OPENING, 5)
    positions: dict[str, Position] = {}
    live: dict[str, str] = {}
    at_ms = 10
    for n in range(1, draw(st.integers(1, 14)) + 1):
        at_ms += draw(st.integers(0, 3))
        act = draw(st.sampled_from(["buy", "buy", "sell", "sell", "close", "foreign", "moved"]))
        symbol = draw(st.sampled_from(SYMBOLS))
        if act == "moved":
            coin, amount = draw(st.sampled_from(["AAA", "BNB", "BTC", "USDC", "USDT"])), draw(quantities)
            kind = draw(st.sampled_from([PostingKind.DEPOSIT, PostingKind.WITHDRAWAL, PostingKind.UNKNOWN_DRIFT]))
            if kind is PostingKind.WITHDRAWAL or (kind is PostingKind.UNKNOWN_DRIFT and draw(st.booleans())):
                amount = amount.copy_negate()
            legs += transfer(f"{kind}/a/{coin}/{n}", coin, amount, kind, at_ms)
            continue
        name = live.get(symbol)
        if act == "close":
            if name is not None:
                positions[name] = close_position(positions[name], at_ms, Reason.LEAVE)
                del live[symbol]
            continue
        side = draw(st.sampled_from([BUY, SELL])) if act == "foreign" else BUY if act == "buy" else SELL
        held = positions[name].quantity if name is not None else ZERO
        if act == "sell" and held <= 0:
            continue
        quantity = draw(quantities)
        if act == "sell":
            quantity = held if draw(st.booleans()) else min(quantity, held)
        price = draw(st.decimals("0.01", "500", places=2) if finest else prices)
        moved = times(quantity, price)
        if draw(st.booleans()):
            moved = moved.quantize(D("1E-8"))  # as venues write it in their lists
        base, _, quote = symbol.partition("/")
        coin, rate = draw(st.sampled_from([base, quote, "BNB"])), D(draw(rates))
        fee = times(quantity if coin == base else moved if coin == quote else times(moved, D("0.003")), rate)
        if finest:
            moved, fee = moved.quantize(D(finest)), fee.quantize(D(finest))
        one = VenueTrade(f"t{n}", "o", "", symbol, side, price, quantity, moved, fee, coin if fee else "", False, at_ms)
        if act == "foreign":
            legs += external_postings("a", one)
            continue
        if name is None:
            name = live[symbol] = f"P{n}"
            intent = INTENT._replace(symbol=symbol, position_id=PositionId(name))
            positions[name] = open_position(intent, one, lambda *_: None)
        else:
            positions[name] = with_fill(positions[name], one, lambda *_: None, first_of_intent=act == "buy")
        fills.append(Fill("a", one, "c", "i", PositionId(name), at_ms + draw(st.integers(0, 5))))
    return Account(fills, legs, list(positions.values()))


# The naive computation -------------------------------------------------------------------------------------------


class Piece:
    """Coins that came together."""

    def __init__(
        self, coin: str, owner: str, quantity: Fraction, cost: Fraction | None, unit: Fraction | None, of: str
    ):
        self.coin, self.owner, self.quantity, self.cost, self.unit, self.of = coin, owner, quantity, cost, unit, of


class Naive:
    """Everything in one list, searched from the front each time."""

    def __init__(self, account: Account) -> None:
        self.pieces: list[Piece] = []
        self.short: dict[str, Fraction] = {}
        self.gain: dict[str, Fraction] = {}
        self.closed = {p.position_id: p.closed_ms for p in account.positions if p.closed_ms is not None}
        steps: list[tuple[tuple[int, bool, str, int], object]] = []
        for one in account.fills:
            t = one.trade
            order = (t.traded_ms, t.side is SELL, f"trade/a/{t.symbol}/t", int(t.venue_trade_id[1:]))
            steps.append((order, (t, one.position_id)))
        groups: dict[str, list[Posting]] = {}
        for leg in account.postings:
            groups.setdefault(leg.posting_id, []).append(leg)
        for name, legs in groups.items():
            first = legs[0]
            word = name.rstrip("0123456789")
            at_ms = -1 if first.kind is PostingKind.OPENING else first.at_ms
            steps.append(((at_ms, first.amount < 0, word, int(name[len(word) :] or 0)), legs))
        steps.sort(key=lambda pair: pair[0])
        for _, step in steps:
            self._step(step)

    def _step(self, step: object) -> None:
        if isinstance(step, list):
            assets = [leg for leg in step if leg.account == "assets"]
            if step[0].kind is PostingKind.EXTERNAL:
                self._external(assets)
                return
            (leg,) = assets
            if leg.amount > 0:
                self._put(leg.currency, "", Fraction(leg.amount), None, None, "")
            else:
                self._take(leg.currency, -Fraction(leg.amount), "", leg.at_ms)
            return
        trade, position = step  # type: ignore[misc]
        base, _, quote = trade.symbol.partition("/")
        q, p, moved, fee = (Fraction(x) for x in (trade.quantity, trade.price, trade.quote_quantity, trade.fee))
        self._trade(base, quote, trade.side, q, p, moved, fee, trade.fee_currency, position, trade.traded_ms, ours=True)

    def _external(self, assets: list[Posting]) -> None:
        base, quote, *fee = assets
        price = Fraction(ratio(quote.amount.copy_abs(), base.amount.copy_abs()))
        self._trade(
            base.currency, quote.currency, BUY if base.amount > 0 else SELL, Fraction(base.amount.copy_abs()), price,
            Fraction(quote.amount.copy_abs()), -Fraction(fee[0].amount) if fee else Fraction(0),
            fee[0].currency if fee else "", "", base.at_ms, ours=False,
        )  # fmt: skip

    def _trade(self, base, quote, side, q, p, moved, fee, fee_coin, position, at_ms, *, ours) -> None:
        taken = []
        if side is BUY:
            self._take(quote, moved, "", at_ms)
            got = [base, position, q, moved, p, quote]
        else:
            taken = self._take(base, q, position, at_ms)
            got = [quote, "", moved, None, None, ""]
        if ours and side is SELL and base != MONEY:
            # each part brings its share at the trade's price; the last one what is left
            left = moved
            for n, (part, cost, of) in enumerate(taken):
                brought = left if n == len(taken) - 1 else part * p
                left -= brought
                if cost is not None and of == quote:
                    self.gain[position] = self.gain.get(position, Fraction(0)) + brought - cost
        owner = position if fee_coin == base else ""
        if fee_coin != MONEY and fee > 0:
            rest = fee
            if fee_coin == got[0]:
                own = min(fee, got[2])
                cost = None if got[3] is None else got[3] if own == got[2] else got[4] * own
                self._fee(position, base, fee_coin, quote, got[5], cost)
                got[2] -= own
                got[3] = None if got[3] is None else got[3] - cost
                rest = fee - own
            for _, cost, of in self._take(fee_coin, rest, owner, at_ms):
                self._fee(position, base, fee_coin, quote, of, cost)
        elif fee_coin != MONEY and fee < 0:
            self._put(fee_coin, owner, -fee, Fraction(0), Fraction(0), quote)
        self._put(*got)

    def _fee(self, position, base, coin, quote, of, cost) -> None:
        if position and coin == base and cost is not None and of in (quote, ""):
            self.gain[position] = self.gain.get(position, Fraction(0)) - cost

    def _put(self, coin, owner, quantity, cost, unit, of) -> None:
        if coin != MONEY and quantity:
            self.pieces.append(Piece(coin, owner, quantity, cost, unit, of))

    def _take(self, coin, quantity, owner, at_ms):
        if coin == MONEY or not quantity:
            return []

        def rank(piece: Piece) -> int:
            if owner and piece.owner == owner:
                return 0
            ended = self.closed.get(piece.owner)
            return 1 if not piece.owner or (ended is not None and ended <= at_ms) else 2

        parts = []
        for piece in sorted((p for p in self.pieces if p.coin == coin), key=rank):  # stable: by age within a rank
            if not quantity:
                break
            part = min(quantity, piece.quantity)
            cost = None
            if piece.cost is not None:
                cost = piece.cost if part == piece.quantity else piece.unit * part
                piece.cost -= cost
            piece.quantity -= part
            quantity -= part
            parts.append((part, cost, piece.of))
        self.pieces = [p for p in self.pieces if p.quantity]
        if quantity:
            self.short[coin] = self.short.get(coin, Fraction(0)) + quantity
            parts.append((quantity, None, ""))
        return parts


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(accounts(), st.randoms(use_true_random=False))
def test_r45_the_lots_are_what_a_naive_computation_finds_in_any_delivery(account, random):
    fills, legs = list(account.fills), list(account.postings)
    random.shuffle(fills)
    random.shuffle(legs)
    book = lots_of(history(fills, legs), account.positions, MONEY)
    naive = Naive(account)
    found = [(lot.coin, lot.owner, Fraction(lot.quantity), None if lot.cost is None else Fraction(lot.cost))
             for lot in book.lots()]  # fmt: skip
    wanted = [(p.coin, p.owner, p.quantity, p.cost) for p in sorted(naive.pieces, key=lambda piece: piece.coin)]
    assert found == wanted
    assert {coin: Fraction(n) for coin, n in book.short.items()} == naive.short
    made = gains(book, account.fills)
    for position in account.positions:
        gain = made[position.position_id]
        assert Fraction(gain.proceeds) - Fraction(gain.cost) == naive.gain.get(position.position_id, Fraction(0))


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(accounts())
def test_r45_r46_every_proof_holds_on_every_account(account):
    """Double entry, balances, each fill once, lots, positions: `ledger check` on anything that can happen."""
    rows = account.rows
    assert imbalance(rows.postings) == {}
    assert [(proof.name, proof.findings) for proof in prove_all(rows) if not proof.ok] == []


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(accounts())
def test_r45_no_coin_is_made_or_lost_on_the_way_through_the_lots(account):
    """What came is what left and what is there; what was paid is in the costs of both."""
    book = book_of(account.rows)
    for coin in book.coins():
        came = exact_sum(lot.quantity for lot in book.added if lot.coin == coin)
        own = exact_sum(p.quantity for p in book.taken if p.coin == coin and p.why is Why.FEE and p.by == p.lot_id)
        left = exact_sum(p.quantity for p in book.taken if p.coin == coin and p.lot_id)
        assert plus(came, own) == plus(left, exact_sum(lot.quantity for lot in book.lots(coin)))


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=60)
@given(accounts("1E-18"))  # it adds with 28 digits
def test_r45_beancount_takes_every_account(account):
    loader = pytest.importorskip("beancount.loader", reason="beancount is not installed (extra `ledger`)")
    text = beancount_text(account.rows, "a")
    _, errors, _ = loader.load_string(text)
    assert [str(error.message) for error in errors] == [], text


@given(accounts())
def test_r45_the_csv_sums_to_the_balances(account):
    rows = account.rows
    sums: dict[tuple[str, str], Decimal] = {}
    for line in csv_text(rows.postings).splitlines()[1:]:
        *_, owner, coin, amount = line.split(",")
        sums[owner, coin] = plus(sums.get((owner, coin), ZERO), D(amount))
    assert {key: value for key, value in sums.items() if value} == {k: v for k, v in rows.balances.items() if v}
