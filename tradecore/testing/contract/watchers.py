"""Watchers: see what a hook really reaches for (clock, randomness, network, files, threads, environment).

Three nets, because none is enough alone:

* a profile function sees every call that Python code makes, whatever name it was imported under;
* an audit hook sees files, sockets, processes and threads, even where C code opens them. Audit hooks cannot be removed,
  so there is one for the process, which does nothing outside of a watch;
* numpy's random functions are wrapped, because compiled extension code is not profiled.

A watch says what was touched and from which line of the plugin.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import multiprocessing
import os
import random
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any, Final, NamedTuple

import numpy as np

CLOCK: Final = "the clock"
CHANCE: Final = "randomness"
NETWORK: Final = "the network"
FILES: Final = "files and output"
THREADS: Final = "threads, tasks and processes"
ENVIRONMENT: Final = "the environment"


class Touch(NamedTuple):
    """One thing that a hook reached for."""

    kind: str
    what: str
    """As ``time.time``."""
    where: str
    """As ``plugin.py:97``; the innermost line outside of the standard library."""


_AUDITED: Final = {
    "open": FILES, "os.listdir": FILES, "os.scandir": FILES, "os.mkdir": FILES, "os.remove": FILES, "os.rename": FILES,
    "os.rmdir": FILES, "os.truncate": FILES, "os.link": FILES, "os.symlink": FILES, "os.chdir": FILES,
    "os.chmod": FILES, "sqlite3.connect": FILES, "mmap.__new__": FILES, "ctypes.dlopen": FILES,
    "os.putenv": ENVIRONMENT, "os.unsetenv": ENVIRONMENT,
    "socket.__new__": NETWORK, "socket.connect": NETWORK, "socket.bind": NETWORK, "socket.getaddrinfo": NETWORK,
    "socket.gethostbyname": NETWORK, "socket.sendto": NETWORK,
    "subprocess.Popen": THREADS, "os.system": THREADS, "os.exec": THREADS, "os.fork": THREADS, "os.forkpty": THREADS,
    "os.posix_spawn": THREADS, "os.spawn": THREADS, "_thread.start_new_thread": THREADS,
    "_thread.start_joinable_thread": THREADS, "signal.pthread_kill": THREADS,
}  # fmt: skip
_BY_OWNER: Final = {
    "time": CLOCK, "_random": CHANCE, "_socket": NETWORK, "_ssl": NETWORK, "_thread": THREADS,
    "_posixsubprocess": THREADS,
}  # fmt: skip
#: Functions of the time module that only turn a moment into another form.
_PURE_TIME: Final = frozenset({"mktime", "strptime", "struct_time"})
_DATE_READS: Final = frozenset({"now", "utcnow", "today"})
_POSIX: Final = {
    "urandom": CHANCE, "getrandom": CHANCE, "fork": THREADS, "system": THREADS, "posix_spawn": THREADS, "times": CLOCK,
    "getpid": ENVIRONMENT, "getcwd": ENVIRONMENT, "getlogin": ENVIRONMENT, "uname": ENVIRONMENT,
    "cpu_count": ENVIRONMENT, "getloadavg": ENVIRONMENT, "putenv": ENVIRONMENT,
}  # fmt: skip
_POSIX_PURE: Final = frozenset({"fspath", "register_at_fork", "strerror"})
_LOCKS: Final = frozenset({"allocate_lock", "get_ident", "RLock", "get_native_id"})


def _file(module: ModuleType) -> str:
    return str(module.__file__)


def _folder(module: ModuleType) -> str:
    return os.path.dirname(_file(module)) + os.sep


_PYTHON_FILES: Final = {
    _file(random): CHANCE, _file(secrets): CHANCE, _file(subprocess): THREADS, _file(threading): THREADS,
}  # fmt: skip
_PYTHON_FOLDERS: Final = (
    (_folder(asyncio), THREADS), (_folder(concurrent.futures), THREADS), (_folder(multiprocessing), THREADS),
    (_folder(logging), FILES), (f"{os.sep}loguru{os.sep}", FILES),
)  # fmt: skip
_ENVIRON_CODE: Final = frozenset({type(os.environ).__getitem__.__code__, type(os.environ).__iter__.__code__})
_IMPORTING: Final = frozenset({"<frozen importlib._bootstrap>", "<frozen importlib._bootstrap_external>"})
_LIBRARY: Final = _folder(os)
_HERE: Final = str(Path(__file__).resolve())


class Watch:
    """Collects touches while it is on.

    Args:
        modules: Modules of the plugin, in which names of numpy's random functions are wrapped too.
    """

    def __init__(self, modules: Iterable[ModuleType] = ()) -> None:
        self.touches: Final[list[Touch]] = []
        self._modules: Final = tuple(modules)
        self._thread = 0

    def on(self, kind: str, what: str, frame: FrameType | None) -> None:
        """Take note of something touched."""
        self.touches.append(Touch(kind, what, _where(frame)))

    def of(self, kind: str) -> list[Touch]:
        """Touches of one kind, each line once."""
        return list(dict.fromkeys(touch for touch in self.touches if touch.kind == kind))

    def profile(self, frame: FrameType, event: str, argument: Any) -> None:
        """See a call (``sys.setprofile``)."""
        if event == "c_call":
            kind = _kind_of_builtin(argument)
            if kind and not _importing(frame):
                self.on(kind, _name_of(argument), frame)
        elif event == "call":
            kind = _kind_of_python(frame)
            if kind and not _importing(frame):
                self.on(kind, f"{_module_of(frame)}.{frame.f_code.co_name}", frame.f_back)

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        """See an audited event of the watched thread."""
        kind = _AUDITED.get(event)
        if kind is None or threading.get_ident() != self._thread:
            return
        frame = sys._getframe(2)
        if not _importing(frame):
            self.on(kind, f"{event} {_short(arguments)}", frame)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Watch what runs inside."""
        global _active  # noqa: PLW0603 - the one audit hook of the process has to know whom it serves
        _install()
        self._thread = threading.get_ident()
        before, older = _active, sys.getprofile()
        undo = _wrap_numpy(self)
        _active = self
        sys.setprofile(self.profile)
        try:
            yield
        finally:
            sys.setprofile(older)
            _active = before
            for put_back in undo:
                put_back()


_active: Watch | None = None
_installed: Final[list[bool]] = []


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if _active is not None:
        _active.audit(event, arguments)


def _install() -> None:
    if not _installed:
        sys.addaudithook(_audit)
        _installed.append(True)


def _kind_of_builtin(function: Any) -> str | None:
    owner = getattr(function, "__module__", None) or ""
    name = getattr(function, "__name__", "")
    target = getattr(function, "__self__", None)
    if _is_generator(target):
        return CHANCE
    if name in _DATE_READS and isinstance(target, type) and target.__module__ == "datetime":
        return CLOCK
    if owner == "time":
        return _time_kind(name)
    if owner in ("posix", "nt"):
        return None if name in _POSIX_PURE else _POSIX.get(name, FILES)
    if owner == "_thread":
        return None if name in _LOCKS else THREADS
    if owner == "builtins" and name in ("print", "input"):
        return FILES
    return _BY_OWNER.get(owner)


def _time_kind(name: str) -> str | None:
    return None if name in _PURE_TIME else CLOCK


def _kind_of_python(frame: FrameType) -> str | None:
    code = frame.f_code
    if code in _ENVIRON_CODE:
        return ENVIRONMENT
    kind = _PYTHON_FILES.get(code.co_filename)
    if kind is not None:
        # A lock or a weak set made by the standard library starts no thread: only what is called by others counts.
        return kind if kind is not THREADS or code.co_name in ("start", "__init__", "Popen", "run") else None
    return next((kind for folder, kind in _PYTHON_FOLDERS if folder in code.co_filename), None)


def _importing(frame: FrameType | None) -> bool:
    """Tell whether an import brought us here: loading code is not what a hook decides from."""
    while frame is not None:
        if frame.f_code.co_filename in _IMPORTING:
            return True
        frame = frame.f_back
    return False


def _where(frame: FrameType | None) -> str:
    """The innermost line outside of the standard library and of this file."""
    while frame is not None:
        name = frame.f_code.co_filename
        if not name.startswith((_LIBRARY, "<")) or "site-packages" in name:
            return f"{Path(name).name}:{frame.f_lineno}"
        if name.startswith("<") and not name.startswith("<frozen"):
            return f"{name}:{frame.f_lineno}"
        frame = frame.f_back
    return "an unknown line"


def _module_of(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "?"))


def _name_of(function: Any) -> str:
    target = getattr(function, "__self__", None)
    if isinstance(target, type):
        return f"{target.__qualname__}.{function.__name__}"
    owner = getattr(function, "__module__", None) or type(target).__module__
    return f"{owner}.{function.__name__}"


def _short(arguments: tuple[Any, ...]) -> str:
    text = repr(arguments[0]) if arguments else ""
    return text[:60]


# numpy ---------------------------------------------------------------------------------------------------------


def _wrap_numpy(watch: Watch) -> list[Callable[[], None]]:
    """Put spies in place of numpy's random functions, also where the plugin's modules imported them by name."""
    spies = {
        id(value): (name, value, _spy(watch, name, value))
        for name, value in vars(np.random).items()
        if callable(value) and not name.startswith("_") and (not isinstance(value, type) or value in _NUMPY_CLASSES)
    }
    undo: list[Callable[[], None]] = []
    for module in (np.random, *(one for one in watch._modules if one is not np.random)):
        for key, value in list(vars(module).items()):
            known = spies.get(id(value))
            if known is not None:
                setattr(module, key, known[2])
                undo.append(lambda module=module, key=key, value=value: setattr(module, key, value))  # type: ignore[misc]
    return undo


def _spy(watch: Watch, name: str, value: Any) -> Any:
    if isinstance(value, type):
        return _spy_class(watch, name, value)

    def spy(*arguments: Any, **options: Any) -> Any:
        watch.on(CHANCE, f"numpy.random.{name}", sys._getframe(1))
        return value(*arguments, **options)

    return spy


def _spy_class(watch: Watch, name: str, value: type[Any]) -> type[Any]:
    """A class in place of one of numpy's: numpy itself asks `isinstance` of it, so it answers for the original."""

    class Like(type):
        def __call__(cls, *arguments: Any, **options: Any) -> Any:
            watch.on(CHANCE, f"numpy.random.{name}", sys._getframe(1))
            return value(*arguments, **options)

        def __instancecheck__(cls, other: object) -> bool:
            return isinstance(other, value)

    return Like(name, (), {})


_NUMPY_CLASSES: Final = (np.random.RandomState, np.random.Generator)


def _is_generator(value: Any) -> bool:
    return isinstance(value, (random.Random, *_NUMPY_CLASSES))


def kept_generators(modules: Iterable[ModuleType], instance: object) -> list[str]:
    """Name the random generators that a plugin keeps: compiled ones draw without being seen."""
    found = [
        f"{module.__name__}.{key}" for module in modules for key, value in vars(module).items() if _is_generator(value)
    ]
    for owner in (instance, type(instance)):
        found += [f"{type(instance).__name__}.{key}" for key, value in vars(owner).items() if _is_generator(value)]
    return found


def running_threads() -> frozenset[int]:
    """Threads alive now, by identity."""
    return frozenset(thread.ident for thread in threading.enumerate() if thread.ident is not None)


def monotonic_s() -> float:
    """The wall, for time budgets."""
    return time.perf_counter()
