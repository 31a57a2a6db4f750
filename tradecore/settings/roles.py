"""What a setting means to the plan: roles that fields of any section may take, guests' fields too (R53).

The core knows no plugin's name, so it cannot know that a field called ``premium_bps`` is the distance of an order from
the touch. A field says so itself: ``json_schema_extra={"unit": "bps", "plan": "entry_premium_bps"}``. A third party's
guest takes part in the plan in the same way.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tradecore.settings.wording import fields_of, keyed


class Role(enum.StrEnum):
    """What a field means, whoever has it."""

    ENTRY_PREMIUM_BPS = "entry_premium_bps"
    """Distance of an entry's limit beyond the best ask."""
    ENTRY_TIME_IN_FORCE = "entry_time_in_force"
    """IOC, FOK or GTC of an entry's order."""
    ENTRY_TTL_MS = "entry_ttl_ms"
    """How long an entry's order may stand."""
    ENTRY_ORDERS = "entry_orders"
    """Orders of an entry's step."""
    EXIT_PREMIUM_BPS = "exit_premium_bps"
    """Distance of an exit's limit below the best bid."""
    EXIT_TTL_MS = "exit_ttl_ms"
    """How long an exit's order may take."""
    SLIPPAGE_CAP_BPS = "slippage_cap_bps"
    """Most that an entry pays above its signal's price; 0 sets none."""
    SPREAD_CAP_BPS = "spread_cap_bps"
    """Widest spread at which an entry is sent; 0 sets none."""
    ENTRY_QUOTE = "entry_quote"
    """Money of one entry; 0 sets none."""
    EXPOSURE_MAX_PCT = "exposure_max_pct"
    """Most money in use, % of equity."""
    POSITIONS_MAX = "positions_max"
    """Most positions at once."""
    STOP_PCT = "stop_pct"
    """Distance of the stop below the price paid; 0 sets none."""
    TAKE_PCT = "take_pct"
    """Distance of the take above the price paid; 0 sets none."""


_ROLES = {role.value: role for role in Role}


class Fact(NamedTuple):
    """One value that the plan understands."""

    role: Role
    key: str
    """Dotted key, with the place in a list from 1: ``plugins.exec_ioc_gtc.steps[2].premium_bps``."""
    value: Decimal | str
    group: str
    """What stands before the last dot: facts of one step of a ladder share it."""


def facts_of(model: BaseModel, prefix: str) -> Iterator[Fact]:
    """Yield every value of a section whose field takes a role.

    Args:
        prefix: Key of the section, as ``engine`` or ``plugins.exits``.
    """
    fields, values = fields_of(type(model)), keyed(model)
    for name, info in fields.items():
        yield from _facts(info, values[name], f"{prefix}.{name}", prefix)


def _facts(info: FieldInfo, value: Any, key: str, group: str) -> Iterator[Fact]:
    if isinstance(value, BaseModel):
        yield from facts_of(value, key)
        return
    if isinstance(value, tuple | list):
        for place, item in enumerate(value, start=1):
            yield from _facts(info, item, f"{key}[{place}]", group)
        return
    role = role_of(info)
    if role is not None and value is not None:
        yield Fact(role, key, value if isinstance(value, str) else Decimal(str(value)), group)


def role_of(info: FieldInfo) -> Role | None:
    """The role that a field takes; ``None``: none that is known."""
    extra = info.json_schema_extra
    if not isinstance(extra, Mapping):
        return None
    name = extra.get("plan")
    return _ROLES.get(name) if isinstance(name, str) else None
