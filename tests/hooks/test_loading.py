"""Who may enter: real distributions on a path, found by entry point; each refusal is one line that says what to do."""

from __future__ import annotations

import functools
import subprocess
import sys
import textwrap

import pytest
from pydantic import BaseModel, Field
from pydantic_settings import BaseSettings

from tradecore import hookimpl
from tradecore.errors import PluginLoadError, SettingsError
from tradecore.hooks.admit import admit
from tradecore.hooks.loader import available, load, require_trading_set

PLUGIN = """
    from pydantic import BaseModel, Field
    from tradecore import hookimpl, Verdict

    class Plugin:
        class Settings(BaseModel, frozen=True, extra="forbid"):
            limit: int = Field(10, ge=1, description="most", json_schema_extra={"unit": "positions"})

        def __init__(self, settings):
            self.settings = settings

        @hookimpl
        def risk_check(self, intent):
            return Verdict()
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Write a distribution as an installer would, on a path of its own."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(name, source=PLUGIN, distribution=None, version="1.2", target="Plugin"):
        distribution = distribution or f"tradecore-{name}"
        module = f"{distribution.replace('-', '_')}_module"
        (tmp_path / f"{module}.py").write_text(textwrap.dedent(source), encoding="utf-8")
        info = tmp_path / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\nSummary: does it\n"
            "Requires-Dist: tradecore>=0.1,<1\n",
            encoding="utf-8",
        )
        (info / "entry_points.txt").write_text(f"[tradecore]\n{name} = {module}:{target}\n", encoding="utf-8")
        return module

    yield make
    for module in [name for name in sys.modules if name.endswith("_module")]:
        del sys.modules[module]


def test_r1_plugins_are_found_by_entry_point_and_not_imported(install):
    module = install("alpha", "raise RuntimeError('imported')")
    info = available()["alpha"]
    assert (info.distribution, info.version, info.target) == ("tradecore-alpha", "1.2", f"{module}:Plugin")
    assert info.requires == ("tradecore>=0.1,<1",)
    assert info.summary == "does it"
    assert module not in sys.modules


def test_r1_the_list_is_the_order(install):
    for name in ("alpha", "beta", "gamma"):
        install(name)
    guests = load(["gamma", "alpha"], {"alpha": {"limit": 3}})
    assert [(guest.name, guest.order, guest.version) for guest in guests] == [("gamma", 0, "1.2"), ("alpha", 1, "1.2")]
    assert guests[1].settings.limit == 3
    assert guests[0].hooks == {"risk_check"}
    assert guests[0].role == "wisher"


def test_an_unknown_plugin_is_refused_with_the_nearest_name(install):
    install("risk_limits_x")
    with pytest.raises(PluginLoadError) as caught:
        load(["risk_limit_x"], installed={"risk_limits_x": available()["risk_limits_x"]})
    assert str(caught.value) == (
        "risk_limit_x: expected an installed plugin, was 'risk_limit_x', nearest is 'risk_limits_x' "
        "(installed: risk_limits_x)"
    )


def test_a_plugin_twice_in_the_list_is_refused(install):
    install("alpha")
    with pytest.raises(PluginLoadError, match="alpha: expected each plugin once in the list, was there twice"):
        load(["alpha", "alpha"])


def test_two_distributions_with_one_name_are_refused(install):
    install("alpha", distribution="one")
    install("alpha", distribution="two")
    install("beta")
    with pytest.raises(PluginLoadError, match=r"alpha: expected one distribution .* found (one and two|two and one)"):
        load(["alpha"])
    assert [guest.name for guest in load(["beta"])] == ["beta"]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import nowhere_to_be_found", "was ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
        ("x = (", "was SyntaxError"),
        ("raise SystemExit('bye')", "was SystemExit: bye"),
        ("Other = 1", "was AttributeError"),
        ("raise ValueError('a\\nb')", "was ValueError: a b"),
        ("Plugin = 1", "alpha: expected the entry point to lead to a class, was int"),
    ],
)
def test_a_plugin_that_cannot_be_imported_is_one_line(install, source, said):
    install("alpha", source)
    with pytest.raises(PluginLoadError) as caught:
        load(["alpha"])
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"limit": "many"}, 'alpha.limit: expected a whole number >= 1 (positions), was "many", from profile x.toml:3'),
        ({"limit": 0}, "alpha.limit: expected a value >= 1 (positions), was 0, from profile x.toml:3"),
        ({"limits": 5}, "alpha.limits: expected a known key, was 'limits', nearest is 'limit', from profile x.toml:3"),
    ],
)
def test_r52_a_wrong_section_names_key_expected_found_and_origin(install, section, said):
    install("alpha")
    with pytest.raises(SettingsError) as caught:
        load(
            ["alpha"],
            {"alpha": section},
            origin=lambda key: "profile x.toml:3" if key.startswith("plugins.alpha") else "",
        )
    assert str(caught.value) == said


def test_r52_settings_that_do_not_fit_each_other_name_the_origins_of_both(install):
    """Those that somebody gave; a default that takes part is no place to look at."""
    source = """
        from pydantic import BaseModel, model_validator

        class Plugin:
            class Settings(BaseModel, frozen=True, extra="forbid"):
                low: int = 1
                high: int = 5
                step: int = 1

                @model_validator(mode="after")
                def _fits(self):
                    if self.low > self.high:
                        raise ValueError(f"expected low of at most high={self.high}, was {self.low}")
                    return self

            def __init__(self, settings):
                self.settings = settings
    """
    install("alpha", source)
    origins = {"plugins.alpha.low": "command line --set alpha.low", "plugins.alpha.high": "profile x.toml:7"}
    for section, given, said in (
        ({"low": 9, "high": 3}, ("low", "high"), "command line --set alpha.low and profile x.toml:7"),
        ({"low": 9}, ("low",), "command line --set alpha.low"),
    ):
        known = {f"plugins.alpha.{key}": origins[f"plugins.alpha.{key}"] for key in given}
        with pytest.raises(SettingsError) as caught:
            load(["alpha"], {"alpha": section}, origin=lambda key, known=known: known.get(key, "default built in"))
        high = section.get("high", 5)
        assert str(caught.value) == f"alpha: expected low of at most high={high}, was 9, from {said}"


def test_a_list_that_can_never_trade_is_refused_naming_what_is_missing(install):
    install("alpha")
    guests = load(["alpha"])
    with pytest.raises(SettingsError) as caught:
        require_trading_set(guests)
    assert str(caught.value) == (
        "run.plugins: expected a sizing, a risk and a routing guest, "
        "missing sizing (size) and routing (route_order) in alpha; "
        "to run without new entries: --set run.allow=no_sizer,no_router"
    )
    with pytest.raises(SettingsError, match="in no plugin"):
        require_trading_set(())
    with pytest.raises(SettingsError, match=r"missing sizing \(size\) in alpha; .*run.allow=no_router,no_sizer$"):
        require_trading_set(guests, ("no_router",))
    require_trading_set(guests, ("no_router", "no_sizer"))


def test_a_filter_whose_scope_names_nobody_is_refused(install):
    source = """
        from pydantic import BaseModel
        from tradecore import hookimpl

        class Plugin:
            class Settings(BaseModel, frozen=True, extra="forbid"):
                pass
            role = "filter"
            applies_to = ("signals_dropp",)
            def __init__(self, settings): ...
            @hookimpl
            def signal(self, frame): ...
    """
    install("alpha", source)
    install("signals_dropz")
    with pytest.raises(
        PluginLoadError, match="expected names of plugins, was 'signals_dropp', nearest is 'signals_drop"
    ):
        load(["alpha"])


def test_listing_plugins_imports_no_library():
    code = "import sys; from tradecore.hooks.entries import available; available(); print(sorted(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "tradecore.hooks.entries" in out.stdout
    assert not {"'numpy'", "'pydantic'", "'pluggy'"} & set(out.stdout.strip("[]\n").split(", "))


# One class at a time ---------------------------------------------------------------------------------------------


class Empty(BaseModel, frozen=True, extra="forbid"):
    pass


class Base:
    Settings = Empty

    def __init__(self, settings):
        pass


def assert_refused(maker, said):
    with pytest.raises(PluginLoadError) as caught:
        admit("guest", maker, {})
    assert said in str(caught.value), str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_misspelt_hook_is_refused_with_the_nearest_name():
    class Misspelt(Base):
        @hookimpl
        def risk_chek(self, intent): ...

    assert_refused(Misspelt, "guest.risk_chek: expected the name of a hook, was 'risk_chek', nearest is 'risk_check'")


def test_a_hook_that_nobody_marked_is_refused():
    class Unmarked(Base):
        def risk_check(self, intent): ...

        @hookimpl
        def size(self, signal): ...

    assert_refused(Unmarked, "guest.risk_check: expected the method to be marked with hookimpl")


def test_an_unmarked_value_with_a_hooks_name_is_no_hook():
    class Named(Base):
        universe = ("AAA/USDT",)

        @hookimpl
        def size(self, signal): ...

    assert admit("guest", Named, {}).hooks == {"size"}


def test_a_guest_without_hooks_is_refused():
    assert_refused(Base, "guest: expected a method marked with hookimpl, found none")


def test_arguments_that_are_never_filled_are_refused():
    class Unknown(Base):
        @hookimpl
        def size(self, signal, portfolo): ...

    class Default(Base):
        @hookimpl
        def size(self, signal, portfolio=None): ...

    class Star(Base):
        @hookimpl
        def size(self, *arguments): ...

    class KeywordOnly(Base):
        @hookimpl
        def size(self, *, signal): ...

    assert_refused(
        Unknown,
        "guest.size: expected arguments out of (signal, portfolio, instrument, market), was 'portfolo', nearest",
    )
    assert_refused(Default, "guest.size: expected no default for 'portfolio'")
    assert_refused(Star, "guest.size: expected plain arguments, was '*arguments'")
    assert_refused(KeywordOnly, "guest.size: expected plain arguments, was 'signal'")


def wrapped(function):
    @functools.wraps(function)
    def inner(*arguments):
        return function(*arguments)

    return inner


def test_deciding_hooks_that_suspend_are_refused_at_load():
    class Async(Base):
        @hookimpl
        async def risk_check(self, intent): ...

    class AsyncGenerator(Base):
        @hookimpl
        async def route_order(self, intent):
            yield None

    class Generator(Base):
        @hookimpl
        def follow(self, frame):
            yield None

    class Wrapped(Base):
        @hookimpl
        @wrapped
        async def size(self, signal): ...

    class Job(Base):
        @hookimpl
        async def jobs(self): ...

    assert_refused(Async, "guest.risk_check: expected a plain function, was a coroutine function")
    assert_refused(AsyncGenerator, "guest.route_order: expected a plain function, was an async generator")
    assert_refused(Generator, "guest.follow: expected a plain function, was a generator")
    assert_refused(Wrapped, "guest.size: expected a plain function, was a coroutine function")
    assert_refused(Job, "guest.jobs: expected a plain function, was a coroutine function")


def test_what_pluggy_would_pass_over_in_silence_is_refused():
    async def check(intent): ...

    class Partial(Base):
        def __init__(self, settings):
            self.risk_check = hookimpl(functools.partial(check))

    class Checker:
        def __call__(self, intent): ...

    class Object(Base):
        risk_check = hookimpl(Checker())

    assert_refused(Partial, "guest.risk_check: expected a method, was partial")
    assert_refused(Object, "guest.risk_check: expected a method, was Checker")


@pytest.mark.parametrize("flag", ["tryfirst", "trylast", "wrapper", "hookwrapper", "optionalhook"])
def test_flags_that_would_change_the_order_or_hide_a_misspelling_are_refused(flag):
    class Flagged(Base):
        @hookimpl(**{flag: True})
        def size(self, signal): ...

    assert_refused(Flagged, f"guest.size: expected hookimpl without {flag}")


def test_two_methods_for_one_hook_are_refused():
    class Twice(Base):
        @hookimpl
        def size(self, signal): ...

        @hookimpl(specname="size")
        def other(self, signal): ...

    assert_refused(Twice, "guest.size: expected one method, found 2")


def test_a_method_may_stand_for_a_hook_by_specname():
    class Named(Base):
        @hookimpl(specname="size")
        def by_amount(self, signal):
            return signal

    assert admit("guest", Named, {}).asks["size"](1, 2, 3, 4) == 1


def test_settings_must_be_a_frozen_model_that_refuses_unknown_keys():
    class Loose(Base):
        class Settings(BaseModel):
            limit: int = Field(1)

    class Reads(Base):
        class Settings(BaseSettings):
            pass

    class Nothing(Base):
        Settings = None

    assert_refused(Loose, 'guest: expected Settings with frozen=True and extra="forbid"')
    assert_refused(Reads, "guest: expected Settings to be a BaseModel, was BaseSettings")
    assert_refused(Nothing, "guest: expected a class Settings that is a pydantic BaseModel, found none")


def test_a_constructor_or_promise_that_raises_is_one_line():
    class Broken(Base):
        def __init__(self, settings):
            raise SystemExit("no\nlicence")

        @hookimpl
        def size(self, signal): ...

    class Warm(Base):
        @property
        def warmup(self):
            raise KeyError("base")

        @hookimpl
        def size(self, signal): ...

    assert_refused(Broken, "guest: expected a plugin that can be made, was SystemExit: no licence")
    assert_refused(Warm, "guest: expected a plugin that can be made, was KeyError: 'base'")


def test_promises_are_checked():
    def guest(**promises):
        class Guest(Base):
            @hookimpl
            def signal(self, frame): ...

        for name, value in promises.items():
            setattr(Guest, name, value)
        return Guest

    def on_event(self, event): ...

    assert_refused(guest(role="fliter"), "guest.role: expected wisher or filter, was 'fliter', nearest is 'filter'")
    assert_refused(guest(applies_to=("drop",)), "guest.applies_to: expected None or names for a filter")
    assert_refused(
        guest(role="filter", applies_to="drop"), "guest.applies_to: expected names of guests or None, was 'drop'"
    )
    assert_refused(guest(role="filter", applies_to=()), "guest.applies_to: expected None or names for a filter")
    assert_refused(
        guest(warmup={"base": "an hour"}), "guest.warmup: expected 'base' or a timeframe to a window such as '60m'"
    )
    assert_refused(guest(warmup={"bass": "60m"}), "guest.warmup: expected 'base' or a timeframe")
    assert_refused(
        guest(events={"slow_cycle"}), "guest.events: expected both events and on_event, found kinds without the hook"
    )
    assert_refused(
        guest(on_event=hookimpl(on_event)), "guest.events: expected both events and on_event, found the hook without"
    )
    assert_refused(
        guest(events={"slow_cicle"}, on_event=hookimpl(on_event)),
        "guest.events: expected kinds of events, was 'slow_cicle', nearest is 'slow_cycle'",
    )

    class Sizer(Base):
        role = "filter"

        @hookimpl
        def size(self, signal): ...

    assert_refused(Sizer, "guest.role: expected the hook signal for a filter, found none")
