"""Tunes: one guest's job moves another guest's setting, and a quarantine moves it back."""

from __future__ import annotations

from decimal import Decimal

import pytest
from pydantic import BaseModel, Field, model_validator

from tradecore import Job, JobAnswer, Size, Tune, Verdict, hookimpl
from tradecore.errors import PluginLoadError, SettingsError


class DropSettings(BaseModel, frozen=True, extra="forbid"):
    threshold: float = Field(2.0, gt=0, le=50)
    floor: float = Field(1.0, ge=0)
    lookback: str = "60m"

    @model_validator(mode="after")
    def _fits(self):
        if self.floor > self.threshold:
            raise ValueError(f"expected floor at most threshold={self.threshold:g}, was {self.floor:g}")
        return self


def drop(base):
    class Drop(base):
        Settings = DropSettings

        def __init__(self, settings):
            super().__init__(settings)
            if settings.threshold == 13:
                raise SystemExit("unlucky")

        @property
        def warmup(self):
            return {"base": self.settings.lookback}

        @hookimpl
        def size(self, signal):
            return Size(Decimal(str(self.settings.threshold)), "threshold")

        @hookimpl
        def signal(self, frame):
            raise ValueError("broken")

        @hookimpl
        def jobs(self):
            return [
                Job("tell", 5, lambda portfolio, market, last: JobAnswer(state={"threshold": self.settings.threshold}))
            ]

    return Drop


def adaptive(base):
    class Adaptive(base):
        @hookimpl
        def jobs(self):
            return [Job("look", 5, self.look)]

        def look(self, portfolio, market, last):
            raise ValueError("lost its mind")

        @hookimpl
        def risk_check(self, intent):
            return Verdict()

    return Adaptive


def offered(calls, words):
    return calls.size(words.signal, words.portfolio, words.instrument, words.market).best.quantity


def test_a_tune_is_in_force_at_the_next_call_and_keeps_the_rest(seat, base, words):
    calls = seat(drop(base), sections={"drop": {"floor": 0.5}})
    old_instance = calls.guests[0].plugin
    assert calls.tune(Tune("drop.threshold", 3, "calm market"), "adaptive") == ("2", "3")
    assert offered(calls, words) == Decimal("3.0")
    assert calls.guests[0].settings.floor == 0.5
    assert calls.guests[0].plugin is not old_instance
    assert calls.tunes["drop.threshold"].by == "adaptive"
    assert calls.tune(Tune("drop.lookback", "120m", "calm market")) == ('"60m"', '"120m"')
    assert calls.warmup_rows(60_000) == 120
    assert calls.untune("drop") == ("drop.lookback", "drop.threshold")
    assert offered(calls, words) == Decimal("2.0")
    assert calls.guests[0].plugin is old_instance
    assert calls.warmup_rows(60_000) == 60
    assert calls.tunes == {}


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        (
            "drob.threshold",
            3,
            "drob.threshold: expected a setting of a guest of this run, was 'drob', nearest is 'drop'",
        ),
        ("drop.treshold", 3, "drop.treshold: expected a key of drop, was 'treshold', nearest is 'threshold'"),
        ("drop.threshold", 99, "drop.threshold: expected a value > 0 and <= 50, was 99"),
        ("drop.threshold", "high", 'drop.threshold: expected a number > 0 and <= 50, was "high"'),
        ("drop.floor", 5, "drop: expected floor at most threshold=2, was 5"),
        ("drop.lookback", "soon", "drop.warmup: expected 'base' or a timeframe to a window such as '60m'"),
    ],
)
def test_a_tune_that_does_not_fit_changes_nothing(seat, base, words, setting, value, said):
    calls = seat(drop(base))
    instance = calls.guests[0].plugin
    with pytest.raises((SettingsError, PluginLoadError)) as caught:
        calls.tune(Tune(setting, value, "why"))
    assert str(caught.value).startswith(said)
    assert calls.guests[0].plugin is instance
    assert calls.tunes == {}


def test_a_guest_that_cannot_be_made_anew_stays_as_it_was(seat, base, words):
    calls = seat(drop(base))
    with pytest.raises(PluginLoadError, match="was SystemExit: unlucky"):
        calls.tune(Tune("drop.threshold", 13, "why"))
    assert offered(calls, words) == Decimal("2.0")


def test_a_guest_with_resources_cannot_be_tuned(seat, base):
    class Model(drop(base)):
        name = "model"

        @hookimpl
        def on_start(self, resources):
            return None

    with pytest.raises(SettingsError, match="expected a guest without on_start"):
        seat(Model).tune(Tune("model.threshold", 3, "why"))


def test_a_quarantine_undoes_what_was_tuned_in_the_guest(seat, base, words):
    calls = seat(drop(base))
    calls.tune(Tune("drop.threshold", 3, "why"), "adaptive")
    for _ in range(3):
        calls.signals(words.frame, range(1))
    assert calls.quarantined == {("drop", "signal")}
    assert offered(calls, words) == Decimal("2.0")
    assert calls.tunes == {}


def test_a_quarantine_of_the_job_undoes_what_it_tuned_and_only_that(seat, base, words):
    calls = seat(drop(base), adaptive(base))
    jobs = dict(calls.jobs())
    calls.tune(Tune("drop.threshold", 3, "why"), "adaptive")
    calls.tune(Tune("drop.floor", 0.25, "by hand"), "operator")
    for _ in range(3):
        assert calls.ask_job("adaptive", jobs["adaptive"], words.portfolio, words.market, None) is None
    assert calls.quarantined == {("adaptive", "jobs")}
    assert list(calls.tunes) == ["drop.floor"]
    assert calls.guests[0].settings == DropSettings(floor=0.25)


def test_tunes_that_do_not_fit_without_the_undone_one_go_too(seat, base, words):
    calls = seat(drop(base), adaptive(base))
    ((_, _), (_, job)) = calls.jobs()
    calls.tune(Tune("drop.threshold", 9, "why"), "adaptive")
    calls.tune(Tune("drop.floor", 5, "needs the threshold"), "operator")
    for _ in range(3):
        calls.ask_job("adaptive", job, words.portfolio, words.market, None)
    assert calls.tunes == {}
    assert calls.guests[0].settings == DropSettings()


def test_a_tuned_guests_job_is_asked_of_the_new_instance(seat, base, words):
    calls = seat(drop(base))
    ((plugin, job),) = calls.jobs()
    calls.tune(Tune("drop.threshold", 3, "why"))
    assert calls.ask_job(plugin, job, words.portfolio, words.market, None).state == {"threshold": 3.0}
    calls.untune("drop")
    assert calls.ask_job(plugin, job, words.portfolio, words.market, None).state == {"threshold": 2.0}


def test_faults_stay_with_the_place_when_the_guest_is_tuned(seat, base, words):
    calls = seat(drop(base))
    calls.signals(words.frame, range(1))
    calls.signals(words.frame, range(1))
    calls.tune(Tune("drop.threshold", 3, "why"))
    calls.signals(words.frame, range(1))
    assert calls.quarantined == {("drop", "signal")}
