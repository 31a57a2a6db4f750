"""Clocks: measured, stamped by, measured again when the venue complains (R21, F16, reference orders.md 2.9)."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from tradecore.errors import RetryableVenueError

SYMBOL = "BTC/USDT"


def _stamp(request):
    return int(request.url.split("timestamp=")[1].split("&")[0])


def test_requests_are_stamped_by_the_venues_clock(opened):
    one = opened("binance")
    one.script.on("/time", lambda _: {"serverTime": one.world.clock.now_ms() + 7_000})
    one.script.on("account", {"balances": []})
    one.run(one.venue.balances())
    assert _stamp(one.script.requests[-1]) == one.world.clock.now_ms()
    reading = one.run(one.venue.sync_clock())
    assert reading.offset_ms == 7_000
    one.run(one.venue.balances())
    assert _stamp(one.script.requests[-1]) == one.world.clock.now_ms() + 7_000
    assert one.run(one.venue.server_time_ms()) == one.world.clock.now_ms() + 7_000, "the venue's own, for the check"


def test_first_signed_call_measures_the_clock(opened):
    one = opened("binance")
    one.client._clock_doubted = True
    one.script.on("/time", lambda _: {"serverTime": one.world.clock.now_ms() - 3_000})
    one.script.on("account", {"balances": []})
    one.run(one.venue.balances())
    assert _stamp(one.script.requests[-1]) == one.world.clock.now_ms() - 3_000
    one.script.requests.clear()
    one.run(one.venue.balances())
    assert len(one.script.requests) == 1


@pytest.mark.parametrize(("exchange", "code"), [("binance", -1021), ("mexc", 700003)])
def test_f16_a_complaint_of_the_venue_measures_anew(opened, exchange, code):
    one = opened(exchange)
    one.script.on("account", {"code": code, "msg": "Timestamp for this request is outside of the recvWindow."}, 400)
    with pytest.raises(RetryableVenueError):
        one.run(one.venue.balances())
    one.script.on("/time", lambda _: {"serverTime": one.world.clock.now_ms() + 4_000})
    one.script.on("account", {"balances": []})
    one.run(one.venue.balances())
    assert _stamp(one.script.requests[-1]) == one.world.clock.now_ms() + 4_000


def test_a_measurement_that_fails_stalls_nothing_and_is_not_repeated_each_time(opened):
    one = opened("binance")
    one.client._clock_doubted = True
    one.script.on("/time", "", 502)
    one.script.on("account", {"balances": []})
    for _ in range(5):
        one.run(one.venue.balances())
    assert len(one.script.sent("/time")) == 1
    one.run(one.world.until(6_000))
    one.run(one.venue.balances())
    assert len(one.script.sent("/time")) == 2


def test_kraken_nonces_rise_within_a_millisecond_and_when_the_clock_falls_back(opened):
    one = opened("kraken")
    one.script.on(".", {"error": [], "result": {"USDT": {"balance": "1", "hold_trade": "0"}}})
    nonces = []
    for offset in (0, 0, -60_000, 0):
        one.client._offset.offset_ms = offset
        one.run(one.venue.balances())
        nonces.append(int(one.script.requests[-1].data.split("nonce=")[1].split("&")[0]))
    assert nonces == sorted(set(nonces))


@pytest.mark.parametrize("ahead_ms", [-3_600_000, -30_000, 30_000, 3_600_000])
@pytest.mark.parametrize(
    ("exchange", "path"), [("binance", "apiRestrictions"), ("mexc", "selfSymbols")], ids=["binance", "mexc"]
)
def test_r21_f16_the_first_signed_question_is_stamped_by_the_venues_clock(opened, exchange, path, ahead_ms):
    """What a start asks first, before anything else has measured the clocks: it would be refused as -1021 or 700003."""
    one = opened(exchange, ready=False)
    server_ms = one.world.clock.now_ms() - ahead_ms
    one.script.on("/api/v3/time", lambda _: {"serverTime": server_ms})
    one.script.on("apiRestrictions", {"enableSpotAndMarginTrading": True, "enableWithdrawals": False})
    if exchange == "binance":
        assert one.run(one.venue.rights()).withdraw is False
    else:
        assert one.run(one.venue.instruments())
    [asked] = [request for request in one.script.requests if path in request.url]
    stamp = int(parse_qs(urlsplit(asked.url).query)["timestamp"][0])
    assert stamp == server_ms
    times = [request for request in one.script.requests if "/api/v3/time" in request.url]
    assert len(times) == 3, "measured once, with three questions"
