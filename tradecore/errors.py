"""The exception tree. A class is named for the reaction it asks of the caller.

::

    TradecoreError
    ├── UsageError                  tell the person, exit 2
    │   ├── SettingsError           a value, a name or a combination is wrong
    │   ├── PluginLoadError         a guest may not enter
    │   ├── DataError               market data on disk cannot be used
    │   ├── StateFolderError        the state folder cannot be written or is in use
    │   ├── StartRefused            clock or key are not fit to trade with
    │   └── SchemaMismatch          the database belongs to another schema
    ├── UnitError                   a number is not what its unit allows: a bug, or bad input at a door
    ├── TransitionError             a state moved along no row of the table: a bug
    ├── PluginError                 a guest faulted: answer for it, count it, go on
    ├── OperatorRefused             a guest asked for a command that it may not: tell whoever asked it
    ├── StoreError                  nothing durable happened: do not send
    │   ├── DuplicateRecord         the store already holds it: treat as done, never do it again
    │   └── LeaseLost               another process writes the store: send nothing more, end
    ├── RetryableVenueError         a read failed: try again later
    ├── Interrupted                 a signal ended the start: say so, exit 128 + its number
    ├── VenueRefused                the venue refused a read or a cancel, and said why
    └── OutcomeUnknown              no proof either way: reconcile, never resend
"""

from __future__ import annotations


class TradecoreError(Exception):
    """Root of every error that tradecore raises on purpose."""


class UsageError(TradecoreError):
    """Tell the person in one line and end with exit code 2."""


class SettingsError(UsageError):
    """A setting is unknown, of a wrong type, or impossible with another."""


class PluginLoadError(UsageError):
    """A plugin cannot be found, imported, validated, or has a misspelt hook."""


class DataError(UsageError):
    """Market data on disk is missing, torn, or not what it says it is."""


class StateFolderError(UsageError):
    """The state folder cannot be written, or another process holds it."""


class StartRefused(UsageError):
    """The clock or the key is not fit to trade with; the text names the way out."""


class SchemaMismatch(UsageError):
    """The database was written by another schema than this program's."""


class UnitError(TradecoreError, ValueError):
    """A number is not finite, not positive, or not a whole number of steps."""


class TransitionError(TradecoreError):
    """A state was asked to move along no row of its table."""


class PluginError(TradecoreError):
    """A guest raised, hung, or answered something else than was asked.

    Args:
        plugin: Name of the guest.
        hook: Name of the hook that was asked.
        fault: What happened, lower case, no full stop.
    """

    def __init__(self, plugin: str, hook: str, fault: str) -> None:
        super().__init__(f"{plugin}.{hook}: {fault}")
        self.plugin = plugin
        self.hook = hook
        self.fault = fault


class OperatorRefused(TradecoreError):
    """A command was not written: the guest has not the right, asks too often, or the command is none."""


class StoreError(TradecoreError):
    """The store did not commit; nothing of the batch is durable."""


class DuplicateRecord(StoreError):
    """The store refused a second row for what may exist once only."""


class LeaseLost(StoreError):
    """Another process has taken the store over: whatever is on the wire is its to resolve, and nothing more is sent."""


class RetryableVenueError(TradecoreError):
    """A read or a cancel got no usable answer; the same call may be made again.

    Args:
        message: What was asked and what came.
        code: The venue's code, if any.
        retry_after_s: Seconds the venue asked us to wait; ``None`` means it did not say.
        error_class: What kind of trouble the venue named, as ``RATE``; empty where it named none.
    """

    def __init__(
        self, message: str, code: str = "", retry_after_s: float | None = None, *, error_class: str = ""
    ) -> None:
        super().__init__(message)
        self.code = code
        self.retry_after_s = retry_after_s
        self.error_class = error_class


class Interrupted(TradecoreError):
    """A signal ended the start before the run began; what was open has been closed.

    Args:
        name: The signal's, as ``SIGTERM``.
    """

    def __init__(self, name: str) -> None:
        super().__init__(f"interrupted by {name} before the run began")
        self.name = name


class VenueRefused(TradecoreError):
    """The venue refused a read or a cancel with a code of its own.

    Args:
        message: What was asked and what came.
        code: The venue's code, if any.
        error_class: What kind of trouble the code names, as ``AUTH``; empty where nobody knows.
    """

    def __init__(self, message: str, code: str = "", *, error_class: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.error_class = error_class


class OutcomeUnknown(TradecoreError):
    """An order may or may not exist at the venue; only evidence settles it."""
