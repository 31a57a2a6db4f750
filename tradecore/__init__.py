"""tradecore: a bot that never loses an order, never doubles one, and always says why.

This is the public face for plugin authors: the hook marker and the words of the hooks, each imported on first use so
that the command line starts without numpy. Array words live in ``tradecore.market``, values in ``tradecore.model``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from tradecore.hooks.specs import Resources as Resources
    from tradecore.hooks.specs import hookimpl as hookimpl
    from tradecore.market.answers import Plan as Plan
    from tradecore.market.answers import Wishes as Wishes
    from tradecore.market.frame import Market as Market
    from tradecore.market.frame import MarketFrame as MarketFrame
    from tradecore.model.alert import Alert as Alert
    from tradecore.model.book import Book as Book
    from tradecore.model.fill import Fill as Fill
    from tradecore.model.instrument import Instrument as Instrument
    from tradecore.model.intent import Intent as Intent
    from tradecore.model.order import AttemptView as AttemptView
    from tradecore.model.order import Done as Done
    from tradecore.model.order import OrderRequest as OrderRequest
    from tradecore.model.portfolio import Portfolio as Portfolio
    from tradecore.model.position import Position as Position
    from tradecore.model.reasons import Reason as Reason
    from tradecore.model.signal import Check as Check
    from tradecore.model.signal import Job as Job
    from tradecore.model.signal import JobAnswer as JobAnswer
    from tradecore.model.signal import Keep as Keep
    from tradecore.model.signal import Signal as Signal
    from tradecore.model.signal import Size as Size
    from tradecore.model.signal import Tune as Tune
    from tradecore.model.signal import Verdict as Verdict
    from tradecore.model.units import Side as Side
    from tradecore.model.units import TimeInForce as TimeInForce
    from tradecore.ports.operate import Because as Because
    from tradecore.ports.operate import Blocked as Blocked
    from tradecore.ports.operate import Operate as Operate

_HOMES = {
    "tradecore.hooks.specs": ("Resources", "hookimpl"),
    "tradecore.market.answers": ("Plan", "Wishes"),
    "tradecore.market.frame": ("Market", "MarketFrame"),
    "tradecore.model.alert": ("Alert",),
    "tradecore.model.book": ("Book",),
    "tradecore.model.fill": ("Fill",),
    "tradecore.model.instrument": ("Instrument",),
    "tradecore.model.intent": ("Intent",),
    "tradecore.model.order": ("AttemptView", "Done", "OrderRequest"),
    "tradecore.model.portfolio": ("Portfolio",),
    "tradecore.model.position": ("Position",),
    "tradecore.model.reasons": ("Reason",),
    "tradecore.model.signal": ("Check", "Job", "JobAnswer", "Keep", "Signal", "Size", "Tune", "Verdict"),
    "tradecore.model.units": ("Side", "TimeInForce"),
    "tradecore.ports.operate": ("Because", "Blocked", "Operate"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}
__all__ = ["__version__", *sorted(_HOME_OF)]  # noqa: PLE0604 - the names are strings, built from the table above


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'tradecore' has no attribute {name!r}")
    return getattr(importlib.import_module(home), name)
