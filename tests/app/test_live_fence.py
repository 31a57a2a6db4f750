"""Real money is traded only where a profile says so by name; all else is refused with one line before an order."""

from __future__ import annotations

import itertools
import socket

import pytest
from click.testing import CliRunner

from tests.canary import KEY, SECRET
from tradecore.app import Options, prepare
from tradecore.cli.main import main
from tradecore.errors import SettingsError

NAMED = """extends = "live"
[account]
name = "mine"
[venue]
exchange = "mexc"
trade_account = "mine"
key_rights_confirmed = true
api_key = "env:OUR_KEY"
api_secret = "env:OUR_SECRET"
"""
#: One way each in which somebody may ask for real money without a profile that does.
ENV = {"TRADECORE_RUN__MODE": "live", "TRADECORE_VENUE__TRADE_ACCOUNT": "main", "TRADECORE_VENUE__EXCHANGE": "mexc",
       "TRADECORE_ACCOUNT__NAME": "main"}  # fmt: skip
SETS = ("run.mode=live", "venue.trade_account=main", "venue.exchange=mexc", "account.name=main", "run.speed=1")
LAYERS = ("nowhere", "environment", "command line")


@pytest.fixture
def outside(monkeypatch, tmp_path):
    """Keys in the environment, and no way out of the machine."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OUR_KEY", KEY)
    monkeypatch.setenv("OUR_SECRET", SECRET)
    monkeypatch.setenv("MEXC_API_KEY", KEY)
    monkeypatch.setenv("MEXC_API_SECRET", SECRET)

    def refused(*arguments, **more):
        raise AssertionError(f"expected nothing to be asked, was {arguments}")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)
    return tmp_path


def asked(profile, mode, account, plugins, tmp_path):
    """Ask for real money by the layers named."""
    env, sets = {}, []
    for layer, names in ((mode, ("RUN__MODE",)), (account, ("VENUE__TRADE_ACCOUNT", "ACCOUNT__NAME"))):
        if layer == "environment":
            env |= {f"TRADECORE_{name}": ENV[f"TRADECORE_{name}"] for name in names}
        if layer == "command line":
            keys = [name.lower().replace("__", ".") for name in names]
            sets += [one for one in SETS if one.partition("=")[0] in keys]
    if mode != "nowhere":
        sets += ["venue.exchange=mexc", "run.speed=1"]
    return Options(profile, env | {"MEXC_API_KEY": KEY, "MEXC_API_SECRET": SECRET}, tuple(sets), plugins)


def mode_of(options):
    """Where a run would trade, or how it is refused."""
    try:
        return prepare(options).settings.run.mode
    except SettingsError as error:
        return f"refused with {len(str(error).splitlines())} line"


@pytest.mark.parametrize("profile", ["demo", "paper", "conservative", "altcoin", "full", "live"])
@pytest.mark.parametrize("plugins", [None, "signals_drop,size_fixed,risk_limits,exec_ioc_gtc,exits"])
def test_no_shipped_profile_trades_real_money_whatever_stands_around_it(profile, plugins, outside):
    for mode, account in itertools.product(LAYERS, LAYERS):
        options = asked(profile, mode, account, plugins, outside)
        assert mode_of(options) in {"twin", "paper", "refused with 1 line"}, (profile, mode, account)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"TRADECORE_VENUE__TRADE_ACCOUNT": "mine"}, "venue.trade_account: expected the profile to name the account"),
        ({"TRADECORE_RUN__MODE": "live"}, "run.mode: expected the profile or the command line to ask for real money"),
        ({"TRADECORE_ACCOUNT__NAME": "other"}, "venue.trade_account: expected the account's name 'other'"),
    ],
)  # fmt: skip
def test_a_variable_that_was_left_behind_starts_nothing(variables, said, outside, monkeypatch):
    profile = outside / "mine.toml"
    profile.write_text(NAMED)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    result = CliRunner().invoke(main, ["run", "--profile", str(profile)], prog_name="tradecore")
    assert result.exit_code == 2
    assert said in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not (outside / "state").exists()


def test_an_account_named_on_the_command_line_is_no_profile(outside):
    profile = outside / "mine.toml"
    profile.write_text(NAMED.replace('trade_account = "mine"', 'trade_account = ""'))
    arguments = ["run", "--profile", str(profile), "--set", "venue.trade_account=mine"]
    result = CliRunner().invoke(main, arguments, prog_name="tradecore")
    assert result.exit_code == 2
    assert "expected the profile to name the account" in result.stderr


@pytest.mark.parametrize("name", ["", '""', " "])
def test_a_name_of_nothing_names_nothing(name, outside):
    with pytest.raises(SettingsError):
        prepare(Options("live", {}, (f"account.name={name}", f"venue.trade_account={name}")))


def test_a_profile_that_names_its_account_may_trade(outside):
    """The fence lets through what it is to let through."""
    profile = outside / "mine.toml"
    profile.write_text(NAMED)
    prepared = prepare(Options(str(profile), {"OUR_KEY": KEY, "OUR_SECRET": SECRET}))
    assert prepared.settings.run.mode == "live"


def test_a_paper_profile_over_a_live_one_stays_on_paper_whatever_a_variable_says(outside):
    (outside / "mine.toml").write_text(NAMED)
    paper = outside / "look.toml"
    paper.write_text('extends = "mine.toml"\n[run]\nmode = "paper"\n')
    assert prepare(Options(str(paper), {})).settings.run.mode == "paper"
    with pytest.raises(SettingsError, match=r"run\.mode: expected the profile or the command line"):
        prepare(Options(str(paper), {"TRADECORE_RUN__MODE": "live"}))
