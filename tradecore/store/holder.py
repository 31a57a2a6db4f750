"""Who writes a store, and whether whoever wrote it before is certainly gone.

A process is told apart from every other one of its machine by its id and the moment at which it was started: ids are
given again. Ids of two containers mean different processes, so what counts as one machine is one kernel's set of them.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import uuid
from pathlib import Path
from typing import Final, NamedTuple

_PROC: Final = Path("/proc")
_STATE_AT, _STARTED_AT = 0, 19
"""Fields of ``/proc/PID/stat`` behind the name: state, and start in ticks since the kernel's own start.

Source: proc_pid_stat(5), fields 3 and 22.
"""
_GONE: Final = frozenset({"Z", "X"})
"""States of a process that has ended and is only not yet asked about."""


class Holder(NamedTuple):
    """One process."""

    host: str
    """The machine's name, for people."""
    machine: str
    """Digest of the kernel that runs and of its set of process ids: within it an id means one process."""
    pid: int
    started: str
    """When it was started, as the kernel counts; empty where the system does not tell."""
    folder: str
    """Identity of the lock file of a state folder that it holds (`InstanceLock.identity`); empty for none."""


def this_process(folder: str = "") -> Holder:
    """Describe the process that asks.

    Args:
        folder: Identity of the lock that it holds.
    """
    pid = os.getpid()
    return Holder(socket.gethostname(), _machine(), pid, _started(pid), folder)


def is_gone(other: Holder, mine: Holder) -> bool:
    """Tell whether another holder has certainly ended: then nobody need wait for its time to run out.

    Args:
        other: Who held it last; ourselves count as gone, since one process runs one session after the other.
        mine: Who asks, with the locks that it holds.
    """
    if other.folder and other.folder == mine.folder:
        return True  # it held the lock that we hold now, and a lock's holder loses it only by its end
    if other.machine != mine.machine:
        return False
    if (other.pid, other.started) == (mine.pid, mine.started):
        return True
    try:
        os.kill(other.pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False  # it is there, and somebody else's
    fields = _fields(other.pid)
    if not fields:
        return False
    return fields[_STATE_AT] in _GONE or (bool(other.started) and fields[_STARTED_AT] != other.started)


def kernel() -> str:
    """Name the kernel as it runs since its start; where it has no such name, the network card and the machine."""
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return f"{uuid.getnode():x}-{socket.gethostname()}"


def _machine() -> str:
    ids = ""
    with contextlib.suppress(OSError):  # other systems have one set of process ids
        ids = os.readlink(_PROC / "self/ns/pid")
    return hashlib.sha256(f"{kernel()}\n{ids}".encode()).hexdigest()[:32]


def _started(pid: int) -> str:
    fields = _fields(pid)
    return fields[_STARTED_AT] if fields else ""


def _fields(pid: int) -> list[str]:
    """Read the fields behind the name, which may hold blanks and brackets; empty where the system does not tell."""
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return []
    return text.rpartition(")")[2].split()
