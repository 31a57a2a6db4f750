"""Helpers: recorded sets where they are present, and small folders of candle files."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

RECORDED = Path(__file__).resolve().parents[3] / "shared" / "data" / "candles"
START_MS = 1_735_689_600_000
MINUTE_MS = 60_000


@pytest.fixture
def recorded():
    """Folder of a recorded set; skips where the sets are not at hand."""

    def folder(name):
        path = RECORDED / name
        if not path.is_dir():
            pytest.skip(f"no recorded set {name}")
        return path

    return folder


class Candles:
    """Good candles of one symbol, to be spoilt and written."""

    def __init__(self, rows, seed=0, start_ms=START_MS, step_ms=MINUTE_MS):
        draw = np.random.default_rng(seed)
        close = np.round(100 * np.exp(np.cumsum(draw.normal(0, 0.001, rows))), 2)
        opened = np.concatenate((close[:1], close[:-1]))
        self.data = {
            "ts": start_ms + step_ms * np.arange(rows, dtype=np.int64),
            "open": opened,
            "high": np.round(np.maximum(opened, close) + 0.01, 2),
            "low": np.round(np.minimum(opened, close) - 0.01, 2),
            "close": close,
            "volume": np.round(draw.uniform(0, 50, rows), 3),
        }

    def keep(self, mask):
        self.data = {name: values[mask] for name, values in self.data.items()}
        return self

    def write(self, path, row_group_size=None):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".parquet":
            pq.write_table(pa.table(self.data), path, row_group_size=row_group_size)
        else:
            columns = [[repr(value) for value in self.data[name].tolist()] for name in self.data]
            lines = [",".join(self.data), *(",".join(row) for row in zip(*columns, strict=True))]
            path.write_text("\n".join(lines) + "\n")
        return path


@pytest.fixture
def candles():
    return Candles
