"""R46: what the venue's lists of deposits and withdrawals name is booked by its id; what they do not stays inferred."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ledger.conftest import A, cycle, drift, proofs
from tests.ledger.test_conservation import Around, alarms, entries
from tradecore.engine.transfers import _summing_to
from tradecore.errors import RetryableVenueError, VenueRefused
from tradecore.model.events import LedgerEntry
from tradecore.model.records import Command
from tradecore.ports.venue import CoinTransfer
from tradecore.store.queries import open_reader
from tradecore.testing.factories import row_close_ms
from tradecore.testing.harness import STORE_FILE, at
from tradecore.testing.harness import twin_of as bare_twin_of

D = Decimal


def told(name, coin, amount, fee="0", at_ms=1):
    return CoinTransfer(name, coin, D(amount), D(fee), at_ms)


def twin_of(engine):
    venue = engine.desk.venue
    return venue._inner if isinstance(venue, Around) else bare_twin_of(engine)


def resumes(engine, row):
    desk = engine.desk

    async def resume():
        async with desk.transaction() as work:
            work.put(Command(f"c{row}", "resume", "", "mine", "ann"))

    at(engine, row_close_ms(row), lambda: desk.spawn(resume(), "resume"))


def answering(engine, answer):
    """Let the venue answer its lists so; returns how often it was asked."""
    asked = []
    inner = engine.desk.venue

    async def transfers(since_ms):
        asked.append((engine.desk.clock.now_ms(), since_ms))
        found = answer(inner)
        return await found if hasattr(found, "__await__") else found

    engine.desk.venue = Around(inner, transfers=transfers)
    return asked


def fails(error):
    def answer(_):
        raise error

    return answer


# Booked by name --------------------------------------------------------------------------------------------------


def test_r46_a_deposit_that_the_venue_lists_is_booked_with_its_id_at_its_moment(run, scene):
    def begin(engine):
        at(engine, row_close_ms(4) + 10_000, lambda: twin_of(engine).outside.deposit("USDT", D(250)))
        cycle(engine, 4)
        cycle(engine, 6)

    played = run(scene(), begin)
    first, second = proofs(played)
    assert drift(first) == {"USDT": ("deposit", "250", "booked")}
    assert "in the venue's lists: deposit T" in first.drift[0].text
    assert (second.ok, second.drift) == (True, ())
    (entry,) = entries(played, "deposit")
    assert entry.posting_id.startswith("deposit/demo/USDT/T")
    with open_reader(played.folder / STORE_FILE) as reader:
        (leg, _) = [leg for leg in reader.postings() if leg.posting_id == entry.posting_id]
    assert leg.at_ms == row_close_ms(4) + 10_000


def test_r46_two_deposits_of_one_minute_are_two_entries(run, scene):
    def act(engine):
        for amount in ("100", "0.000000000000000001"):
            twin_of(engine).outside.deposit("USDT", D(amount))

    def begin(engine):
        at(engine, row_close_ms(4) + 10_000, lambda: act(engine))
        cycle(engine, 4)

    played = run(scene(), begin)
    assert sorted(e.legs[0].amount for e in entries(played, "deposit")) == [D("1E-18"), D(100)]
    assert played.summary["unexplained_drift"] == "0"


def test_r46_a_deposit_beside_a_withdrawal_hides_nothing(run, scene):
    """70 more than before: a deposit of 100, and 30 that went. Both are seen, and what went stops entries."""

    def begin(engine):
        outside = twin_of(engine).outside
        at(engine, row_close_ms(4) + 10_000, lambda: outside.deposit("USDT", D(100)))
        at(engine, row_close_ms(4) + 11_000, lambda: outside.withdraw("USDT", D(30)))
        cycle(engine, 4)
        resumes(engine, 6)
        cycle(engine, 8)

    played = run(scene(), begin)
    first, second = proofs(played)
    assert [(d.kind, d.amount, d.done) for d in first.drift] == [
        ("deposit", 100, "booked"), ("withdrawal", -30, "named"),
    ]  # fmt: skip
    assert first.unexplained == 30
    assert [(d.kind, d.done) for d in second.drift] == [("withdrawal", "booked")]
    (went,) = entries(played, "withdrawal")
    assert went.posting_id.startswith("withdrawal/demo/USDT/T")
    assert (played.summary["trading_state"], played.summary["unexplained_drift"]) == ("ACTIVE", "0")


def test_r46_a_listed_deposit_does_not_cover_what_went_without_a_name(run, scene):
    """The balance is 20 lower: 100 came by name and 120 went by none. Without the list it would be 20."""

    def begin(engine):
        outside = twin_of(engine).outside
        cycle(engine, 2)
        at(engine, row_close_ms(4) + 10_000, lambda: outside.deposit("USDT", D(100)))
        at(engine, row_close_ms(4) + 11_000, lambda: outside.withdraw("USDT", D(120), listed=False))
        cycle(engine, 4)

    played = run(scene(), begin)
    proof = proofs(played)[-1]
    assert [(d.kind, d.amount, d.done) for d in proof.drift] == [
        ("deposit", 100, "booked"), ("withdrawal", -120, "named"),
    ]  # fmt: skip
    assert played.summary["trading_state"] == "REDUCING"


def test_r46_coins_that_come_and_go_by_name_are_no_riddle(run, scene):
    def begin(engine):
        outside = twin_of(engine).outside
        at(engine, row_close_ms(4) + 10_000, lambda: outside.withdraw("USDT", D(500)))
        at(engine, row_close_ms(4) + 10_000, lambda: outside.deposit("BBB", D(5)))
        cycle(engine, 4)

    played = run(scene(), begin)
    assert drift(proofs(played)[0]) == {"BBB": ("deposit", "5", "booked"), "USDT": ("withdrawal", "-500", "named")}


def test_r46_a_coin_withdrawn_whole_is_a_withdrawal_where_the_list_says_so(run, scene):
    """The answer names no coin that is empty: the list tells a withdrawal from a short answer."""

    def begin(engine):
        at(engine, row_close_ms(4) + 10_000, lambda: twin_of(engine).outside.withdraw("CCC", D(3)))
        cycle(engine, 4)
        resumes(engine, 6)
        cycle(engine, 8)
        cycle(engine, 9)

    played = run(scene(sets=("account.opening={USDT=10000, CCC=3}",)), begin)
    first, second, third = proofs(played)
    assert drift(first) == {"CCC": ("withdrawal", "-3", "named")}
    assert second.drift[0].text.endswith("accepted by ann")
    assert (third.ok, third.drift) == (True, ())
    assert played.records.balances["assets", "CCC"] == 0


def test_r46_a_deposit_that_was_booked_is_never_booked_again(run, scene):
    """The same sum comes once more, and then goes: each is itself, over a restart too."""

    def first(engine):
        at(engine, row_close_ms(4), lambda: twin_of(engine).outside.deposit("USDT", D(50)))
        cycle(engine, 4)

    def second(engine):
        at(engine, row_close_ms(9), lambda: twin_of(engine).outside.deposit("USDT", D(50)))
        cycle(engine, 9)
        at(engine, row_close_ms(11), lambda: twin_of(engine).outside.deposit("USDT", D(50), listed=False))
        cycle(engine, 12)

    run(scene(8, buys={}), first)
    played = run(scene(16, buys={}), second)
    ids = [e.posting_id for e in entries(played, "deposit")]
    assert len(set(ids)) == len(ids) == 3
    assert sum("/USDT/T" in name for name in ids) == 2
    assert "name nothing that fits" in proofs(played)[-1].drift[0].text
    assert played.records.balances["deposit", "USDT"] == -150


def test_r46_a_deposit_found_by_its_balance_is_not_booked_anew_when_the_list_has_it(run, scene):
    """The list lags the balance: the deposit is inferred, and its name comes later."""

    def begin(engine):
        late = []
        twin = twin_of(engine)

        async def lists(inner):
            found = await inner.transfers(0)
            late.append(found)
            return [] if len(late) == 1 else found

        answering(engine, lists)
        at(engine, row_close_ms(4), lambda: twin.outside.deposit("USDT", D(50)))
        cycle(engine, 4)
        at(engine, row_close_ms(6), lambda: twin.outside.deposit("USDT", D(7), listed=False))
        cycle(engine, 6)
        cycle(engine, 8)

    played = run(scene(), begin)
    assert sorted(e.legs[0].amount for e in entries(played, "deposit")) == [7, 50]
    assert proofs(played)[-1].ok
    assert played.summary["unexplained_drift"] == "0"


# Where the venue cannot tell -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda _: None, "the venue does not tell"),
        (lambda _: [], "the venue's lists name nothing that fits"),
        (fails(VenueRefused("no right", "-2015")), "the venue refused its lists (-2015)"),
    ],
)
def test_r46_where_no_list_helps_inference_stays_and_says_so(run, scene, answer, said):
    def begin(engine):
        answering(engine, answer)
        at(engine, row_close_ms(4) + 10_000, lambda: twin_of(engine).outside.deposit("USDT", D(250)))
        cycle(engine, 4)

    played = run(scene(), begin)
    (proof,) = proofs(played)
    assert drift(proof) == {"USDT": ("deposit", "250", "booked")}
    assert proof.drift[0].text == f"came without a trade; {said}"


def test_r46_lists_that_do_not_answer_are_awaited_and_asked_once_a_minute(run, scene):
    seen = []

    def begin(engine):
        asked = answering(engine, fails(RetryableVenueError("502")))
        seen.append(asked)
        at(engine, row_close_ms(4), lambda: twin_of(engine).outside.deposit("USDT", D(250)))
        for row in range(4, 22):
            cycle(engine, row, 10_000)
            cycle(engine, row, 30_000)
            cycle(engine, row, 50_000)

    played = run(scene(24), begin)
    (asked,) = seen
    told_at = [moment for moment, _ in asked]
    assert 8 <= len(told_at) <= 13
    assert min(b - a for a, b in pairwise(told_at)) >= 60_000
    done = [proof.drift[0].done for proof in proofs(played) if proof.drift]
    assert done.index("booked") == len(done) - 1
    assert "booked" not in done[:25], "ten minutes of patience"
    (entry,) = [e for e in played.notes(LedgerEntry) if e.event.kind == "deposit"]
    assert entry.event.legs[0].amount == 250
    assert alarms(played, "unexplained_drift") == []


def test_r46_lists_that_answer_late_still_give_the_name(run, scene):
    def begin(engine):
        tries = []

        async def lists(inner):
            tries.append(1)
            if len(tries) < 3:
                raise RetryableVenueError("502")
            return await inner.transfers(0)

        answering(engine, lists)
        at(engine, row_close_ms(4), lambda: twin_of(engine).outside.deposit("USDT", D(250)))
        for row in range(4, 10):
            cycle(engine, row)

    played = run(scene(), begin)
    (entry,) = entries(played, "deposit")
    assert "/USDT/T" in entry.posting_id


def test_r46_a_quiet_account_never_asks_for_lists(run, scene):
    seen = []

    def begin(engine):
        seen.append(answering(engine, lambda inner: inner.transfers(0)))
        for row in range(2, 10):
            cycle(engine, row)

    run(scene(), begin)
    assert seen == [[]]


def test_r46_a_coin_that_was_not_adopted_stays_so(run, scene):
    def begin(engine):
        at(engine, row_close_ms(4), lambda: twin_of(engine).outside.deposit("BBB", D(3)))
        cycle(engine, 4)

    played = run(scene(sets=("account.adopt_balances=false",)), begin)
    assert drift(proofs(played)[0]) == {"BBB": ("deposit", "3", "not adopted")}
    assert played.records.memory["ignored/BBB"].text == "3"


# Sums ------------------------------------------------------------------------------------------------------------


def test_r46_a_withdrawal_shows_with_its_fee_or_without():
    one = told("w", "USDT", "-10", "1")
    assert [m.amount for m in _summing_to(D(-11), [one])] == [-11]
    assert [m.amount for m in _summing_to(D(-10), [one])] == [-10]
    assert _summing_to(D(-9), [one]) == ()


@given(
    parts=st.lists(st.decimals("-50", "50", places=6).filter(bool), min_size=1, max_size=6),
    picks=st.lists(st.booleans(), min_size=6, max_size=6),
)
def test_r46_a_sum_is_found_exactly_where_there_is_one(parts, picks):
    rows = [told(str(n), "X", part) for n, part in enumerate(parts)]
    picked = [part for part, pick in zip(parts, picks, strict=False) if pick]
    total = sum(picked, D(0))
    found = _summing_to(total, rows)
    assert sum((m.amount for m in found), D(0)) == (total if found else 0)
    if picked and total:
        assert found
        assert len(found) <= len(picked)
    off = sum(parts, D(0)).copy_abs() + 1000
    assert _summing_to(off, rows) == ()


def test_r46_the_newest_of_equal_sums_is_taken():
    rows = [told("old", "X", "5", at_ms=1), told("new", "X", "5", at_ms=2)]
    assert [m.transfer.transfer_id for m in _summing_to(D(5), rows)] == ["new"]


def test_r46_nothing_of_a_list_reaches_trading(run, scene):
    """A list that names coins which never came books nothing: only a difference asks for a name."""

    def begin(engine):
        answering(engine, lambda _: [told("ghost", "USDT", "1000", at_ms=row_close_ms(3))])
        at(engine, row_close_ms(4), lambda: twin_of(engine).outside.deposit("BBB", D(3), listed=False))
        cycle(engine, 4)
        cycle(engine, 6)

    played = run(scene(buys={1: (A,)}), begin)
    assert [(e.legs[0].currency, e.legs[0].amount) for e in entries(played, "deposit")] == [("BBB", 3)]
