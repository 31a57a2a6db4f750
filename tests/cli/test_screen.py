"""The live screen fits every terminal; figures are written whole; a dead terminal hurts nobody."""

import threading
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from tradecore.cli.live import Held, Picture, Price, Why
from tradecore.cli.panes import draw
from tradecore.cli.watch import Painter, Progress
from tradecore.cli.write import age, figure, length, money, price, short, signed
from tradecore.model.portfolio import TradingState
from tradecore.model.position import Position

TICK = Decimal("0.0000000001")


def picture(symbols):
    progress = Progress(
        at_ms=3_600_000, begun_ms=0, end_ms=7_200_000, wall_s=30.0, rows=720, signals=9, orders_sent=12,
        orders_filled=8, orders_partly_filled=1, positions=symbols, positions_closed=3, intents=0,
        equity=Decimal("10012.345"), equity_start=Decimal(10_000), realised_pnl=Decimal("-3.2"), currency="USDT",
        trading=TradingState.REDUCING, dropped=0,
    )  # fmt: skip
    names = [f"COIN{n}/USDT" for n in range(symbols)]
    held = [
        Held(
            Position(
                name, name, "signals_drop", "", Decimal("1234567.8"), Decimal("0.0000011448"), 0, 1,
                Decimal(1), Decimal(1),
            ),
            Decimal("0.0000011450"), Decimal("1.5"), Decimal("0.01"), TICK,
        )
        for name in names
    ]  # fmt: skip
    return Picture(
        title="tradecore demo", progress=progress, row_ms=3_595_000, symbols=symbols, free=Decimal(9_000),
        reserved=Decimal(0), exposure=Decimal(1_000), trading_by="ann: lunch", quarantined=["exits.follow"],
        prices=[Price(n, 1.1448e-6, 0.01, 0.99, 0.988, "ratio", "signals_drop", TICK, True) for n in names],
        held=held, working=[], reasons=[Why(n, "RISK_REFUSED " + "long " * 50, 0) for n in names],
    )  # fmt: skip


@given(width=st.integers(40, 260), height=st.integers(12, 80), symbols=st.integers(0, 30))
def test_a_picture_never_leaves_its_terminal(width, height, symbols):
    console = Console(width=width, height=height, color_system=None)
    lines = console.render_lines(draw(picture(symbols), width, height), pad=False)
    texts = ["".join(part.text for part in line) for line in lines]
    assert len(texts) <= height
    assert max(len(text) for text in texts) <= width
    assert any("positions" in text for text in texts)


@pytest.mark.parametrize("width", [80, 120, 200])
def test_a_picture_shows_what_is_held_and_why_not(width):
    console = Console(width=width, height=24, color_system=None, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    with console.file:
        console.print(draw(picture(3), width, 24))
    text = console.export_text()
    for word in ("REDUCING", "10,012.34", "COIN0/USDT", "1.1448e-6", "RISK_REFUSED", "50% of 2h", "-1.00 %", "-1.20 %"):
        assert word in text, word


def test_a_painter_passes_over_what_came_too_fast_and_ends():
    seen, gate = [], threading.Event()

    def paint(number):
        seen.append(number)
        gate.wait(5)

    painter = Painter(paint)
    painter.start()
    painter.offer(1)
    while not seen:
        pass
    for number in range(2, 100):
        painter.offer(number)
    gate.set()
    painter.close()
    assert not painter.is_alive()
    assert seen == [1, 99]


def test_a_painter_whose_terminal_is_gone_ends_quietly():
    def paint(_):
        raise BrokenPipeError

    painter = Painter(paint)
    painter.start()
    painter.offer(1)
    painter.join(5)
    assert not painter.is_alive()
    painter.offer(2)
    painter.close()


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (length(0), "0s"), (length(2_300), "2.3s"), (length(59_999), "59s"), (length(3_900_000), "1h05m"),
        (length(-5_000), "-5s"), (length(90_000_000), "1d01h"), (age(1_750_000), "29m"), (age(9_400), "9s"),
        (money(Decimal("-1234.567")), "-1,234.57"), (money(Decimal("-0.001")), "0.00"), (signed(Decimal(3)), "+3.00"),
        (short(Decimal("123456789")), "123456789"), (short(Decimal("0.000123456789")), "0.000123457"),
        (price(Decimal("101.456"), Decimal("0.01")), "101.46"), (price(Decimal("101.5"), Decimal(10)), "102"),
        (price(Decimal("0.0000011448"), TICK, 10), "1.1448e-6"), (figure(0.988, "ratio"), "-1.20 %"),
        (figure(3.5, "bps"), "3.5 bps"),
    ],
)  # fmt: skip
def test_figures_are_written_for_people(written, text):
    assert written == text
