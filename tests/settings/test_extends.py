"""Profiles that extend profiles, and one plugin under several names: layers, origins and refusals."""

from __future__ import annotations

import tomllib

import pytest

from tradecore.errors import SettingsError
from tradecore.hooks.loader import available, load
from tradecore.settings import profile_folder, resolve
from tradecore.settings.profiles import shipped_profiles

PLUGINS = ("signals_drop", "size_fixed", "risk_limits", "exec_ioc_gtc", "exits")


@pytest.fixture
def profiles(tmp_path):
    """Write profiles by name; returns the path of the first."""

    def write(**texts):
        for name, text in texts.items():
            path = tmp_path / f"{name.replace('__', '/')}.toml"
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return tmp_path / f"{next(iter(texts))}.toml"

    return write


def refused(path, installed=()):
    with pytest.raises(SettingsError) as caught:
        resolve(path, {}, installed=installed)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# extends -----------------------------------------------------------------------------------------------------------


def test_r52_a_chain_is_laid_on_the_defaults_the_farthest_first(profiles):
    path = profiles(
        top='extends = "mid.toml"\n[engine]\nstrikes = 6\n',
        mid='extends = "sub/low.toml"\n[engine]\nstrikes = 5\npoll_ms = 200\n',
        sub__low="[engine]\nstrikes = 4\npoll_ms = 100\nhang_s = 9\n",
    )
    resolved = resolve(path, {"TRADECORE_ENGINE__HANG_S": "10"}, installed=())
    engine = resolved.settings.engine
    assert (engine.strikes, engine.poll_ms, engine.hang_s, engine.watchdog_s) == (6, 200, 10, 1)
    said = {key: str(resolved.origin_of(f"engine.{key}")) for key in ("strikes", "poll_ms", "hang_s")}
    assert said == {
        "strikes": "profile top.toml:3",
        "poll_ms": "profile mid.toml:4",
        "hang_s": "environment TRADECORE_ENGINE__HANG_S",
    }
    assert resolved.origin_of("engine.watchdog_s").layer == "default"
    assert resolved.profile == "top"


def test_every_file_of_the_chain_is_watched_for_drift(profiles):
    path = profiles(top='extends = "low.toml"\n', low="")
    names = [name.rpartition("/")[2] for name in resolve(path, {}, installed=()).files]
    assert names == ["base.toml", "low.toml", "top.toml"]


def test_a_key_is_replaced_as_a_whole_and_a_plugin_section_key_by_key(profiles):
    path = profiles(
        top='extends = "low.toml"\n[account]\nopening = { USDC = 1 }\n[plugins.alpha]\nb = 3\n',
        low="[account]\nopening = { USDT = 7 }\n[plugins.alpha]\na = 1\nb = 2\n",
    )
    resolved = resolve(path, {}, installed=("alpha",))
    assert dict(resolved.settings.account.opening) == {"USDC": 1}
    assert resolved.sections == {"alpha": {"a": 1, "b": 3}}
    assert str(resolved.origin_of("plugins.alpha.a")) == "profile low.toml:4"


def test_a_name_is_a_shipped_profile_from_everywhere(profiles):
    path = profiles(mine='extends = "demo"\n[run]\nseed = 5\n')
    mine, demo = resolve(path, {}, installed=PLUGINS), resolve("demo", {}, installed=PLUGINS)
    assert mine.settings.run.seed == 5
    assert mine.settings.run.plugins == demo.settings.run.plugins
    assert str(mine.origin_of("run.for")).startswith("profile demo.toml:")


def test_the_defaults_may_be_named_and_stay_the_defaults(profiles):
    resolved = resolve(profiles(mine='extends = "base"\n'), {}, installed=())
    assert resolved.origin_of("engine.strikes").layer == "default"


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ({"a": 'extends = "a.toml"'}, "extends: expected a chain of profiles that ends, found a.toml -> a.toml"),
        (
            {"a": 'extends = "b.toml"', "b": 'extends = "c.toml"', "c": 'extends = "b.toml"'},
            "extends: expected a chain of profiles that ends, found a.toml -> b.toml -> c.toml -> b.toml",
        ),
    ],
)
def test_a_circle_is_refused_with_the_chain_named(profiles, texts, said):
    assert refused(profiles(**texts)) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('extends = "demmo"', "nearest is 'demo', from extends of a.toml"),
        ('extends = "nowhere.toml"', "nowhere.toml', from extends of a.toml"),
        ("extends = 5", "extends: expected one profile as text, was 5, from a.toml"),
        ('extends = ["demo"]', 'extends: expected one profile as text, was ["demo"], from a.toml'),
        ('[run]\nextends = "demo"', "run.extends: expected a known setting, was 'extends'"),
    ],
)
def test_what_cannot_be_extended_is_one_line(profiles, text, said):
    assert said in refused(profiles(a=text))


def test_a_mistake_in_a_file_below_names_that_file(profiles):
    path = profiles(top='extends = "low.toml"\n', low="[engine]\npol_ms = 1\n")
    assert refused(path).endswith("from profile low.toml")


# use ---------------------------------------------------------------------------------------------------------------

TWICE = """
[run]
plugins = ["dip_fast", "signals_drop"]
[plugins.dip_fast]
use = "signals_drop"
lookback = "5m"
"""


def test_one_plugin_twice_under_two_names(profiles):
    installed = available()
    env = {"TRADECORE_PLUGINS__DIP_FAST__DROP_PCT": "0.7"}
    resolved = resolve(profiles(mine=TWICE), env, ["dip_fast.expires_s=9"], installed=installed)
    guests = load(resolved.settings.run.plugins, resolved.sections, installed=installed)
    assert [guest.name for guest in guests] == ["dip_fast", "signals_drop"]
    fast, plain = (guest.settings for guest in guests)
    assert (str(fast.drop_pct), fast.lookback, fast.expires_s) == ("0.7", "5m", 9)
    assert plain == type(plain)()
    assert type(guests[0].plugin) is type(guests[1].plugin)
    assert guests[0].plugin is not guests[1].plugin
    assert guests[0].version == guests[1].version == installed["signals_drop"].version


def test_the_alias_is_shown_with_its_settings_and_their_origin(profiles):
    resolved = resolve(profiles(mine=TWICE), {}, installed=available())
    guests = load(resolved.settings.run.plugins, resolved.sections)
    texts = resolved.shown({guest.name: guest.settings for guest in guests})
    assert texts["plugins.dip_fast.use"] == '"signals_drop"'
    assert texts["plugins.dip_fast.lookback"] == '"5m"'
    assert texts["plugins.signals_drop.lookback"] == '"60m"'
    assert "plugins.signals_drop.use" not in texts
    assert str(resolved.origin_of("plugins.dip_fast.use")) == "profile mine.toml:5"


def test_what_is_wrong_in_an_alias_names_the_alias(profiles):
    installed = available()
    resolved = resolve(profiles(mine=TWICE + "drop_pct = 0\n"), {}, installed=installed)
    with pytest.raises(
        SettingsError, match=r"^dip_fast\.drop_pct: expected a value > 0 and < 100 \(%\), was 0, from prof"
    ):
        load(
            resolved.settings.run.plugins,
            resolved.sections,
            installed=installed,
            origin=lambda key: str(resolved.origin_of(key)),
        )


def test_an_alias_may_come_from_the_command_line_alone(profiles):
    resolved = resolve(profiles(mine=""), {}, ["dip.use=alpha", "dip.x=1"], "dip,alpha", installed=("alpha",))
    assert resolved.sections == {"dip": {"use": "alpha", "x": 1}}


@pytest.mark.parametrize(
    ("name", "use", "said"),
    [
        ("dip", '"alpa"', "expected an installed plugin, was \"alpa\", nearest is 'alpha', from profile a.toml:2"),
        ("dip", "5", "expected an installed plugin, was 5, from profile a.toml:2"),
        ("beta", '"alpha"', "expected a name that no installed plugin has, was 'beta', from profile a.toml:2"),
        ("engine", '"alpha"', "expected a name that is no section of the settings, was 'engine', from"),
        ('"dip.fast"', '"alpha"', "expected a name of small letters, digits and single _, was 'dip.fast', from"),
        ("dip__fast", '"alpha"', "expected a name of small letters, digits and single _, was 'dip__fast', from"),
    ],
)
def test_an_alias_that_would_mislead_is_refused(profiles, name, use, said):
    message = refused(profiles(a=f"[plugins.{name}]\nuse = {use}\n"), installed=("alpha", "beta"))
    assert message.startswith(f"plugins.{name.strip(chr(34))}.use: {said}"), message


def test_an_alias_of_an_alias_is_refused_and_says_whose_name_it_is(profiles):
    path = profiles(a='[plugins.one]\nuse = "two"\n[plugins.two]\nuse = "alpha"\n')
    assert "was \"two\", which is a name for 'alpha' itself" in refused(path, installed=("alpha",))


def test_a_section_that_uses_itself_is_the_plugin(profiles):
    resolved = resolve(profiles(a='[plugins.exits]\nuse = "exits"\n'), {}, installed=available())
    assert load(["exits"], resolved.sections)[0].name == "exits"


# shipped profiles --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["conservative", "altcoin"])
def test_shipped_profiles_that_extend_say_what_they_are_for(name):
    text = (profile_folder() / f"{name}.toml").read_text(encoding="utf-8")
    assert name in shipped_profiles()
    assert text.startswith(f"# {name.title()}: ")
    assert f"tradecore config diff demo {name}" in text
    assert tomllib.loads(text)["extends"] == "demo"


def plugin_settings(name):
    installed = available()
    resolved = resolve(name, {}, installed=installed)
    guests = load(resolved.settings.run.plugins, resolved.sections, installed=installed)
    return resolved.settings, {guest.name: guest.settings for guest in guests}


def test_conservative_risks_less_than_the_demo_and_altcoin_waits_where_the_demo_takes():
    demo, demo_guests = plugin_settings("demo")
    careful, careful_guests = plugin_settings("conservative")
    thin, thin_guests = plugin_settings("altcoin")
    for key in ("max_exposure_pct", "max_positions", "max_daily_drawdown_pct", "spread_bps_max", "slippage_bps_max"):
        assert getattr(careful_guests["risk_limits"], key) < getattr(demo_guests["risk_limits"], key), key
    assert careful.engine.max_spread_bps < demo.engine.max_spread_bps < thin.engine.max_spread_bps
    assert thin_guests["size_fixed"].amount < demo_guests["size_fixed"].amount
    resting = [step.time_in_force for step in thin_guests["exec_ioc_gtc"].steps]
    assert resting.count("GTC") > len(resting) / 2
    # an order that the core would refuse for its own caps could never trade
    for settings, guests in ((careful, careful_guests), (thin, thin_guests)):
        cap = min(settings.engine.max_slippage_bps, guests["risk_limits"].slippage_bps_max)
        assert all(step.premium_bps <= cap for step in guests["exec_ioc_gtc"].steps)
        assert settings.twin.spread_bps < settings.engine.max_spread_bps
        assert guests["risk_limits"].spread_bps_max <= settings.engine.max_spread_bps
