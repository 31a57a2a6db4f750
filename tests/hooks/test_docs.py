"""docs/hooks.md holds what the code holds: each signature as it is, each example run."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from tradecore import Reason, Resources
from tradecore.hooks.admit import admit
from tradecore.hooks.specs import HOOKS, Hooks
from tradecore.model.events import SlowCycle, Stamped
from tradecore.model.signal import CAPS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "hooks.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, flags=re.M | re.S))
EXAMPLES = {name: re.findall(r"```python\n(.*?)```", text, flags=re.S) for name, text in SECTIONS.items()}


def signature(hook):
    text = str(inspect.signature(getattr(Hooks, hook))).replace("'", "")
    return hook + text.replace("(self, ", "(").replace("(self)", "()")


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_has_its_heading_and_its_exact_signature(hook):
    assert f"`{signature(hook)}`" in SECTIONS[hook].splitlines()[1]


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_says_what_none_or_an_exception_means_and_has_one_example(hook):
    text = SECTIONS[hook]
    assert "exception" in text
    assert len(EXAMPLES[hook]) == 1
    if "May be async" in inspect.getdoc(getattr(Hooks, hook)):
        assert "async" in text


def test_the_page_has_no_hook_that_is_not_there():
    other = {"Writing a plugin", "Faults, quarantine, deadlines", "What is refused at load"}
    assert SECTIONS.keys() == set(HOOKS) | other


def test_the_caps_are_named():
    assert all(f"`{cap}`" in SECTIONS["risk_check"] for cap in CAPS)


def guest_of(example):
    space = {"__name__": "example"}
    # Without this module's own future imports: an example is a file of its own.
    exec(compile(example, "docs/hooks.md", "exec", dont_inherit=True), space)
    (maker,) = [value for value in space.values() if inspect.isclass(value) and "Settings" in vars(value)]
    return maker


async def test_every_example_does_what_it_says(seat, words, tmp_path):
    makers = {hook: guest_of(EXAMPLES[hook][0]) for hook in HOOKS}
    for hook, maker in makers.items():
        assert hook in admit(hook, maker, {}).hooks
        maker.name = hook
    calls = seat(*makers.values())
    plugin = {guest.name: guest.plugin for guest in calls.guests}

    ((_, wishes),) = calls.signals(words.frame, range(5)).wishers
    assert wishes.value.shape == (5, 2)
    assert calls.warmup_rows(60_000) == 3
    ((_, plan),) = calls.follow(words.frame, range(2), words.position).plans
    assert plan.stop.tolist() == [1.47, 1.47]
    size = calls.size(words.signal, words.portfolio, words.instrument, words.market)
    assert str(size.best.quantity) == "33.3"
    risk = calls.risk(words.intent, words.portfolio, words.market)
    assert risk.allowed
    assert [check.limit for check in risk.checks] == ["positions"]
    assert calls.route(words.intent, words.book, (), words.t0, "").answer.price == words.intent.price_cap
    ((name, job),) = calls.jobs()
    assert calls.ask_job(name, job, words.portfolio, words.market, None).state == {"wins": 0}
    (removed,) = calls.universe({words.symbol: words.instrument._replace(can_sell=False)}, {}, words.market)
    assert removed[1].reason == "cannot be sold"
    await calls.start({"on_start": Resources(tmp_path, {}, "r1")})
    assert plugin["on_start"].lines == ["run r1 begins"]
    await calls.tell("on_fill", words.fill, words.intent, words.position, "e1")
    assert plugin["on_fill"].seen == {"e1"}
    await calls.tell("on_fail", words.intent, Reason.NO_LIQUIDITY, "", "e2")
    assert plugin["on_fail"].reasons == {Reason.NO_LIQUIDITY: 1}
    await calls.tell("on_event", Stamped(1, SlowCycle("scan", "slow", 1200.0)))
    assert plugin["on_event"].jobs == ["scan"]
    await calls.tell("on_shutdown", "done")
    assert plugin["on_shutdown"].reason == "done"
    assert calls.ear.faults == []


def test_the_first_example_is_a_plugin():
    guest = admit("spread_cap", guest_of(EXAMPLES["Writing a plugin"][0]), {"spread_bps": "12.5"})
    assert str(guest.asks["risk_check"](None, None, None).caps["spread_bps_max"]) == "12.5"
