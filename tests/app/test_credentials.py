"""Keys that lack what an exchange wants are refused by plan, doctor and run before anything is asked of it (R54)."""

from __future__ import annotations

import json
import os
import socket

import pytest
from click.testing import CliRunner

from tests.canary import KEY, SECRET
from tradecore.cli.main import main
from tradecore.errors import SettingsError
from tradecore.venues.ccxt.credentials import check_credentials
from tradecore.venues.ccxt.keys import ApiKeys

PROFILE = """extends = "live"
[account]
name = "mine"
[venue]
exchange = "{exchange}"
trade_account = "mine"
key_rights_confirmed = true
api_key = "env:OUR_KEY"
api_secret = "env:OUR_SECRET"
{more}
"""


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Call the command line with keys in the environment, and no way out of the machine."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("TRADECORE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OUR_KEY", KEY)
    monkeypatch.setenv("OUR_SECRET", SECRET)

    asked = []

    def refused(*arguments, **more):
        asked.append(arguments)
        raise OSError("no way out of this machine")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)

    def call(verb, exchange, more="", *options):
        profile = tmp_path / "mine.toml"
        profile.write_text(PROFILE.format(exchange=exchange, more=more))
        result = CliRunner().invoke(main, [verb, "--profile", str(profile), *options], prog_name="tradecore")
        assert KEY not in result.output
        assert SECRET not in result.output
        assert asked == [] or verb == "doctor", "nothing is asked before"
        return result

    return call


def test_okx_without_its_pass_phrase_is_told_by_plan(command):
    result = command("plan", "okx", "", "--json")
    assert result.exit_code == 2
    told = json.loads(result.stdout)
    assert told["runs"] is False
    (finding,) = [one for one in told["findings"] if one["code"] == "keys_unusable"]
    assert finding["text"] == (
        "venue.api_password: expected where the pass phrase is, which okx wants, was empty"
    )  # fmt: skip
    assert finding["way_out"].startswith("name where it is")
    assert "keys_unusable" in command("plan", "okx", "", "--no-values").stdout


def test_okx_without_its_pass_phrase_is_told_by_doctor(command):
    result = command("doctor", "okx", "", "--json")
    assert result.exit_code == 2
    found = {one["name"]: one for one in json.loads(result.stdout)["findings"]}
    assert found["keys"]["health"] == "bad"
    assert found["keys"]["text"].startswith("venue.api_password: expected where the pass phrase is")
    assert found["symbols"]["text"].startswith("no answer"), "what needs no key is asked all the same"


def test_okx_without_its_pass_phrase_is_refused_before_a_folder_is_made(command, tmp_path):
    result = command("run", "okx")
    assert result.exit_code == 2
    assert result.stderr.startswith("tradecore: venue.api_password: expected where the pass phrase is, which okx wants")
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    ("exchange", "more", "runs"),
    [
        ("okx", 'api_password = "env:OUR_SECRET"', True), ("mexc", "", True), ("binance", "", True),
        ("kraken", "", True), ("kucoin", "", False), ("hyperliquid", "", False),
        ("mexc", 'api_password = "env:NOBODY_SET_THIS"', False),
    ],
)  # fmt: skip
def test_plan_knows_what_an_exchange_wants(command, exchange, more, runs):
    told = json.loads(command("plan", exchange, more, "--json").stdout)
    assert ("keys_unusable" not in {one["code"] for one in told["findings"]}) is runs


def test_what_no_setting_names_is_said_by_name():
    with pytest.raises(SettingsError, match=r"was 'hyperliquid', which wants .*walletAddress"):
        check_credentials("hyperliquid", ApiKeys("a" * 8, "b" * 8))
    with pytest.raises(SettingsError, match="expected an exchange of ccxt"):
        check_credentials("nowhere", ApiKeys("a" * 8, "b" * 8))
