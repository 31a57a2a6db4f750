"""Recorded candles, where they lie beside the repository."""

from __future__ import annotations

from pathlib import Path

import pytest

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "candles"


@pytest.fixture(scope="session")
def candles() -> Path:
    if not DATA.is_dir():
        pytest.skip("no recorded candles beside the repository")
    return DATA
