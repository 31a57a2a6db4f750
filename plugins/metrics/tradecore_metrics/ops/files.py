"""The generated files by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tradecore_metrics.ops.dashboard import dashboard_json
from tradecore_metrics.ops.rules import rules_yaml

FILES: Final[Mapping[str, str]] = {"alerts.yml": rules_yaml(), "dashboard.json": dashboard_json()}
