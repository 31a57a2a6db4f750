"""Looks for secrets where they must not be: in every file that a test run left, and in all that it said (INV-17, R54).

A word is looked for as it is, quoted for an address, in base64 wherever it may begin, and in hex. `LeakGuard` does so
at the end of a whole run, for the files and reports of every worker, and fails it.
"""

from __future__ import annotations

import base64
import gzip
import os
import zlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, quote_plus

import pytest

_ENOUGH = 24
"""Letters of a word that are enough to know it; what was cut short is a leak too."""
_BLOCK = 1 << 22


class Form(NamedTuple):
    """One way in which a word may be written."""

    name: str
    text: bytes


def forms_of(word: str) -> tuple[Form, ...]:
    """Write a secret in every form that is looked for, each only once."""
    raw = word[:_ENOUGH].encode()
    found = [Form("raw", raw), Form("quoted", quote(word, safe="")[:_ENOUGH].encode())]
    found += [Form("quoted", quote_plus(word)[:_ENOUGH].encode()), Form("hex", raw.hex().encode())]
    found.append(Form("json", word.replace("/", "\\/")[:_ENOUGH].encode()))
    for shift in range(3):
        padded = base64.b64encode(b"\0" * shift + raw)
        # letters that depend on what stands before or behind the word are left out
        inner = padded[(0, 2, 3)[shift] : len(padded) - 4]
        found += [Form("base64", inner), Form("base64", inner.replace(b"+", b"-").replace(b"/", b"_"))]
    return tuple({form.text: form for form in reversed(found)}.values())[::-1]


class Leaks:
    """Looks for words.

    Args:
        words: Secrets, each at least 16 letters.
        exempt: Names of the only files that may hold them.
    """

    def __init__(self, words: Iterable[str], exempt: Collection[str] = ()) -> None:
        self._forms = tuple(form for word in words for form in forms_of(word))
        self._exempt = frozenset(exempt)
        self._overlap = max(len(form.text) for form in self._forms)
        self.files = 0
        self.bytes = 0
        """How much was read."""

    def inside(self, data: bytes) -> str:
        """Name of the form in which a word stands in some bytes; empty where none does."""
        return next((form.name for form in self._forms if form.text in data), "")

    def under(self, folder: Path) -> Iterator[str]:
        """Name every file below a folder that holds a word, or whose name does."""
        for place, folders, names in os.walk(folder):
            folders.sort()
            for name in sorted(names):
                path = Path(place) / name
                if name in self._exempt or path.is_symlink() or not path.is_file():
                    continue
                if form := self.inside(str(path.relative_to(folder)).encode()) or self._in_file(path):
                    yield f"{path.relative_to(folder)} holds a secret ({form})"

    def _in_file(self, path: Path) -> str:
        self.files += 1
        try:
            with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
                tail = b""
                while block := file.read(_BLOCK):
                    self.bytes += len(block)
                    if form := self.inside(tail + block):
                        return form
                    tail = block[-self._overlap :]
        except (gzip.BadGzipFile, EOFError, zlib.error):
            return self.inside(path.read_bytes())  # a test wrote what only looks like one
        except OSError:
            return ""  # gone meanwhile, or made unreadable by a test: nobody else can read it either
        return ""


class LeakGuard:
    """A pytest plugin that fails a run in which a secret got out.

    Args:
        words: Secrets.
        exempt: Names of the only files that may hold them.
    """

    NAME = "leak-guard"

    def __init__(self, words: Sequence[str], exempt: Collection[str] = ()) -> None:
        self._leaks = Leaks(words, exempt)
        self.found: list[str] = []

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Look through what a test said and how it failed; with workers, all reports come together here."""
        told = [report.longreprtext, *(text for _, text in report.sections), repr(report.user_properties)]
        if form := self._leaks.inside("\n".join(told).encode(errors="replace")):
            self.found.append(f"report of {report.nodeid} ({report.when}) holds a secret ({form})")

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Look through every file that the run left, and fail it where one holds a secret."""
        if hasattr(session.config, "workerinput"):
            return  # the workers' folders lie in that of the process that started them
        factory = getattr(session.config, "_tmp_path_factory", None)
        if factory is not None and factory._basetemp is not None:
            self.found += self._leaks.under(factory._basetemp)
        if self.found:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Name what was found."""
        if self.found:
            terminalreporter.section("secrets that got out", red=True)
            for text in self.found:
                terminalreporter.write_line(text)
