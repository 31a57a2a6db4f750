"""Our own account stream against both wires: hints come, faults cost nothing but time."""

from __future__ import annotations

import asyncio

import pytest

from tests.venues.streams.conftest import KEY, SECRET, TIMES, Wire
from tradecore.model.units import TimeInForce
from tradecore.venues.ccxt.keys import ApiKeys


def test_a_hint_names_the_order(wire: Wire) -> None:
    async def story() -> None:
        await wire.listening()
        order = wire.place()
        await wire.until(lambda: wire.hinted(order))
        hint = wire.hints[0]
        assert (hint.symbol, hint.wire_id, hint.venue_order_id) == ("BTC/USDT", order.wire_id, order.venue_order_id)
        assert wire.connected == 1

    wire.run(story)


def test_a_cancel_hints_at_our_own_id(wire: Wire) -> None:
    async def story() -> None:
        await wire.listening()
        order = wire.place(TimeInForce.GTC, under="20")
        await wire.until(lambda: wire.hinted(order))
        wire.hints.clear()
        wire.cancel(order)
        await wire.until(lambda: wire.hinted(order))

    wire.run(story)


def test_f14_a_cut_is_noticed_and_what_happened_meanwhile_is_swept_not_replayed(wire: Wire) -> None:
    async def story() -> None:
        account = await wire.listening()
        wire.faults.once("stream_cut")
        wire.place()
        await wire.until(lambda: not account.alive)
        missed = wire.place()
        await wire.until(lambda: wire.connected == 2)
        assert account.alive
        after = wire.place()
        await wire.until(lambda: wire.hinted(after))
        assert not wire.hinted(missed), "a venue replays nothing: the sweep must find it"
        assert account.reconnects == 1

    wire.run(story)


def test_f14_a_half_open_connection_is_given_up(wire: Wire) -> None:
    async def story() -> None:
        account = await wire.listening()
        wire.faults.once("stream_half_open")
        wire.place()
        await wire.until(lambda: not account.alive, TIMES.deaf_s * 4)
        await wire.until(lambda: wire.connected == 2)
        assert any("nothing heard" in why for why in wire.lost())

    wire.run(story)


def test_f14_a_silent_stream_that_answers_pings_is_made_anew(wire: Wire) -> None:
    async def story() -> None:
        account = await wire.listening(TIMES._replace(silence_s=20.0))
        wire.faults.once("stream_silent")
        wire.place()
        await wire.until(lambda: not account.alive)
        await wire.until(lambda: wire.connected == 2)
        assert any("no news" in why for why in wire.lost())
        after = wire.place()
        await wire.until(lambda: wire.hinted(after))

    wire.run(story)


def test_f17_a_frame_that_cannot_be_read_costs_the_connection_only(wire: Wire) -> None:
    async def story() -> None:
        account = await wire.listening()
        wire.faults.once("stream_garbage")
        wire.place()
        await wire.until(lambda: wire.connected == 2)
        after = wire.place()
        await wire.until(lambda: wire.hinted(after))
        assert account.alive

    wire.run(story)


def test_the_end_of_a_subscription_is_heard(binance: Wire) -> None:
    """ccxt leaves its watchers hanging on a socket that stays open."""

    async def story() -> None:
        await binance.listening()
        binance.faults.once("stream_terminated")
        binance.place()
        await binance.until(lambda: binance.connected == 2)
        assert any("eventStreamTerminated" in why for why in binance.lost())

    binance.run(story)


def test_f44_a_wrong_signature_is_refused_and_never_alive(wire: Wire) -> None:
    async def story() -> None:
        account = wire.account(keys=ApiKeys(KEY, "not the secret"))
        await account.start(wire.hints.append, wire.on_connected)
        await wire.until(lambda: len(wire.lost()) >= 3)
        assert not account.alive
        assert not wire.connected
        order = wire.place()
        await wire.clock.sleep(5)
        assert not wire.hinted(order)

    wire.run(story)


def test_f44_a_revoked_key_ends_the_stream(wire: Wire) -> None:
    async def story() -> None:
        account = await wire.listening()
        wire.desk.change_key(KEY, {"revoked": True})
        await wire.until(lambda: not account.alive)
        count = len(wire.lost())
        await wire.until(lambda: len(wire.lost()) > count)
        assert wire.connected == 1

    wire.run(story)


def test_a_refused_door_is_knocked_at_with_growing_pauses(wire: Wire) -> None:
    async def story() -> None:
        wire.faults.ask("stream_refused", times=4)
        account = wire.account()
        await account.start(wire.hints.append, wire.on_connected)
        await wire.until(lambda: account.alive)
        waits = [note.wait_s for note in wire.notes if note.what == "lost"]
        assert len(waits) == 4
        for count, wait_s in enumerate(waits):
            full = min(TIMES.first_wait_s * 2**count, TIMES.longest_wait_s)
            assert full / 2 <= wait_s <= full

    wire.run(story)


def test_f50_the_stream_is_cut_as_an_endpoint_and_comes_back(wire: Wire) -> None:
    async def story() -> None:
        account = await wire.listening()
        wire.desk.cut.add("stream")
        await wire.until(lambda: not account.alive)
        await wire.clock.sleep(5)
        assert not account.alive
        wire.desk.cut.clear()
        await wire.until(lambda: account.alive)
        assert wire.connected == 2

    wire.run(story)


def test_a_restarted_server_is_found_again(binance: Wire) -> None:
    async def story() -> None:
        account = await binance.listening()
        port = binance.server.port
        await binance.server.close()
        await binance.until(lambda: not account.alive)
        binance.server = binance._served(port)
        await binance.server.start()
        await binance.until(lambda: account.alive)
        order = binance.place()
        await binance.until(lambda: binance.hinted(order))

    binance.run(story)


def test_close_twice_while_up_and_while_down(wire: Wire) -> None:
    async def story() -> None:
        account = await wire.listening()
        await account.close()
        await account.close()
        assert not account.alive
        never = wire.account()
        await never.close()
        dialling = wire.account()
        await dialling.start(wire.hints.append, wire.on_connected)
        await asyncio.sleep(0)
        await dialling.close()
        wire.faults.always("stream_refused")
        waiting = wire.account()
        await waiting.start(wire.hints.append, wire.on_connected)
        await wire.until(wire.lost)
        await waiting.close()
        with pytest.raises(RuntimeError, match="not started"):
            await account.start(wire.hints.append, wire.on_connected)

    wire.run(story)


def test_inv17_no_key_in_a_word(wire: Wire, caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        account = await wire.listening()
        wire.faults.once("stream_cut")
        wire.place()
        await wire.until(lambda: wire.connected == 2)
        wrong = wire.account(keys=ApiKeys(KEY, SECRET + "x"))
        await wrong.start(wire.hints.append, wire.on_connected)
        wire.server.desk.change_key(KEY, {"address_ok": False})
        await wire.until(lambda: len(wire.lost()) >= 3)
        text = f"{account!r} {account._source!r} {account.__dict__!r} {wire.notes!r} {caplog.text}"
        assert SECRET not in text
        assert KEY not in text

    wire.run(story)
