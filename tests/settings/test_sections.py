"""Sections: described, with units, the same defaults as base.toml, frozen."""

from __future__ import annotations

import re
import tomllib
from decimal import Decimal

import pytest
from pydantic import BaseModel, ValidationError

from tradecore.errors import SettingsError
from tradecore.hooks.specs import HOOKS
from tradecore.settings import Settings, all_keys, duration_s, profile_folder
from tradecore.settings.wording import fields_of, keyed, model_of, unit_of

BASE = (profile_folder() / "base.toml").read_text(encoding="utf-8")


def walk(model, above=""):
    for name, info in fields_of(model).items():
        yield f"{above}{name}", info
        inside = model_of(info)
        if inside is not None:
            yield from walk(inside, f"{above}{name}.")


@pytest.mark.parametrize(
    ("key", "info"), list(walk(Settings)), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_field_has_a_description_and_a_unit(key, info):
    assert info.description
    assert unit_of(info)


def values_of(model):
    return {name: values_of(value) if isinstance(value, BaseModel) else value for name, value in keyed(model).items()}


def test_base_toml_holds_the_defaults_of_the_models():
    written = Settings(**tomllib.loads(BASE, parse_float=Decimal))
    assert values_of(written) == values_of(Settings())


def test_base_toml_names_every_key_with_its_unit():
    """A key is there with its value, or behind a # where it is absent by default."""
    table = ""
    named = set()
    for line in BASE.splitlines():
        if header := re.match(r"\[(.+)\]", line):
            table = header[1]
        elif key := re.match(r"(?:# )?(\w+) = .*\[.+\]$", line):
            named.add(f"{table}.{key[1]}")
    assert named == set(all_keys())


def test_r5_every_interval_is_a_setting_with_its_default():
    defaults = keyed(Settings().intervals)
    assert defaults == {
        "scan_s": 5, "exit_check_s": 1, "position_update_s": 2, "persist_s": 30, "stale_cleanup_s": 30,
        "heartbeat_s": 30, "health_s": 60, "metrics_export_s": 60, "balance_refresh_s": 20, "reconcile_s": 10,
        "clock_check_s": 60, "conservation_s": 60, "dust_sweep_s": 3600, "universe_s": 3600, "retention_s": 86_400,
        "commands_s": 1,
    }  # fmt: skip


def test_every_hook_has_a_deadline():
    assert set(keyed(Settings().engine.deadlines_ms)) == set(HOOKS)


def test_sections_are_frozen_and_the_environment_is_not_read_by_itself(monkeypatch):
    monkeypatch.setenv("RUN", '{"seed": 9}')
    monkeypatch.setenv("ENGINE", '{"poll_ms": 9}')
    settings = Settings()
    assert settings.run.seed == 1
    with pytest.raises(ValidationError):
        settings.run.seed = 2


@pytest.mark.parametrize(("speed", "scale"), [("max", None), (1, 1.0), (60, 60.0), (Decimal("0.5"), 0.5)])
def test_speed_is_a_number_or_max(speed, scale):
    assert Settings(run={"speed": speed}).run.scale == scale


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("2h", 7200), ("1h30m", 5400), ("1.5m", 90), ("250ms", 0.25), ("1d", 86_400), ("1 h", 3600)],
)
def test_durations(text, seconds):
    assert duration_s(text) == seconds


@pytest.mark.parametrize("text", ["", "60", "h", "2x", "-1h", "0s", "1h and more", "1h30"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(SettingsError, match="expected a duration such as"):
        duration_s(text)
