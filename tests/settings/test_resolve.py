"""Layers, origins and refusals (R52): one line each, naming key, expected, found and where from."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr

from tradecore.errors import SettingsError
from tradecore.hooks.loader import available, load, require_trading_set
from tradecore.settings import Origin, Settings, all_keys, find_profile, resolve
from tradecore.settings.profiles import shipped_profiles
from tradecore.settings.wording import MASK

PLUGINS = ("signals_drop", "size_fixed", "risk_limits", "exec_ioc_gtc", "exits")


@pytest.fixture
def profile(tmp_path):
    def write(text, name="mine.toml"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_r52_defaults_profile_environment_command_line(profile):
    path = profile("""
[engine]
poll_ms = 100
book_age_ms_max = 1000
strikes = 4

[limiter]
requests_per_minute = 100
""")
    env = {"TRADECORE_ENGINE__BOOK_AGE_MS_MAX": "1500", "TRADECORE_ENGINE__STRIKES": "5", "OTHER": "x"}
    resolved = resolve(path, env, ["engine.strikes=6"], installed=())
    engine = resolved.settings.engine
    assert (engine.poll_ms, engine.book_age_ms_max, engine.strikes, engine.hang_s) == (100, 1500, 6, 3.0)
    assert resolved.origin_of("engine.poll_ms") == Origin("profile", str(path), 3)
    assert resolved.origin_of("limiter.requests_per_minute") == Origin("profile", str(path), 8)
    assert resolved.origin_of("engine.book_age_ms_max") == Origin("environment", "TRADECORE_ENGINE__BOOK_AGE_MS_MAX")
    assert resolved.origin_of("engine.strikes") == Origin("command line", "--set engine.strikes")
    assert resolved.origin_of("engine.hang_s").layer == "default"
    assert str(resolved.origin_of("engine.poll_ms")) == "profile mine.toml:3"
    assert resolved.profile == "mine"


def test_r52_the_later_argument_wins_and_flags_win_over_all(profile):
    path = profile("[run]\nseed = 2\n")
    resolved = resolve(
        path,
        {},
        ["run.seed=3", "run.seed=4"],
        "a,b",
        installed=("a", "b"),
        flags={"--seed": "run.seed=5", "--for": "run.for=60s"},
    )
    assert resolved.settings.run.seed == 5
    assert resolved.settings.run.for_ == "60s"
    assert resolved.settings.run.plugins == ("a", "b")
    assert str(resolved.origin_of("run.seed")) == "command line --seed"
    assert str(resolved.origin_of("run.plugins")) == "command line --plugins"


def test_r52_plugin_sections_come_from_every_layer(profile):
    path = profile('[run]\nplugins = ["alpha"]\n[plugins.alpha]\nlimit = 1\nname = "x"\n')
    env = {"TRADECORE_PLUGINS__ALPHA__LIMIT": "2", "TRADECORE_PLUGINS__BETA_MAX__RATE": "0.1"}
    resolved = resolve(path, env, ["alpha.name=yes", "plugins.alpha.deep.er=[1, 2]"], installed=("alpha", "beta_max"))
    assert resolved.sections == {
        "alpha": {"limit": 2, "name": "yes", "deep": {"er": [1, 2]}},
        "beta_max": {"rate": Decimal("0.1")},
    }
    assert str(resolved.origin_of("plugins.alpha.limit")) == "environment TRADECORE_PLUGINS__ALPHA__LIMIT"
    assert str(resolved.origin_of("plugins.alpha.deep.er")) == "command line --set plugins.alpha.deep.er"
    assert str(resolved.origin_of("plugins.alpha.name")) == "command line --set alpha.name"


def test_numbers_of_files_and_variables_are_exact(profile):
    path = profile("[twin]\nspread_bps = 0.1\n[account]\nopening = { USDT = 123456789.123456789123 }\n")
    resolved = resolve(path, {"TRADECORE_ENGINE__MAX_SPREAD_BPS": "0.3"}, installed=())
    assert resolved.settings.twin.spread_bps == Decimal("0.1")
    assert resolved.settings.account.opening == {"USDT": Decimal("123456789.123456789123")}
    assert resolved.settings.engine.max_spread_bps == Decimal("0.3")


def test_a_table_of_a_file_replaces_the_default_and_an_argument_changes_one_entry(profile):
    path = profile("[account]\nopening = { USDC = 500 }\n")
    assert resolve(path, {}, installed=()).settings.account.opening == {"USDC": Decimal(500)}
    both = resolve(path, {"TRADECORE_ACCOUNT__OPENING__BTC": "0.5"}, ["account.opening.USDC=7"], installed=())
    assert both.settings.account.opening == {"USDC": Decimal(7), "BTC": Decimal("0.5")}
    assert str(both.origin_of("account.opening.BTC")) == "environment TRADECORE_ACCOUNT__OPENING__BTC"


@pytest.mark.parametrize(("text", "value"), [("a,b", ("a", "b")), ('["a", "b"]', ("a", "b")), ("a", ("a",)), ("", ())])
def test_lists_may_be_written_with_commas(profile, text, value):
    resolved = resolve(profile(""), {"TRADECORE_UNIVERSE__EXCLUDE": text}, installed=())
    assert resolved.settings.universe.exclude == value


@pytest.mark.parametrize(
    ("text", "value"), [("2024-01-01", "2024-01-01"), ("2024-01-01T10:00:00Z", "2024-01-01T10:00:00Z"), ("", "")]
)
def test_dates_and_numbers_stay_the_text_that_they_are_where_text_is_wanted(profile, text, value):
    resolved = resolve(
        profile('[account]\nname = "7"\n'), {}, [f"market.start={text}", "account.name=42"], installed=()
    )
    assert resolved.settings.market.start == value
    assert resolved.settings.account.name == "42"


FILES = [
    (
        "[engine]\npol_ms = 1\n",
        "engine.pol_ms: expected a known setting, was 'pol_ms', nearest is 'engine.poll_ms', from",
    ),
    (
        "[engin]\npoll_ms = 1\n",
        "engin: expected a known setting, was 'engin', nearest is 'engine', from profile x.toml",
    ),
    (
        "[run]\nfor_ = '1h'\n",
        "run.for_: expected a known setting, was 'for_', nearest is 'run.for', from profile x.toml",
    ),
    (
        "[engine]\npoll_ms = 'abc'\n",
        'engine.poll_ms: expected a whole number >= 1 (ms), was "abc", from profile x.toml:2',
    ),
    ("[engine]\npoll_ms = 1.5\n", "engine.poll_ms: expected a whole number >= 1 (ms), was 1.5, from profile x.toml:2"),
    ("[engine]\n\npoll_ms = 0\n", "engine.poll_ms: expected a value >= 1 (ms), was 0, from profile x.toml:3"),
    ("[engine]\nhang_s = nan\n", "engine.hang_s: expected a finite number > 0 (s), was NaN, from profile x.toml:2"),
    ("engine = 5\n", "engine: expected a table, was 5, from profile x.toml"),
    ("plugins = 5\n", "plugins: expected a table per plugin, was 5, from profile x.toml"),
    ("[plugins]\nalpha = 5\n", "plugins.alpha: expected a table, was 5, from profile x.toml"),
    (
        "[run]\nspeed = 'fast'\n",
        "run.speed: expected 'max' or a number (market s per s), was \"fast\", from profile x.toml:2",
    ),
    (
        "[run]\nmode = 'twinn'\n",
        "run.mode: expected one of 'twin', 'paper' or 'live' (name), was \"twinn\", from profile",
    ),
    (
        "[run]\nfor = 'soon'\n",
        "run.for: expected a duration such as '90s', '2h' or '1h30m', was 'soon', from profile x.toml:2",
    ),
    ("[run]\nplugins = [1]\n", "run.plugins[0]: expected text (names), was 1, from profile x.toml:2"),
    ("[market]\ntimeframe = '1x'\n", "market.timeframe: expected a length such as '5s', '1m' or '1h', was '1x', from"),
    (
        "[account]\nopening = { USDT = -1 }\n",
        "account.opening: expected a value >= 0 (coin units), was -1, from profile x.toml:2",
    ),
    ("[shutdown]\nphase_s = 20\n", "shutdown: expected phase_s of at most total_s = 10 s, was 20 s"),
    (
        "[market.generated]\nmood = 'wild'\n",
        "market.generated.mood: expected one of 'calm', 'lively', 'crash' or 'mixed'",
    ),
    ("[engine]\nunknown_backoff_s = []\n", "engine.unknown_backoff_s: expected at least 1 of them (s), was [], from"),
    (
        "[plugins.alpa]\nx = 1\n",
        "alpa: expected a section or an installed plugin, was 'alpa', nearest is 'alpha', from profile",
    ),
    ("a = [\n", "x.toml: expected TOML, found"),
]


@pytest.mark.parametrize(("text", "said"), FILES)
def test_r52_what_is_wrong_in_a_file_is_one_line(profile, text, said):
    path = profile(text, "x.toml")
    with pytest.raises(SettingsError) as caught:
        resolve(path, {}, installed=("alpha",))
    message = str(caught.value).replace(str(path), "x.toml")
    assert message.startswith(said), message
    assert "\n" not in message


VARIABLES = [
    ("TRADECORE_ENGINE__POL_MS", "nearest is 'TRADECORE_ENGINE__POLL_MS'"),
    ("TRADECORE_POLL_MS", "TRADECORE_POLL_MS: expected a variable that names a setting"),
    ("TRADECORE_ENGINE", "TRADECORE_ENGINE: expected a variable that names a setting"),
    ("TRADECORE_ENGINE__POLL_MS__DEEPER", "nearest is 'TRADECORE_ENGINE__POLL_MS'"),
    ("TRADECORE_", "TRADECORE_: expected a variable that names a setting"),
    ("TRADECORE_PLUGINS__ALPA__LIMIT", "nearest is 'TRADECORE_PLUGINS__ALPHA__KEY'"),
    ("TRADECORE_PLUGINS__ALPHA", "TRADECORE_PLUGINS__ALPHA: expected a variable"),
    ("TRADECORE_PLUGINS", "TRADECORE_PLUGINS: expected a variable"),
]


@pytest.mark.parametrize(("variable", "said"), VARIABLES)
def test_r52_a_variable_that_is_used_by_nothing_is_refused(profile, variable, said):
    with pytest.raises(SettingsError) as caught:
        resolve(profile(""), {variable: "1"}, installed=("alpha",))
    assert said in str(caught.value)
    assert str(caught.value).endswith("from environment")


ARGUMENTS = [
    ("engine.poll_ms", "--set engine.poll_ms: expected section.key=value or plugin.key=value, was 'engine.poll_ms'"),
    ("poll_ms=5", "--set poll_ms: expected section.key=value"),
    ("engine.=5", "--set engine.: expected section.key=value"),
    (
        "engin.poll_ms=5",
        "engin: expected a section or an installed plugin, was 'engin', nearest is 'engine', from command line",
    ),
    ("engine.exit_ladder=5", "engine.exit_ladder: expected a key of this section, from command line --set"),
    ("engine.poll_ms.x=5", "engine.poll_ms.x: expected a known setting"),
    ("alpa.limit=5", "alpa: expected a section or an installed plugin, was 'alpa', nearest is 'alpha'"),
    ("plugins.alpha=5", "plugins.alpha: expected plugins.NAME.KEY"),
    (
        "engine.poll_ms=five",
        'engine.poll_ms: expected a whole number >= 1 (ms), was "five", from command line --set engine.poll_ms',
    ),
]


@pytest.mark.parametrize(("argument", "said"), ARGUMENTS)
def test_r52_what_is_wrong_in_an_argument_is_one_line(profile, argument, said):
    with pytest.raises(SettingsError) as caught:
        resolve(profile(""), {}, [argument], installed=("alpha",))
    assert str(caught.value).startswith(said), str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_section_of_an_installed_plugin_that_is_not_in_the_list_is_allowed(profile):
    resolved = resolve(profile("[plugins.alpha]\nlimit = 1\n"), {}, installed=("alpha",))
    assert resolved.settings.run.plugins == ()
    assert resolved.sections == {"alpha": {"limit": 1}}


def test_profiles_are_found_by_name_or_path(profile):
    assert find_profile("demo").name == "demo.toml"
    assert find_profile(profile("")).name == "mine.toml"
    with pytest.raises(SettingsError) as caught:
        find_profile("demmo")
    assert str(caught.value) == (
        "profile: expected a path ending in .toml or one of altcoin, conservative, demo, full, live, paper, "
        "was 'demmo', nearest is 'demo'"
    )
    with pytest.raises(SettingsError, match=r"found none at 'nowhere\.toml'"):
        find_profile("nowhere.toml")


def test_a_line_is_found_past_comments_strings_and_dotted_keys(profile):
    path = profile('''
# engine.poll_ms = 1
[account]
name = """
[engine]
poll_ms = 3
"""

[engine]   # how it trades
"poll_ms" = 100
exit_ladder.ttl_ms = 1000

[market.generated]
symbols = 3
''')
    resolved = resolve(path, {}, installed=())
    assert resolved.origin_of("engine.poll_ms").line == 10
    assert resolved.origin_of("engine.exit_ladder.ttl_ms").line == 11
    assert resolved.origin_of("market.generated.symbols").line == 14


class Guest(BaseModel, frozen=True, extra="forbid"):
    chat: int = 5
    code: SecretStr = SecretStr("")


def test_secrets_are_masked_wherever_values_are_shown(profile):
    path = profile("""
[store]
url = "postgresql://u:hunter2@h/db"
[plugins.alpha]
api_key = "hunter2"
code = "hunter2"
deep = { token = "hunter2", chat = 5 }
""")
    resolved = resolve(path, {}, installed=("alpha",))
    texts = resolved.shown({"alpha": Guest(code=SecretStr("hunter2"))})
    assert texts["store.url"] == MASK
    assert texts["plugins.alpha.code"] == MASK
    assert texts["plugins.alpha.chat"] == "5"
    raw = resolved.shown()
    assert raw["plugins.alpha.api_key"] == MASK
    assert raw["plugins.alpha.deep"] == f"{{token = {MASK}, chat = 5}}"
    assert "hunter2" not in str(texts) + repr(resolved.settings.store)
    assert resolve(profile(""), {}, installed=()).shown()["store.url"] == '""'


def test_secrets_are_masked_in_refusals(profile):
    with pytest.raises(SettingsError) as caught:
        resolve(profile("[store]\nurl = 12345678\n"), {}, installed=())
    assert "12345678" not in str(caught.value)
    assert "was a masked value" in str(caught.value)


def test_everything_set_is_shown_once_with_its_key(profile):
    resolved = resolve("demo", {}, installed=PLUGINS)
    texts = resolved.shown()
    assert set(all_keys()) <= texts.keys()
    assert texts["run.for"] == '"2h"'
    assert texts["plugins.signals_drop.lookback"] == '"10m"'
    assert texts["account.capital_limit_quote"] == "none"
    assert texts["account.opening"] == "{USDT = 10000}"


def test_the_digest_follows_values_and_not_their_origin(profile):
    one = resolve(profile("[engine]\npoll_ms = 100\n"), {}, installed=())
    same = resolve(profile("", "other.toml"), {"TRADECORE_ENGINE__POLL_MS": "100"}, installed=())
    other = resolve(profile("", "other.toml"), {}, installed=())
    assert one.digest == same.digest != other.digest
    assert len(one.digest) == 64
    assert [len(digest) for digest in one.files.values()] == [64, 64]


@given(poll=st.integers(1, 10**6), strikes=st.integers(1, 1000), hang=st.decimals("0.1", "100", places=3))
def test_what_is_shown_can_be_set_again(poll, strikes, hang):
    sets = [f"engine.poll_ms={poll}", f"engine.strikes={strikes}", f"engine.hang_s={hang}"]
    first = resolve("demo", {}, sets, installed=PLUGINS)
    again = [
        f"{key}={text}" for key, text in first.shown().items() if text != "none" and not key.startswith("plugins.")
    ]
    second = resolve("demo", {}, again, installed=PLUGINS)
    assert second.digest == first.digest
    assert second.settings == first.settings


@pytest.mark.parametrize("name", shipped_profiles())
def test_shipped_profiles_load_with_their_plugins(name):
    installed = available()
    resolved = resolve(name, {}, installed=installed)
    assert resolved.settings.run.plugins == PLUGINS or (
        name == "full" and set(PLUGINS) < set(resolved.settings.run.plugins)
    )
    assert resolved.settings.run.mode == (name if name in ("paper", "live") else "twin")
    if not set(resolved.settings.run.plugins) <= installed.keys():
        pytest.skip("the plugins of the profile are not installed here")
    guests = load(
        resolved.settings.run.plugins, resolved.sections, installed=installed,
        origin=lambda key: str(resolved.origin_of(key)),
    )  # fmt: skip
    require_trading_set(guests)


def test_settings_of_a_profile_are_those_of_the_root_alone():
    assert isinstance(resolve("demo", {}, installed=PLUGINS).settings, Settings)
