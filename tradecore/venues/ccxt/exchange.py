"""One ccxt exchange, unmodified but for its senses: our clock, our session, no throttle, no retry, all watched.

The class is made at run time from ccxt's own by its id. Overridden are only where it reads a clock, where a request
leaves and where an answer arrives, so that every answer can be judged by what really happened
(reference orders.md 2.3).
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import ccxt.async_support as library

from tradecore.errors import SettingsError
from tradecore.ports.clock import Clock
from tradecore.venues.ccxt import evidence
from tradecore.venues.ccxt.address import wire_host
from tradecore.venues.ccxt.keys import ApiKeys
from tradecore.venues.ccxt.listing import Listed
from tradecore.venues.ccxt.pieces import parse_answer
from tradecore.venues.ccxt.transport import Transport, never_left
from tradecore.venues.ccxt.ways import Ways

# At DEBUG it would print headers with the key, and addresses with the signature (reference orders.md 2.11).
logging.getLogger("ccxt").setLevel(logging.WARNING)

_NOWHERE: Final = "/not-served"


class ClockOffset:
    """By how much the exchange's clock is ahead of ours, milliseconds."""

    def __init__(self) -> None:
        self.offset_ms = 0


def watched(base: type[Any], clock: Clock, offset: ClockOffset, ways: Ways, keys: ApiKeys) -> type[Any]:
    """Make a class of ccxt's that tells what its transport meets.

    Args:
        base: One of ccxt's async classes.
        offset: Added to our clock wherever ccxt asks for the time.
        keys: Never heard in an answer, whoever repeats them.
    """

    class Watched(Listed, base):  # type: ignore[misc]  # ccxt ships no types
        number = str  # prices and amounts stay text until we make them Decimal

        _last_nonce = 0

        def __repr__(self) -> str:
            return f"Watched({self.id})"

        def log(self, *told: Any) -> None:
            # where somebody has made ccxt verbose it prints what it sends, the key among it
            super().log(*(keys.scrub(str(one)) for one in told))

        def milliseconds(self) -> int:
            return clock.now_ms() + offset.offset_ms

        def seconds(self) -> int:
            return int(self.milliseconds() // 1000)

        def microseconds(self) -> int:
            return clock.now_ns() // 1000 + offset.offset_ms * 1000

        def nonce(self) -> Any:
            if not ways.nonce_rises:
                return super().nonce()
            self._last_nonce = max(self._last_nonce + 1, int(super().nonce()))
            return self._last_nonce

        async def fetch_swap_markets(self, params: Mapping[str, Any] = {}) -> list[Any]:  # noqa: B006, ARG002, RUF100 - ccxt's signature
            return []  # MEXC's class asks for its futures too; nobody trades them here

        async def fetch(self, url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
            heard = evidence.Heard(method, urlsplit(url).path, clock.monotonic_s())
            evidence.note(heard)
            with evidence.running(heard):
                try:
                    return await super().fetch(url, method, headers, body)
                except Exception as error:
                    if heard.status is None:
                        heard.entered = not never_left(error)
                        cause = f": {type(error.__cause__).__name__}" if error.__cause__ is not None else ""
                        # Its text holds the signed address; the classes say enough.
                        heard.error = f"{type(error).__name__}{cause}"
                    raise
                finally:
                    heard.latency_ms = (clock.monotonic_s() - heard.started_s) * 1000

        def on_json_response(self, body: str) -> Any:
            ready = evidence.prepared(body)
            return parse_answer(body) if ready is None else ready[0]

        def on_rest_response(self, code: int, reason: str, url: str, *rest: Any) -> str:
            _, headers, body, *_ = rest  # method, headers, body, and what was sent
            evidence.answered(code, headers, keys.scrub(body))  # a page may throw back what it was sent
            return str(body).strip()

    Watched.listed_by(ways.listing, clock)
    return Watched


def _redirected(urls: Any, base_url: str) -> Any:
    if isinstance(urls, dict):
        return {name: _redirected(value, base_url) for name, value in urls.items()}
    return base_url + _NOWHERE if isinstance(urls, str) else urls


def redirect(exchange: Any, base_url: str) -> None:
    """Turn an exchange object to a wire server on this machine; nothing that it asks can leave the machine.

    Args:
        exchange: ccxt's object of Binance or MEXC, the plain or the streaming one.
        base_url: ``http://127.0.0.1:PORT``.
    Raises:
        SettingsError: If the address is not of this machine, or the exchange has no wire server.
    Source: reference orders.md 2.13, variant 1.
    """
    host = wire_host(base_url, exchange.id)
    base, sockets = f"http://{host}", f"ws://{host}"
    urls = _redirected(exchange.urls["api"], base)
    if exchange.id == "binance":
        urls |= {"public": f"{base}/api/v3", "private": f"{base}/api/v3", "sapi": f"{base}/sapi/v1"}
        if "ws" in urls:
            urls["ws"] |= {"spot": f"{sockets}/ws"}
            urls["ws"]["ws-api"] |= {"spot": f"{sockets}/ws-api/v3"}
    else:
        urls["spot"] = {"public": base, "private": base}
        urls["contract"] = {"public": base, "private": base}
        if "ws" in urls:
            urls["ws"] |= {"spot": f"{sockets}/ws"}
    exchange.urls["api"] = urls
    exchange.urls["test"] = None


def class_of(exchange_id: str, of: Any = library) -> type[Any]:
    """Find ccxt's class of an exchange.

    Args:
        exchange_id: As ``binance``.
        of: ccxt's module, the plain or the streaming one.
    Raises:
        SettingsError: If ccxt knows no such exchange.
    """
    if exchange_id not in of.exchanges:
        near = difflib.get_close_matches(exchange_id.lower(), of.exchanges, n=1, cutoff=0.5)
        hint = f", nearest is {near[0]!r}" if near else ""
        raise SettingsError(f"venue.exchange: expected an exchange of ccxt, was {exchange_id!r}{hint}")
    found: type[Any] = getattr(of, exchange_id)
    return found


def build(
    base: type[Any],
    *,
    ways: Ways,
    clock: Clock,
    offset: ClockOffset,
    keys: ApiKeys,
    transport: Transport,
    base_url: str = "",
    receive_window_ms: int = 5000,
    timeout_ms: int = 10_000,
) -> Any:
    """Make an exchange object: ours are the clock, the session and the throttle, and it never repeats a request.

    Args:
        base: ccxt's class, plain or streaming.
        offset: By how much the exchange's clock is ahead.
        base_url: Address of a wire server on this machine; empty is the exchange itself.
        receive_window_ms: How long the exchange may take a request after its time stamp.
        timeout_ms: Wait for one answer.
    Raises:
        SettingsError: If `base_url` cannot be used, or ccxt insists on repeating requests.
    """
    options: dict[str, Any] = {
        **{name: dict(value) if isinstance(value, Mapping) else value for name, value in ways.options.items()},
        "adjustForTimeDifference": False,
        "maxRetriesOnFailure": 0,
    }
    if ways.window_key:
        options[ways.window_key] = receive_window_ms
    exchange = watched(base, clock, offset, ways, keys)(
        {
            "enableRateLimit": False,
            "session": transport,
            "timeout": timeout_ms,
            "aiohttp_trust_env": False,
            "timeout_on_exit": 0,
            "options": options,
            **keys.revealed(),
        }
    )
    exchange.has["fetchCurrencies"] = bool(exchange.has.get("fetchCurrencies")) and ways.currencies
    if base_url:
        redirect(exchange, base_url)
    check(exchange)
    return exchange


def check(exchange: Any) -> None:
    """Assert what keeps an order single: no retry, no throttle of the library's.

    Raises:
        SettingsError: If one of them is on.
    """
    retries = [exchange.options.get("maxRetriesOnFailure"), getattr(exchange, "maxRetriesOnFailure", 0)]
    retries += [
        value.get("maxRetriesOnFailure") for value in exchange.options.values() if isinstance(value, dict)
    ]  # fmt: skip
    if any(retries):
        raise SettingsError(f"{exchange.id}: expected maxRetriesOnFailure 0 everywhere, was {retries}")
    if exchange.enableRateLimit:
        raise SettingsError(f"{exchange.id}: expected enableRateLimit false, was true")
