"""What an entry is made of: the signal of a hit, and the intent under the caps that its guests set."""

from __future__ import annotations

import math

from tradecore.engine.budget import affordable
from tradecore.engine.scan import Hit
from tradecore.model.instrument import Instrument
from tradecore.model.intent import Cap, Intent
from tradecore.model.signal import Signal
from tradecore.model.units import (
    PositionId,
    Side,
    add_bps,
    decimal_of,
    floor_to_tick,
    price_of,
    signal_id,
    times,
)


def make_signal(hit: Hit, row_ms: int, position_id: PositionId | None = None) -> Signal:
    """Make the signal of a hit: the core takes the price from the frame, no guest names it (R3).

    Args:
        position_id: The position to add to; ``None`` for an entry.

    Raises:
        UnitError: If the row's close is no price.
    """
    wanted = hit.quote_wanted
    return Signal(
        signal_id(hit.plugin, hit.symbol, Side.BUY, row_ms, position_id or ""), hit.plugin, hit.symbol, Side.BUY,
        row_ms,
        row_ms + hit.expires_after_ms, price_of(hit.price), row_ms, hit.strength, hit.reason, hit.value, hit.threshold,
        hit.unit, position_id=position_id,
        quote_wanted=decimal_of(repr(wanted)) if math.isfinite(wanted) and wanted > 0 else None,
        group=f"{hit.plugin}/{row_ms}/{hit.group}" if hit.group >= 0 else "",
    )  # fmt: skip


def with_caps(intent: Intent, caps: dict[str, Cap], instrument: Instrument) -> Intent:
    """Write the caps into the intent and tighten its price cap, quantity and life to them (HOOKS.md)."""
    changes: dict[str, object] = {"caps": caps}
    slippage = caps.get("slippage_bps_max")
    if slippage is not None:
        cap = floor_to_tick(add_bps(intent.price, slippage.value), instrument.tick_size)
        changes["price_cap"] = min(intent.price_cap, cap)
    notional = caps.get("notional_quote_max")
    if notional is not None and times(intent.quantity, intent.price) > notional.value:
        changes["quantity"] = affordable(instrument._replace(fee_currency=""), notional.value, intent.price)
        changes["constraint"] = f"{notional.plugin}: notional_quote_max"
    life = caps.get("ttl_ms_max")
    if life is not None:
        changes["expires_ms"] = min(intent.expires_ms, intent.created_ms + int(life.value))
    return intent._replace(**changes)  # type: ignore[arg-type]  # every key is a field of Intent, just above
