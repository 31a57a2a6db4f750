"""A start at an exchange that was asked too much by whoever ran before: it waits, and asks only when it may (F15)."""

from __future__ import annotations

import http.server
import threading
from typing import ClassVar

import pytest

from tests.campaigns.wire_stage import WIRES, Scene, Stage, write_profile
from tradecore.app import Options, prepare
from tradecore.app.floor_real import RealMaker
from tradecore.errors import RetryableVenueError
from tradecore.model.events import AlertFired

BAN_S = 150.0


@pytest.mark.parametrize("status", [429, 418])
@pytest.mark.parametrize("wire", WIRES)
def test_f15_a_bot_that_starts_in_a_ban_waits_it_out_and_trades(wire, status, tmp_path):
    stage = Stage(Scene(wire, for_s=60, speed=60.0), tmp_path)
    gate, refused, entered = stage.server.desk.gate, [], []
    enter = gate.enter

    def counted(now_ms, weight=1):
        answer = enter(now_ms, weight)
        (entered if answer is None else refused).append(now_ms)
        return answer

    gate.enter = counted
    ends_ms = []

    async def story():
        ends_ms.append(stage.clock.now_ms() + BAN_S * 1_000)
        gate.shut(stage.clock.now_ms(), status, BAN_S)
        return await stage.trade()

    played = stage.run(story)
    assert played.findings() == []
    assert len(refused) == 1, "asked once, waited, and let in"
    waits = [note.event for note in played.notes(AlertFired) if note.event.name == "start_waits"]
    # at MEXC the question for our own symbols meets the shut door, and does without an answer
    assert len(waits) == (wire == "binance")
    assert all("418" in event.text for event in waits)
    assert played.summary["orders_sent"] > 0


class Door(http.server.BaseHTTPRequestHandler):
    """A wire server's clock behind a door that opens after some questions."""

    answers: ClassVar[list[tuple[int, bytes, int | None]]] = []

    def do_GET(self):
        status, body, wait_s = self.answers.pop(0)
        self.send_response(status)
        if wait_s is not None:
            self.send_header("Retry-After", str(wait_s))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_told):
        pass


@pytest.fixture
def door(tmp_path):
    """Answer the questions for the time one after the other; gives the settings of a bot that asks."""
    servers = []

    def make(*answers):
        Door.answers = list(answers)
        server = http.server.HTTPServer(("127.0.0.1", 0), Door)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        servers.append((server, thread))
        profile = write_profile(tmp_path, "mexc", f"http://127.0.0.1:{server.server_port}")
        prepared = prepare(Options(str(profile), {}, ("run.speed=100", 'run.for="1m"'), state=tmp_path / "state"))
        return lambda: RealMaker(prepared).epoch_ms(prepared, tmp_path)

    yield make
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


TIME = (200, b'{"serverTime":1700000000000}', None)
SHUT = (418, b'{"code":-1003,"msg":"banned"}', 2)


def test_f15_a_wire_server_that_bans_is_asked_again_when_it_said_so(door):
    assert door((429, b"{}", 1), SHUT, SHUT, TIME)() == 1_700_000_000_000


@pytest.mark.parametrize("answers", [[SHUT] * 4, [(503, b"busy", None)], [(418, b"{}", None)]])
def test_a_wire_server_that_stays_shut_is_named(door, answers):
    ask = door(*answers, TIME)
    with pytest.raises(
        RetryableVenueError, match=r"/api/v3/time: expected the wire server's time, was: http (418|503)"
    ):
        ask()
    assert Door.answers == [TIME], "and not asked more often"
