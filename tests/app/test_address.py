"""Orders and questions go to the exchange itself or to this machine, whatever the settings say."""

from __future__ import annotations

import socket
import threading

import pytest

from tradecore.app import Options, prepare
from tradecore.app.floor_real import epoch_ms
from tradecore.errors import RetryableVenueError, SettingsError

AWAY = (
    "http://evil.example:80", "http://127.0.0.1@evil.example:80", "http://key@127.0.0.1:80", "http://127.0.0.1.nip.io",
    "http://[::ffff:8.8.8.8]:80", "http://0.0.0.0:80", "http://localhost.evil.example", "http://127.0.0.1:80/path",
    "http://127.0.0.1:99999", "http://[::1", "https://127.0.0.1:80", "file://127.0.0.1/etc", "127.0.0.1:80",
)  # fmt: skip


def prepared(mode, base_url, *sets):
    return prepare(Options(mode, {}, (
        "venue.exchange=binance", f"venue.base_url={base_url!r}", "venue.trade_account=main", "account.name=main",
        *sets,
    )))  # fmt: skip


@pytest.mark.parametrize("speed", ["1", "10"])
@pytest.mark.parametrize("mode", ["paper", "live"])
@pytest.mark.parametrize("base_url", AWAY)
def test_an_address_that_is_not_of_this_machine_is_refused_before_anybody_is_asked(mode, base_url, speed, monkeypatch):
    asked = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *facts, **more: asked.append(facts))
    with pytest.raises(SettingsError, match=r"venue\.base_url: expected http://127\.0\.0\.1:PORT"):
        prepared(mode, base_url, f"run.speed={speed}")
    assert asked == []


def test_an_exchange_without_a_wire_server_is_refused():
    with pytest.raises(SettingsError, match="expected exchange binance or mexc, was okx"):
        prepared("paper", "http://127.0.0.1:1", "venue.exchange=okx")


@pytest.mark.parametrize("said", [
    b"HTTP/1.1 302 Found\r\nLocation: http://evil.example/\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", b"",
])  # fmt: skip
def test_the_wire_servers_time_is_taken_from_it_alone(said, monkeypatch):
    """Neither a proxy of the environment nor a redirect takes the question elsewhere."""
    monkeypatch.setenv("http_proxy", "http://evil.example:3128")
    monkeypatch.setenv("HTTP_PROXY", "http://evil.example:3128")
    with socket.create_server(("127.0.0.1", 0)) as server:
        asked = []

        def answer():
            talk, _ = server.accept()
            with talk:
                asked.append(talk.recv(4_096))
                talk.sendall(said)

        thread = threading.Thread(target=answer)
        thread.start()
        port = server.getsockname()[1]
        with pytest.raises(RetryableVenueError, match="expected the wire server's time"):
            epoch_ms(prepared("paper", f"http://127.0.0.1:{port}", "run.speed=10").settings)
        thread.join()
    assert asked[0].startswith(b"GET /api/v3/time HTTP/1.1\r\n")
