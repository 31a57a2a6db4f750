"""``tradecore venue``: the built-in venue as a server of its own, for real clients and for drills."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tradecore.cli.options import json_option

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tradecore.venues.twin.wire.opening import Opened
    from tradecore.venues.twin.wire.server import WireServer


@click.group()
def venue() -> None:
    """Serve the built-in venue over HTTP on this machine."""


@venue.command()
@click.option("--wire", required=True, type=click.Choice(["binance", "mexc"]), help="Whose protocol it speaks.")
@click.option("--port", default=0, show_default=True, type=click.IntRange(0, 65535), help="Port; 0 takes a free one.")
@click.option("--control-port", default=0, show_default=True, type=click.IntRange(0, 65535), help="Port for drills.")
@click.option("--data", metavar="FOLDER", type=click.Path(path_type=Path), help="Market of the candle files in FOLDER.")
@click.option("--seed", default=7, show_default=True, metavar="N", type=int, help="Start of every random draw.")
@click.option("--symbols", default=5, show_default=True, type=click.IntRange(1, 5000), help="Of a made-up market.")
@click.option("--timeframe", default="1m", show_default=True, metavar="LENGTH", help="Length of a row of the market.")
@click.option("--quote", default="USDT", show_default=True, metavar="COIN", help="Coin that prices are in.")
@click.option(
    "--speed",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0, 10_000, min_open=True),
    help="Market seconds per second of the wall.",
)
@click.option("--epoch-ms", type=click.IntRange(0), metavar="N", help="Market time at the start, ms UTC; else now.")
@click.option("--money", "money", multiple=True, metavar="COIN=AMOUNT", help="Opening balance; may be given often.")
@click.option("--key", default="", metavar="KEY", help="Public part of the key; else one is made up and kept.")
@click.option("--secret-file", metavar="FILE", type=click.Path(path_type=Path), help="File with the key's secret.")
@click.option("--state", metavar="DIR", type=click.Path(path_type=Path), help="Keep the venue in DIR, or go on there.")
@click.option(
    "--read-lag-ms", default=0, show_default=True, type=click.IntRange(0), help="Lag of order and trade reads."
)
@click.option("--balance-lag-ms", default=0, show_default=True, type=click.IntRange(0), help="Lag of balances.")
@click.option(
    "--latency-ms", default=0, show_default=True, type=click.IntRange(0), help="Time of a request, market ms."
)
@click.option(
    "--fee-in",
    default="base",
    show_default=True,
    type=click.Choice(["base", "quote", "other"]),
    help="Coin that a buy's fee is taken in.",
)
@click.option("--fee-coin", default="BNB", show_default=True, metavar="COIN", help="The third coin of --fee-in other.")
@click.option("--ack-without-status", is_flag=True, help="Acknowledge orders with their id alone.")
@click.option("--fault", "faults", multiple=True, metavar="NAME[:SHARE[:ARGUMENT]]", help="Fault; may be given often.")
@json_option
def serve(
    *, wire: str, port: int, control_port: int, data: Path | None, seed: int, symbols: int, timeframe: str, quote: str,
    speed: float, epoch_ms: int | None, money: Sequence[str], key: str, secret_file: Path | None, state: Path | None,
    read_lag_ms: int, balance_lag_ms: int, latency_ms: int, fee_in: str, fee_coin: str, ack_without_status: bool,
    faults: Sequence[str], as_json: bool,
) -> int:  # fmt: skip
    """Serve until interrupted. Without --state the venue is gone with the process.

    It listens on 127.0.0.1 only. Key, secret and control token are in files that only you can read; their folder is
    printed, they are not.
    """
    import tempfile
    import time
    from contextlib import ExitStack, closing

    from tradecore.clocks.clock import LoopClock
    from tradecore.clocks.loop import MarketLoop, run
    from tradecore.errors import StateFolderError
    from tradecore.venues.twin.wire.desk import ReadLag
    from tradecore.venues.twin.wire.opening import WirePlan, keys_of, open_market, open_venue, token_of
    from tradecore.venues.twin.wire.server import WireServer

    plan = WirePlan(
        wire, data, seed, symbols, timeframe, quote, speed, epoch_ms, _money(money),
        "quote" if fee_in == "quote" else "other" if fee_in == "other" else "base", fee_coin,
    )  # fmt: skip
    with ExitStack() as passing:
        # kill -9 would leave a folder behind, so none is made where one was named
        folder = state or Path(passing.enter_context(tempfile.TemporaryDirectory(prefix="tradecore-venue-")))
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StateFolderError(f"expected a folder that can be written at {folder}, was: {error}") from error
        api_key, token = keys_of(folder, key, secret_file), token_of(folder)
        opened = open_market(plan, folder, time.time_ns() // 1_000_000)
        with closing(MarketLoop(speed)) as loop:
            clock = LoopClock(loop, opened.epoch_ms)
            twin = open_venue(opened, clock, folder)
            with closing(twin.venue.engine.state):
                server = WireServer(
                    twin, wire=wire, clock=clock, keys=[api_key], port=port, control_port=control_port, token=token,
                    lag=ReadLag(read_lag_ms, read_lag_ms, balance_lag_ms), latency_ms=latency_ms,
                )  # fmt: skip
                for text in faults:
                    server.desk.faults.ask_text(text)
                server.desk.ack_without_status = ack_without_status
                run(_serve(server, lambda: _say(server, opened, folder, secret_file, as_json=as_json)), loop)
    return 0


async def _serve(server: WireServer, say: Callable[[], None]) -> None:
    """Serve until a signal, or until the venue's file takes no more."""
    import asyncio
    import signal

    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await server.start()
    say()
    ends = [loop.create_task(stop.wait()), loop.create_task(server.failed())]
    try:
        done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in ends:
            task.cancel()
        await server.close()


def _say(server: WireServer, opened: Opened, folder: Path, secret_file: Path | None, *, as_json: bool) -> None:
    """Say where the venue is and where its secrets are, never the secrets."""
    from tradecore.venues.twin.wire.opening import SECRET_FILE, TOKEN_FILE

    facts = {
        "wire": server.desk.wire, "base_url": server.base_url, "port": server.port, "control_url": server.control_url,
        "control_port": server.control_port, "token_file": str(folder / TOKEN_FILE),
        "key": next(iter(server.desk.keys.all)), "secret_file": str(secret_file or folder / SECRET_FILE),
        "state": str(folder), "symbols": len(opened.source.symbols), "market_ms": opened.epoch_ms,
        "speed": opened.plan.speed,
    }  # fmt: skip
    if as_json:
        click.echo(json.dumps(facts))
        return
    click.echo(
        f"venue {facts['wire']} at {facts['base_url']}, control at {facts['control_url']}, key and token in {folder}"
    )


def _money(texts: Sequence[str]) -> dict[str, Decimal]:
    """Opening balances as given."""
    from tradecore.errors import SettingsError, UnitError
    from tradecore.model.units import decimal_of

    found: dict[str, Decimal] = {}
    for text in texts:
        coin, _, amount = text.partition("=")
        try:
            found[coin.strip()] = decimal_of(amount)
        except UnitError as error:
            raise SettingsError(f"--money: expected COIN=AMOUNT, was {text!r}") from error
        if not coin.strip() or found[coin.strip()] < 0:
            raise SettingsError(f"--money: expected COIN=AMOUNT, was {text!r}")
    return found
