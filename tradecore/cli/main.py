"""The way in: commands, exit codes, and one line for whatever went wrong.

Exit codes: 0 done; 1 the venue or the store did not answer, or a proof failed; 2 bad input; 3 orders pending; 41 to 45
a phase of the end failed; 70 a bug; 75 start again (a plugin hung); 130 (Ctrl-C) and 143 (SIGTERM) interrupted before
the run began.
"""

from __future__ import annotations

import atexit
import errno
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, NoReturn

import click

from tradecore import __version__
from tradecore.cli.config import config
from tradecore.cli.doctor import doctor
from tradecore.cli.ledger import ledger
from tradecore.cli.operate import exit_, halt, reduce, release, resume, stop, unlock
from tradecore.cli.plan import plan
from tradecore.cli.plugins import plugins
from tradecore.cli.query import query
from tradecore.cli.replay import replay
from tradecore.cli.run import run
from tradecore.cli.start import EarlySignals, Stopped
from tradecore.cli.status import status
from tradecore.cli.store import store
from tradecore.cli.universe import universe
from tradecore.cli.venue import venue
from tradecore.cli.why import why
from tradecore.errors import Interrupted, RetryableVenueError, StoreError, UsageError, VenueRefused

EXIT_NO_ANSWER = 1
EXIT_USAGE = 2
EXIT_BUG = 70
EXIT_SIGNAL = 128
"""And the signal's number, where one came before the run began."""
_THREADS_END_S = 1.0


class Root(click.Group):
    """The root command: turns every error into one line on stderr and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Commands in the order in which they were added: the way of a user, not of the alphabet."""
        return list(self.commands)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = "tradecore",
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run the command line; leaves the process with its exit code unless `standalone_mode` is off."""
        own = isinstance(extra.get("obj"), EarlySignals)  # the process is ours: nobody goes on after it
        with nullcontext() if own else _signals_given_back():
            if not standalone_mode:
                return super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
            self._main(args, prog_name, complete_var, **extra)

    def _main(self, args: Sequence[str] | None, prog_name: str | None, complete_var: str | None, **extra: Any) -> None:
        given = list(sys.argv[1:] if args is None else args)
        before = frozenset(threading.enumerate())
        try:
            code = super().main(given, prog_name, complete_var, standalone_mode=False, **extra)
            sys.stdout.flush()
        except click.exceptions.Exit as done:
            _leave(done.exit_code, before)
        except Exception as error:  # noqa: BLE001 - the last door of the program: one line, an exit code
            _leave(failed(error, debug="--debug" in given), before)
        except KeyboardInterrupt as interrupt:
            _leave(_interrupted(interrupt), before)
        _leave(code if isinstance(code, int) else 0, before)


@contextmanager
def _signals_given_back() -> Iterator[None]:
    """Handle signals afterwards as before: whoever called us goes on, and its children would inherit what we ignore.

    A run ignores what comes after its end. Where the process ends too, the interpreter's own end is covered again.
    """
    found = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        changed = {number: handler for number, handler in found.items() if signal.getsignal(number) != handler}
        if changed:
            atexit.register(_ignore, tuple(changed))
        for number, handler in changed.items():
            signal.signal(number, handler)


def _ignore(numbers: tuple[signal.Signals, ...]) -> None:
    for number in numbers:
        signal.signal(number, signal.SIG_IGN)


def failed(error: Exception, *, debug: bool) -> int:
    """Say in one line what went wrong.

    Args:
        debug: Print the traceback too.
    Returns:
        The exit code.
    """
    if debug and not isinstance(error, click.exceptions.Abort):
        traceback.print_exception(error)
    if isinstance(error, OSError) and error.errno == errno.EPIPE:
        # whoever read our output has gone: nothing to say, and the interpreter must not try again at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_NO_ANSWER
    if isinstance(error, click.ClickException):
        text = error.format_message().rstrip(".").replace(". (", " (")
        complain(text[:1].lower() + text[1:])
        return error.exit_code
    if isinstance(error, click.exceptions.Abort):
        return _interrupted(error.__cause__)
    if isinstance(error, Interrupted):
        complain(str(error))
        return EXIT_SIGNAL + signal.Signals[error.name]
    if isinstance(error, UsageError):
        complain(str(error))
        return EXIT_USAGE
    if isinstance(error, RetryableVenueError | VenueRefused | StoreError):
        complain(str(error))
        return EXIT_NO_ANSWER
    hint = "" if debug else "; run it again as `tradecore --debug ...` for the traceback"
    complain(f"this is a bug: {type(error).__name__}: {error}{hint}")
    return EXIT_BUG


def _interrupted(cause: BaseException | None) -> int:
    """Say that a command was interrupted; returns the exit code."""
    complain(str(cause) if isinstance(cause, Stopped) else "interrupted")
    return EXIT_SIGNAL + (cause.number if isinstance(cause, Stopped) else signal.SIGINT)


def complain(text: str) -> None:
    """Write one line to stderr, whatever line feeds are in the text."""
    click.echo(f"tradecore: {' '.join(text.split())}", err=True)


def _leave(code: int, before: frozenset[threading.Thread]) -> NoReturn:
    """Leave with an exit code; a plugin's thread that does not end cannot keep the process.

    Args:
        before: Threads that are not the command's.
    """
    end_s = time.monotonic() + _THREADS_END_S
    stuck = [thread for thread in threading.enumerate() if thread not in before and not thread.daemon]
    for thread in stuck:
        thread.join(max(0.0, end_s - time.monotonic()))
    if names := [thread.name for thread in stuck if thread.is_alive()]:
        complain(f"note: left while threads were running that no part of tradecore started: {', '.join(names)}")
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


@click.group(cls=Root, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tradecore", message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, help="Print a traceback where something fails.")
@click.pass_context
def main(context: click.Context, debug: bool) -> None:
    """Trade spot crypto: never lose an order, never double one, always say why.

    Exit codes: 0 done, 1 no answer from venue or store or a proof that failed, 2 bad input, 3 orders pending (listed),
    41-45 a phase of the end failed, 70 a bug, 75 start again, 130 and 143 interrupted before the run began.
    """
    if isinstance(context.obj, EarlySignals) and context.invoked_subcommand != run.name:
        context.obj.raise_next()
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@click.command()
def version() -> None:
    """Print the version."""
    click.echo(f"tradecore {__version__}")


for _command in (
    run,
    plan,
    doctor,
    status,
    halt,
    reduce,
    resume,
    exit_,
    stop,
    release,
    unlock,
    why,
    query,
    replay,
    ledger,
    universe,
    plugins,
    config,
    store,
    venue,
    version,
):
    main.add_command(_command)
