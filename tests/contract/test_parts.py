"""The parts of the suite: metadata cards, watchers, fingerprints, prerequisites, limits."""

import os
import random
import socket
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from pydantic import BaseModel

from tradecore import Wishes, hookimpl
from tradecore.errors import PluginLoadError
from tradecore.hooks.entries import PluginInfo
from tradecore.testing.contract import runner, watchers
from tradecore.testing.contract.cards import Outcome
from tradecore.testing.contract.entry import core_range, distribution
from tradecore.testing.contract.fingerprint import difference, fingerprint
from tradecore.testing.contract.runner import BY_NUMBER, ask_card, check_subject
from tradecore.testing.contract.schema import toml_of
from tradecore.testing.contract.subject import Subject, subject_of
from tradecore.testing.contract.watchers import Watch


@pytest.mark.parametrize(
    ("requires", "word"),
    [
        ((), "does not require tradecore"),
        (("numpy>=1",), "does not require tradecore"),
        (("tradecore",), "no lower bound"),
        (("tradecore<1",), "no lower bound"),
        (("tradecore>=0.1",), "no upper bound"),
        (("tradecore>=2,<3",), "leaves out this core"),
        (("Tradecore[testing]>=0.1,<1",), ""),
        (("tradecore~=0.1",), ""),
    ],
)
def test_c06_the_range_of_the_core(requires, word):
    result = core_range(requires)
    assert (result.outcome is Outcome.PASSED) == (not word)
    assert word in result.reason


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({}, ""),
        ({"name": "Signals-Drop"}, "lower case"),
        ({"version": "first"}, "PEP 440"),
        ({"summary": ""}, "no summary"),
    ],
)
def test_c05_the_distribution(changes, word):
    entry = metadata.EntryPoint("p", "m:C", "tradecore")
    info = PluginInfo("signals_drop", "tradecore-signals-drop", "1.0", "m:C", (), "What it does.", entry)
    result = distribution(Subject("p", object, info=info._replace(**changes)))
    assert (result.outcome is Outcome.PASSED) == (not word)
    assert word in result.reason


TOUCHES = {
    "time": (watchers.CLOCK, time.time),
    "monotonic": (watchers.CLOCK, time.monotonic_ns),
    "sleep": (watchers.CLOCK, lambda: time.sleep(0)),
    "date": (watchers.CLOCK, lambda: datetime.now(UTC)),
    "random": (watchers.CHANCE, random.random),
    "choice": (watchers.CHANCE, lambda: random.Random(1).choice([1, 2])),
    "numpy": (watchers.CHANCE, lambda: np.random.default_rng(1)),
    "numpy of its own": (watchers.CHANCE, lambda: np.random.RandomState(1).normal()),
    "legacy numpy": (watchers.CHANCE, lambda: np.random.normal(0.0)),
    "urandom": (watchers.CHANCE, lambda: os.urandom(1)),
    "socket": (watchers.NETWORK, lambda: socket.socket().close()),
    "file": (watchers.FILES, lambda: Path(__file__).read_bytes()),
    "stat": (watchers.FILES, lambda: Path(__file__).exists()),
    "print": (watchers.FILES, lambda: print(end="")),  # noqa: T201 - what the watch must see
    "thread": (watchers.THREADS, lambda: threading.Thread(target=len, args=((),)).start()),
    "process": (watchers.THREADS, lambda: subprocess.run([sys.executable, "-c", ""], check=True)),
    "environment": (watchers.ENVIRONMENT, lambda: os.environ.get("HOME")),
    "getenv": (watchers.ENVIRONMENT, lambda: os.getenv("HOME")),
}


@pytest.mark.parametrize("name", TOUCHES)
def test_a_watch_sees_what_is_touched_and_where(name):
    kind, touch = TOUCHES[name]
    watch = Watch()
    with watch.running():
        touch()
    assert watch.of(kind), watch.touches
    assert watch.of(kind)[0].where.startswith("test_parts.py:")


def test_a_watch_sees_nothing_in_arithmetic_and_nothing_once_it_is_off():
    watch = Watch()
    older = np.random.random
    with watch.running():
        np.nanmax(np.round(np.arange(9.0).reshape(3, 3) / 7.0, 3), axis=0).tolist()
        sorted({"b": 1, "a": 2}.items())
        datetime.fromtimestamp(0, UTC).isoformat()
    assert watch.touches == []
    assert np.random.random is older
    assert sys.getprofile() is None
    time.time()
    os.environ.get("HOME")
    assert watch.touches == []


def test_fingerprints_tell_kinds_and_bits_apart():
    assert fingerprint(1) != fingerprint(1.0) != fingerprint(True)
    assert fingerprint(float("nan")) == fingerprint(-float("nan"))
    assert fingerprint({"a": [1], "b": 2}) == fingerprint({"b": 2, "a": [1]})
    one, other = np.array([1.0, np.nan]), np.array([1.0, np.nan])
    assert fingerprint(one) == fingerprint(other)
    other[0] = np.nextafter(1.0, 2.0)
    assert difference(fingerprint(one), fingerprint(other))
    assert difference(fingerprint(one), fingerprint(one)) == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "true"), (1, "1"), (1.5, "1.5"), (1e-9, "0.000000001"), ('a"\n', '"a\\"\\n"'), ((1, "b"), '[1, "b"]')],
)
def test_settings_are_written_as_toml(value, text):
    assert toml_of(value) == text


class Hangs:
    class Settings(BaseModel, frozen=True, extra="forbid"):
        pass

    def __init__(self, settings):
        pass

    @hookimpl
    def signal(self, frame, rows):
        while True:
            pass


def test_a_plugin_that_hangs_is_interrupted_and_told_of(monkeypatch):
    monkeypatch.setattr(runner, "LIMIT_S", 0.2)
    result = ask_card(BY_NUMBER["C20"], subject_of(Hangs))
    assert result.outcome is Outcome.FAILED
    assert "did not come back within 0.2 s" in result.reason


class Nonsense:
    class Settings(BaseModel, frozen=True, extra="forbid"):
        pass

    def __init__(self, settings):
        raise SystemExit(3)

    @hookimpl
    def signal(self, frame, rows):
        return Wishes(np.zeros(1), "<=", 1.0, "x", "y")


def test_cards_that_rest_on_a_failure_are_skipped_and_say_so():
    report = check_subject(subject_of(Nonsense))
    assert "C04" in {line.id[:3] for line in report.failures}
    rest = [line for line in report.cards if line.id.startswith(("C20", "C31", "C80"))]
    assert all("mend that first" in line.reason for line in rest)


def test_an_unknown_plugin_is_told_with_the_nearest_name():
    with pytest.raises(PluginLoadError, match="signals_drop"):
        subject_of("signals_dorp")
