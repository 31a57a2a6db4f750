"""A canary key and secret in nothing that a process shows: arguments, debug output, reports, core files (INV-17)."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote

import pytest
from click.testing import CliRunner

from tests.campaigns.bot import CACHE
from tests.campaigns.wire_processes import ROOT, Venue
from tests.canary import KEY, SECRET
from tradecore.app import Options, prepare
from tradecore.cli.main import main
from tradecore.clocks.clock import LoopClock
from tradecore.clocks.loop import MarketLoop, run
from tradecore.venues.ccxt.keys import ApiKeys
from tradecore.venues.ccxt.open import open_client
from tradecore.venues.limiter import RequestLimiter

FORMS = (KEY, SECRET, quote(SECRET, safe=""))
CODE = "import sys; sys.argv[0] = 'tradecore'; from tradecore.cli.start import main; main()"


@pytest.fixture(scope="module")
def venue(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE, str(tmp_path_factory.mktemp("compiled")))
        with Venue("binance", tmp_path_factory.mktemp("venue"), 1.0) as served:
            yield served


def clean(text: str) -> None:
    for form in FORMS:
        assert form not in text


def test_inv17_nothing_is_shown_by_a_process_in_debug_mode(venue, tmp_path):
    variables = {"PYTHONASYNCIODEBUG": "1", "PYTHONPATH": str(ROOT), "OUR_KEY": KEY, "OUR_SECRET": SECRET}
    arguments = [
        "--debug", "run", "--profile", str(venue.profile), "--state", "s", "--for", "6s", "--json",
        "--set", "venue.api_key=env:OUR_KEY", "--set", "venue.api_secret=env:OUR_SECRET",
        "--set", "market.backfill=false",
    ]  # fmt: skip
    with (tmp_path / "out").open("w") as out, (tmp_path / "err").open("w") as err:
        process = subprocess.Popen(
            [sys.executable, "-X", "dev", "-W", "default", "-c", CODE, *arguments], cwd=tmp_path, stdout=out,
            stderr=err, env={**os.environ, **variables},
        )  # fmt: skip
        try:
            limits = ""
            end_s = time.monotonic() + 90
            while not (tmp_path / "s" / "tradecore.db").exists() and time.monotonic() < end_s:
                time.sleep(0.05)
            clean(Path(f"/proc/{process.pid}/cmdline").read_text())
            limits = Path(f"/proc/{process.pid}/limits").read_text()
            venue.control("POST", "/keys", revoked=True)  # so that there is something to complain of
            process.wait(120)
        finally:
            venue.control("POST", "/keys", revoked=False)
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.wait()
    (core,) = [line for line in limits.splitlines() if line.startswith("Max core file size")]
    assert core.split()[4] == "0", "memory that holds keys is not written to a file"
    told = (tmp_path / "err").read_text()
    assert len(told) > 100
    clean((tmp_path / "out").read_text() + told)
    for path in (tmp_path / "s").rglob("*"):
        if path.is_file():
            clean(path.read_bytes().decode("utf-8", "replace"))


@pytest.mark.parametrize(
    "command",
    [("plan", "--json"), ("plan",), ("doctor", "--json"), ("config", "show", "--origin"), ("config", "check")],
)
def test_inv17_nothing_is_shown_by_a_report(venue, command, tmp_path, monkeypatch):
    monkeypatch.setenv("OUR_KEY", KEY)
    monkeypatch.setenv("OUR_SECRET", SECRET)
    options = ["--profile", str(venue.profile), "--set", "venue.api_key=env:OUR_KEY"]
    result = CliRunner().invoke(main, ["--debug", *command, *options], prog_name="tradecore")
    assert len(result.output) > 20
    clean(result.output)


def test_inv17_settings_show_no_secret_however_they_are_printed(monkeypatch):
    monkeypatch.setenv("TRADECORE_STORE__URL", f"postgresql://us:{KEY}@localhost/x")
    prepared = prepare(Options("demo", os.environ))
    settings = prepared.settings
    for text in (
        repr(settings), str(settings), repr(prepared.resolved), settings.model_dump_json(), str(settings.model_dump()),
        repr(prepared.guests),
    ):  # fmt: skip
        clean(text)


def test_r54_a_password_on_the_command_line_is_refused_where_everybody_could_read_it():
    url = f"store.url=postgresql://us:{KEY}@localhost/x"
    result = CliRunner().invoke(main, ["run", "--set", url, "--for", "1m"], prog_name="tradecore")
    assert result.exit_code == 2
    assert "TRADECORE_STORE__URL" in result.stderr
    clean(result.output)


def test_inv17_ccxt_made_verbose_prints_no_key(venue, capsys):
    loop = MarketLoop(1.0)
    clock = LoopClock(loop, int(time.time() * 1_000))

    async def story():
        client = open_client(
            "binance", clock=clock, limiter=RequestLimiter(clock, 100_000), keys=ApiKeys(KEY, SECRET),
            base_url=venue.facts["base_url"],
        )  # fmt: skip
        client.exchange.verbose = True
        try:
            await client.load_markets()
            await client.exchange.fetch_balance()
            await asyncio.sleep(0)
        finally:
            await client.close()

    run(story(), loop)
    told = capsys.readouterr().out
    assert "RequestHeaders" in told
    assert "signature=" in told
    clean(told)
