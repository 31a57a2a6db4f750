"""``tradecore doctor`` before a venue in its own process: each question's answer, and the worst as the exit code."""

from __future__ import annotations

import json
import time
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from tests.campaigns.wire_processes import Venue
from tests.canary import KEY, SECRET
from tradecore.cli.main import main

#: A hurried doctor of a test asks more often than a person does.
QUIET = ("--set", "limiter.requests_per_minute=100000")
#: Symbols of the universe, and tests: MEXC counts what an address asks in ten seconds, over all looks. What differs
#: there is seen there, all else on the other wire.
COUNTS = {"binance": 6, "mexc": 1}
OWN_OF_MEXC = ("test_r21_a_healthy_venue", "test_r21_a_key_that_may_withdraw", "test_f44_a_key_that_the_venue")


class Patient:
    """A venue, and what the doctor finds there."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self.rests_until = 0.0
        self.count = COUNTS[venue.wire]
        self.few = ("--set", f"universe.count={self.count}")

    def look(self, *options: str) -> tuple[int, dict[str, dict]]:
        if self.venue.wire == "mexc":
            time.sleep(max(0.0, self.rests_until - time.monotonic()))
            self.rests_until = time.monotonic() + 6.0
        arguments = ["doctor", "--profile", self.venue.profile, "--state", self.venue.folder / "none", "--json"]
        result = CliRunner().invoke(main, [*map(str, arguments), *QUIET, *self.few, *options], prog_name="tradecore")
        assert KEY not in result.output
        assert SECRET not in result.output
        told = json.loads(result.stdout)
        found = {one["name"]: one for one in told["findings"]}
        for one in found.values():
            assert bool(one["way_out"]) == (one["health"] != "good"), one
        worst = max(("good", "look", "bad").index(one["health"]) for one in found.values())
        assert (told["worst"], result.exit_code) == (("good", "look", "bad")[worst], worst)
        return result.exit_code, found


@pytest.fixture(scope="module", params=["binance", "mexc"])
def patient(request, tmp_path_factory):
    with Venue(request.param, tmp_path_factory.mktemp(request.param), 1.0) as venue:
        yield Patient(venue)


@pytest.fixture(autouse=True)
def _seen_once(request, patient):
    if patient.venue.wire == "mexc" and not request.node.name.startswith(OWN_OF_MEXC):
        pytest.skip("seen on the other wire")


@pytest.fixture
def control(patient):
    """Ask the venue for something; all is well again after the test."""
    venue = patient.venue
    yield lambda path, **facts: venue.control("POST", path, **facts)
    venue.control("POST", "/clock", skew_ms=0)
    venue.control("POST", "/keys", withdraw=False, revoked=False, address_ok=True, trade=True)
    venue.control("DELETE", "/cut")
    venue.control("DELETE", "/faults")
    for symbol in ("BTC/USDT", "ETH/USDT"):
        venue.control("POST", "/market", symbol=symbol, status="TRADING")


def test_r21_a_healthy_venue(patient):
    code, found = patient.look()
    assert code == 0, found
    assert set(found) == {"settings", "disk", "store", "latency", "clock", "symbols", "keys", "money", "requests"}
    assert found["symbols"]["figures"]["test_orders"] == found["symbols"]["figures"]["symbols"] == patient.count
    assert found["money"]["figures"]["free"] == "10000"
    assert abs(found["clock"]["figures"]["skew_ms"]) < 500
    assert found["requests"]["figures"]["used"] > 5
    assert found["latency"]["figures"]["median_ms"] > 0


def test_a_person_is_shown_a_table(patient):
    arguments = ["doctor", "--profile", str(patient.venue.profile), "--state", str(patient.venue.folder / "none")]
    result = CliRunner().invoke(main, [*arguments, *QUIET, *patient.few], prog_name="tradecore")
    assert result.exit_code == 0
    for word in ("question", "clock", "symbols", "keys", "good"):
        assert word in result.stdout


@pytest.mark.parametrize(("skew_ms", "health"), [(1_500, "bad"), (-1_500, "bad"), (3_600_000, "bad")])
def test_r21_clocks_apart(patient, control, skew_ms, health):
    control("/clock", skew_ms=skew_ms)
    _, found = patient.look()
    assert found["clock"]["health"] == health
    assert abs(found["clock"]["figures"]["skew_ms"] - skew_ms) < 500


def test_r21_a_key_that_may_withdraw(patient, control):
    control("/keys", withdraw=True)
    code, found = patient.look()
    if patient.venue.wire == "binance":
        assert (code, found["keys"]["health"]) == (2, "bad")
        assert "may withdraw" in found["keys"]["text"]
        assert found["keys"]["figures"]["withdraw"] is True
    else:
        # MEXC tells nobody: the operator has to
        assert found["keys"]["health"] == "good"
        assert "confirmed" in found["keys"]["text"]
        code, found = patient.look("--set", "venue.key_rights_confirmed=false")
        assert (code, found["keys"]["health"]) == (2, "bad")
        assert "look yourself" in found["keys"]["text"]
        assert "venue.key_rights_confirmed = true" in found["keys"]["way_out"]


@pytest.mark.parametrize(
    ("facts", "codes"),
    [({"revoked": True}, {"binance": "-2015", "mexc": "10072"}),
     ({"address_ok": False}, {"binance": "-2015", "mexc": "700006"})],
)  # fmt: skip
def test_f44_a_key_that_the_venue_no_longer_takes(patient, control, facts, codes):
    control("/keys", **facts)
    code, found = patient.look()
    assert code == 2
    assert found["keys"]["health"] == found["money"]["health"] == "bad"
    assert "the exchange said no" in found["money"]["text"]
    assert found["money"]["figures"]["code"] == codes[patient.venue.wire]
    assert codes[patient.venue.wire] in found["symbols"]["text"]


def test_a_key_that_may_only_read(patient, control):
    control("/keys", trade=False)
    code, found = patient.look()
    assert code == 2
    if patient.venue.wire == "binance":
        assert "may not trade" in found["keys"]["text"]
    assert found["symbols"]["health"] == "bad"


def test_f22_symbols_that_are_not_trading(patient, control):
    control("/market", symbol="BTC/USDT", status="HALT")
    named = ("--set", 'universe.symbols=["BTC/USDT", "ETH/USDT"]')
    code, found = patient.look(*named)
    assert (code, found["symbols"]["health"]) == (1, "look")
    assert found["symbols"]["figures"]["halted"] == ["BTC/USDT"]
    assert found["symbols"]["figures"]["symbols"] == 2
    code, found = patient.look()
    assert (code, found["symbols"]["figures"]["symbols"]) == (0, min(5, patient.count))
    control("/market", symbol="ETH/USDT", status="HALT")
    code, found = patient.look(*named)
    assert (code, found["symbols"]["health"]) == (2, "bad")
    code, found = patient.look("--set", 'universe.symbols=["NOBODY/USDT"]')
    assert (code, found["symbols"]["text"]) == (2, "no symbol of the universe is listed")


def test_trials_without_an_answer_are_no_good_news(patient, control):
    control("/cut", endpoint="POST /api/v3/order/test")
    code, found = patient.look()
    assert (code, found["symbols"]["health"]) == (1, "look")
    assert f"{patient.count} without an answer" in found["symbols"]["text"]


def test_f50_a_venue_that_cannot_be_reached(patient, control):
    control("/cut", endpoint="all")
    code, found = patient.look()
    assert code == 2
    for name in ("latency", "clock", "symbols", "keys", "money"):
        assert found[name]["health"] == "bad"
        assert found[name]["text"].startswith("no answer: ")
    assert found["disk"]["health"] in ("good", "look")


def test_a_venue_that_is_not_there(patient, tmp_path):
    nowhere = ("--set", "venue.base_url=http://127.0.0.1:9")
    code, found = patient.look(*nowhere)
    assert (code, found["clock"]["health"]) == (2, "bad")
    code, found = patient.look(*nowhere, "--set", "run.speed=60")
    assert (code, found["clock"]["text"][:10]) == (2, "no answer:")


def test_r54_a_key_that_is_not_where_it_should_be(patient):
    code, found = patient.look("--set", "venue.api_key=env:NOBODY_SET_THIS")
    assert (code, found["keys"]["health"]) == (2, "bad")
    assert "NOBODY_SET_THIS" in found["keys"]["text"]
    assert found["clock"]["health"] == found["symbols"]["health"] == "good", "what needs no key is asked all the same"


def test_r26_a_store_of_another_schema(patient, tmp_path):
    folder = patient.venue.folder / "none"
    folder.mkdir(exist_ok=True)
    (folder / "tradecore.db").write_bytes(b"no database at all, but long enough to look like one" * 4)
    try:
        code, found = patient.look()
        assert (code, found["store"]["health"]) == (2, "bad")
    finally:
        (folder / "tradecore.db").unlink()


def test_a_disk_that_is_full(patient, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda place: SimpleNamespace(free=90 << 20))
    code, found = patient.look()
    assert (code, found["disk"]["health"]) == (2, "bad")
    assert "90 MB free" in found["disk"]["text"]
    assert "make room" in found["disk"]["way_out"]

    def no_room(*arguments, **more):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.NamedTemporaryFile", no_room)
    code, found = patient.look()
    assert (code, found["disk"]["health"]) == (2, "bad")
    assert "No space left on device" in found["disk"]["text"]


def test_a_venue_that_is_slow(patient, control):
    control("/faults", name="slow_request", argument=1_200, times=1)
    code, found = patient.look()
    assert (code, found["latency"]["health"]) == (1, "look")
    control("/faults", name="slow_request", argument=400, times=5)
    code, found = patient.look("--set", "venue.receive_window_ms=200")
    assert (code, found["latency"]["health"]) == (2, "bad")
    assert "200 ms" in found["latency"]["way_out"]


def test_weights_that_are_nearly_used(patient, monkeypatch):
    monkeypatch.setattr("tradecore.venues.limiter.RequestLimiter.left", property(lambda limiter: 40_000))
    code, found = patient.look()
    assert (code, found["requests"]["health"]) == (1, "look")
    assert found["requests"]["figures"]["left"] == 40_000
    assert "limiter.requests_per_minute" in found["requests"]["way_out"]


def test_an_account_without_money_for_one_order(patient):
    code, found = patient.look("--set", "account.currency=EUR", "--set", "universe.quote=EUR")
    assert (code, found["money"]["health"], found["symbols"]["health"]) == (2, "look", "bad")
    assert "no EUR on the account" in found["money"]["text"]
    assert "move EUR" in found["money"]["way_out"]


def test_f15_a_venue_that_has_shut_the_door(patient, control):
    control("/faults", name="banned", argument=0.5, times=1)
    code, found = patient.look("--set", "run.speed=60")
    assert (code, found["clock"]["health"]) == (2, "bad")
    assert "http 418" in found["clock"]["text"]
    time.sleep(0.6)  # the ban ends
