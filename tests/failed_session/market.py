"""The market of the failed session, written anew: prices that run away while an order is on its way.

Fifty-three coins, each with one story in rows of a second: it stands, falls by half a percent, gives its one signal,
and in the next moment stands higher than any limit of those days reached. Fourteen of them stop for half a second
within the cap and are chased once: 53 signals, 67 orders. Afterwards each rises by two percent.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

ROW_MS: Final = 1_000
START_MS: Final = 1_735_689_600_000
COINS: Final = 53
CHASED: Final = frozenset({*range(1, COINS, 4), COINS - 1})
"""Coins whose ask stands within the cap of 15 bps for a moment after the first order missed it."""
FIRST_ROW: Final = 45
APART: Final = 8
"""Rows between two signals."""
ROWS: Final = FIRST_ROW + APART * COINS + 60
Prices = tuple[float, float, float, float]
"""Open, low, high, close, relative to where the coin stood at first."""

#: What the market is like, and what asks for signals: the same whatever the orders are like.
STORY: Final = """
extends = "demo"
[run]
speed = "max"
for = ""
[market]
between_closes = false
[twin]
spread_bps = 2
latency_ms = 450
[plugins.signals_drop]
drop_pct = 0.5
lookback = "40s"
expires_s = 20
"""
#: How its orders were sent: IOC only, 600 ms, premiums of 10, 30 and 60 bps under a cap of 15, spread limit 10.
FAILED: Final = """
extends = "story.toml"
[engine]
max_slippage_bps = 15
max_spread_bps = 10
[plugins.risk_limits]
slippage_bps_max = 15
spread_bps_max = 10
max_exposure_pct = 60
max_positions = 8
[plugins.exec_ioc_gtc]
cap_bps = 60
steps = [
  { time_in_force = "IOC", premium_bps = 10, attempts = 1, ttl_ms = 600 },
  { time_in_force = "IOC", premium_bps = 30, attempts = 1, ttl_ms = 600 },
  { time_in_force = "IOC", premium_bps = 60, attempts = 1, ttl_ms = 600 },
]
"""
ALLOW: Final = "run.allow=premium_over_cap,ttl_under_latency"


def bps(value: float) -> float:
    """A ratio that lies so many basis points above 1."""
    return 1 + value / 10_000


def story_of(coin: int) -> list[Prices]:
    """The candles of one coin, relative to its first price."""
    signal = FIRST_ROW + APART * coin
    low, hit = bps(-49.7), bps(-50.3)
    away = (hit * bps(12.3), hit * bps(30)) if coin in CHASED else (hit * bps(25), hit * bps(28))
    rows: list[Prices] = []
    close = 1.0
    for row in range(ROWS):
        if row < signal - 25:
            now = 1.0
        elif row < signal - 5:
            now = 1.0 - (1.0 - low) * (row - signal + 26) / 20
        elif row < signal:
            now = low
        elif row == signal:
            now = hit
        elif row == signal + 1:
            rows.append((away[0], away[0], away[1], away[1]))
            close = away[1]
            continue
        else:
            now = min(bps(200), close * bps(8))
        rows.append((close, min(close, now), max(close, now), now))
        close = now
    return rows


def write_market(folder: Path) -> Path:
    """Write the candles as files, as any recorded market."""
    folder.mkdir(parents=True, exist_ok=True)
    for coin in range(COINS):
        first = 1_000 + 10 * coin
        lines = ["ts,open,high,low,close,volume"]
        for row, (opened, low, high, close) in enumerate(story_of(coin)):
            prices = ",".join(f"{first * price:.2f}" for price in (opened, high, low, close))
            lines.append(f"{START_MS + ROW_MS * row},{prices},{50 + row % 7}.{coin:03d}")
        (folder / f"C{coin:02d}_USDT-1s.csv").write_text("\n".join(lines) + "\n")
    return folder


def write_profiles(folder: Path) -> tuple[Path, Path]:
    """Write the two profiles: as it was sent then, and with the orders of the default profile."""
    folder.mkdir(parents=True, exist_ok=True)
    failed, sound = folder / "failed.toml", folder / "story.toml"
    failed.write_text(FAILED)
    sound.write_text(STORY)
    return failed, sound
