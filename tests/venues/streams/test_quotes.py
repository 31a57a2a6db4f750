"""Our own quote stream against both wires."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest

from tests.venues.streams.conftest import TIMES, Wire
from tradecore.ports.quotes import Quote
from tradecore.venues.ccxt import streams_quotes
from tradecore.venues.ccxt.streams_quotes import PER_CONNECTION, quote_of


def _agree(wire: Wire, quote: Quote) -> bool:
    """True where a quote shows a best price that the book had, now or shortly before."""
    market, now_ms = wire.desk.market, wire.clock.now_ms()
    for back_ms in range(0, 12_000, 100):
        book = market.book(quote.symbol, now_ms - back_ms)
        if book and (quote.bid, quote.ask) == (float(book.bids[0].price), float(book.asks[0].price)):
            return True
    return False


def test_quotes_are_those_of_the_book(wire: Wire) -> None:
    async def story() -> None:
        stream = wire.stream()
        await stream.start(["BTC/USDT", "ETH/USDT"], wire.quotes.append)
        await wire.until(lambda: stream.alive and len(wire.quotes) >= 6)
        assert {quote.symbol for quote in wire.quotes} == {"BTC/USDT", "ETH/USDT"}
        for quote in wire.quotes:
            assert quote.source == "stream"
            assert quote.bid < quote.ask
            assert quote.received_ms <= wire.clock.now_ms()
        assert _agree(wire, wire.quotes[-1])

    wire.run(story)


def test_the_full_ticker_brings_last_price_and_volume(binance: Wire) -> None:
    async def story() -> None:
        stream = binance.stream()
        await stream.start(["BTC/USDT"], binance.quotes.append)
        await binance.until(lambda: binance.quotes)
        quote = binance.quotes[0]
        assert quote.last == pytest.approx((quote.bid + quote.ask) / 2, rel=0.01)
        assert quote.volume_24h_quote > 0
        assert quote.bid_quantity > 0
        assert quote.ask_quantity > 0

    binance.run(story)


def test_every_change_comes_without_them(wire: Wire) -> None:
    async def story() -> None:
        stream = wire.stream(every_change=True)
        await stream.start(["BTC/USDT"], wire.quotes.append)
        await wire.until(lambda: wire.quotes)
        assert math.isnan(wire.quotes[0].last)
        assert math.isnan(wire.quotes[0].volume_24h_quote)
        assert wire.quotes[0].bid > 0

    wire.run(story)


def test_f14_a_cut_in_the_middle(wire: Wire) -> None:
    async def story() -> None:
        stream = wire.stream()
        await stream.start(["BTC/USDT", "ETH/USDT"], wire.quotes.append)
        await wire.until(lambda: stream.alive and wire.quotes)
        wire.faults.once("feed_cut")
        await wire.until(lambda: not stream.alive)
        await wire.until(lambda: stream.alive)
        assert stream.reconnects == 1
        wire.quotes.clear()
        await wire.until(lambda: len(wire.quotes) >= 4)

    wire.run(story)


def test_f14_after_a_reconnect_an_old_quote_is_not_told_as_new(wire: Wire) -> None:
    async def story() -> None:
        stream = wire.stream()
        await stream.start(["BTC/USDT"], wire.quotes.append)
        await wire.until(lambda: wire.quotes)
        wire.faults.once("feed_cut")
        await wire.until(lambda: not stream.alive)
        wire.quotes.clear()
        wire.faults.always("feed_dropped")
        await wire.until(lambda: stream.alive)
        await wire.clock.sleep(5)
        assert not wire.quotes, "nothing was pushed on this connection"

    wire.run(story)


@pytest.mark.parametrize(("fault", "why"), [("feed_half_open", "nothing heard"), ("feed_silent", "no news")])
def test_f14_no_data_is_not_alive(wire: Wire, fault: str, why: str) -> None:
    times = TIMES._replace(silence_s=20.0 if fault == "feed_silent" else 100.0)

    async def story() -> None:
        stream = wire.stream(times)
        await stream.start(["BTC/USDT"], wire.quotes.append)
        await wire.until(lambda: stream.alive and wire.quotes)
        wire.faults.once(fault)
        await wire.until(lambda: not stream.alive)
        await wire.until(lambda: stream.alive and stream.reconnects == 1)
        assert any(why in text for text in wire.lost())

    wire.run(story)


def test_f13_doubled_late_and_swapped_quotes_end_at_the_book(binance: Wire) -> None:
    async def story() -> None:
        for fault in ("feed_duplicated", "feed_swapped", "feed_dropped"):
            binance.faults.ask(fault, 0.2)
        binance.faults.ask("feed_late", 0.2, 300)
        stream = binance.stream(every_change=True)
        await stream.start(["BTC/USDT"], binance.quotes.append)
        await binance.until(lambda: len(binance.quotes) >= 8)
        binance.faults.clear()
        count = len(binance.quotes)
        await binance.until(lambda: len(binance.quotes) > count + 1)
        assert _agree(binance, binance.quotes[-1])

    binance.run(story)


def test_symbols_nobody_knows_are_left_out(wire: Wire) -> None:
    async def story() -> None:
        stream = wire.stream()
        await stream.start(["BTC/USDT", "NOTHING/USDT"], wire.quotes.append)
        await wire.until(lambda: stream.alive and wire.quotes)
        assert {quote.symbol for quote in wire.quotes} == {"BTC/USDT"}

    wire.run(story)


def test_only_unknown_symbols_are_never_alive(wire: Wire) -> None:
    async def story() -> None:
        stream = wire.stream()
        await stream.start(["NOTHING/USDT"], wire.quotes.append)
        await wire.until(lambda: len(wire.lost()) >= 2)
        assert not stream.alive
        assert "none of 1 symbols" in wire.lost()[0]

    wire.run(story)


@pytest.fixture
def wide() -> Iterator[Wire]:
    made = Wire("binance", tuple(f"C{number:03d}/USDT" for number in range(300)))
    yield made
    made.close()


def test_three_hundred_symbols_in_one_subscription(wide: Wire) -> None:
    async def story() -> None:
        assert PER_CONNECTION["binance"] == 300
        stream = wide.stream(every_change=True)
        symbols = list(wide.desk.market.symbols)
        await stream.start(symbols, wide.quotes.append)
        await wide.until(lambda: {quote.symbol for quote in wide.quotes} == set(symbols), 600)
        assert len(wide.desk_channels()) == 1

    wide.run(story)


def test_more_symbols_than_one_connection_takes_go_over_several(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams_quotes, "PER_CONNECTION", {wire.name: 1})

    async def story() -> None:
        stream = wire.stream()
        await stream.start(["BTC/USDT", "ETH/USDT"], wire.quotes.append)
        await wire.until(lambda: stream.alive and len({quote.symbol for quote in wire.quotes}) == 2)
        assert len(wire.desk_channels()) == 2
        wire.faults.once("feed_cut")
        await wire.until(lambda: not stream.alive)  # one of two is enough

    wire.run(story)


def test_a_slow_reader_gets_the_newest_and_never_a_queue(wide: Wire) -> None:
    """Whatever the venue pushes, no more is kept than one quote a symbol."""

    async def story() -> None:
        stream = wide.stream(every_change=True)
        told: list[Quote] = []
        symbols = list(wide.desk.market.symbols)[:50]

        def slowly(quote: Quote) -> None:
            told.append(quote)

        await stream.start(symbols, slowly)
        await wide.until(lambda: stream.alive)
        (channel,) = wide.desk_channels()
        names = [symbol.replace("/", "") for symbol in symbols]
        for burst in range(40):
            for raw in names:
                channel.say(f'{{"u":1,"s":"{raw}","b":"{burst + 1}","B":"1","a":"{burst + 2}","A":"1"}}')
        before = len(told)
        await wide.clock.sleep(1)
        assert len(told) - before <= 50 * 5, "one quote a symbol and look, not one a push"
        assert told[-1].bid > 0

    wide.run(story)


def test_a_reader_that_raises_costs_a_connection_and_is_named(wire: Wire) -> None:
    async def story() -> None:
        stream = wire.stream()

        def broken(quote: Quote) -> None:
            raise ZeroDivisionError("a bug of the reader")

        await stream.start(["BTC/USDT"], broken)
        await wire.until(wire.lost)
        assert "ZeroDivisionError" in wire.lost()[0]

    wire.run(story)


def test_close_twice(wire: Wire) -> None:
    async def story() -> None:
        stream = wire.stream()
        await stream.start(["BTC/USDT"], wire.quotes.append)
        await wire.until(lambda: stream.alive)
        await stream.close()
        await stream.close()
        assert not stream.alive
        with pytest.raises(RuntimeError, match="not started"):
            await stream.start(["BTC/USDT"], wire.quotes.append)

    wire.run(story)


def test_what_a_ticker_does_not_say_is_nan() -> None:
    quote = quote_of("A/B", {"bid": "1.5", "ask": None}, 7)
    assert (quote.bid, quote.received_ms) == (1.5, 7)
    assert all(math.isnan(value) for value in (quote.ask, quote.last, quote.volume_24h_quote, quote.bid_quantity))
