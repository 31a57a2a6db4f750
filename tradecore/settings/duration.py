"""Lengths of time as people write them; the rule itself is a word of the model, so that readers need no settings."""

from tradecore.model.duration import DurationError, duration_s

__all__ = ["DurationError", "duration_s"]
