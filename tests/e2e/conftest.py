"""The real command in processes of its own: bots that are always ended, and the checks of what they leave."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS / "campaigns"))  # the campaigns are commands; what they share is used here as well

from bot import BUSY, CACHE, Bot, Ended  # noqa: E402 - after the path
from checks import Market, after_end, after_kill, state_of  # noqa: E402

from tradecore.app import Options, prepare  # noqa: E402
from tradecore.cli.main import main as command  # noqa: E402


def _module(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"e2e_{path.parent.name}_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


_store_tests = _module(TESTS / "store" / "conftest.py")
postgres = _store_tests.postgres
postgres_url = _store_tests.postgres_url

Start = Callable[..., Bot]


@pytest.fixture(scope="session", autouse=True)
def _compiled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let the bots share their compiled modules."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("compiled")
        folder.chmod(0o755)
        patch.setenv(CACHE, str(folder))
        yield


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a busy bot: `start(state, *options, sets=(...), ...)`. None outlives its test."""
    bots: list[Bot] = []

    def begin(state: Path | None, *options: str, sets: Sequence[str] = (), busy: bool = True, **more: Any) -> Bot:
        bot = Bot(state, options, [*(BUSY if busy else ()), *sets], **more)
        bots.append(bot)
        return bot

    yield begin
    for bot in bots:
        bot.close()


def play(state: Path, *options: str, sets: Sequence[str] = ()) -> Ended:
    """Run the command to its end in this process, on virtual time: what a process would print, a second sooner."""
    given = ["run", "--json", "--speed", "max", "--for", "1m", "--state", str(state), *options]
    given += [part for text in (*BUSY, *sets) for part in ("--set", text)]
    out, err = io.StringIO(), io.StringIO()
    began = time.monotonic()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            command(given)
        except SystemExit as left:
            code = left.code
    assert isinstance(code, int), code
    return Ended(code, out.getvalue(), err.getvalue(), time.monotonic() - began)


@pytest.fixture(name="play")
def _play() -> Callable[..., Ended]:
    return play


@pytest.fixture(scope="session")
def market() -> Market:
    """The demo's instruments at seed 1."""
    prepared = prepare(Options("demo", {}))
    return Market(prepared.instruments, prepared.settings.account.name)


@pytest.fixture
def sound(market: Market) -> Callable[..., list[str]]:
    """What is wrong in a state folder; ``ended`` is true after an end with nothing pending."""

    def look(folder: Path, *, ended: bool, store: str | None = None) -> list[str]:
        state = state_of(folder, store)
        assert state is not None
        return after_end(state, market) if ended else after_kill(state, market)

    return look


def clean(ended: Ended, code: int = 0) -> dict[str, Any]:
    """Hold an end against what a person must see: the exit code, no traceback, no complaint but notes."""
    assert ended.code == code, f"exit {ended.code}: {ended.err}"
    assert not ended.traceback, ended.err
    assert [line for line in ended.complaints if "note:" not in line] == []
    return ended.summary


def assert_refused(ended: Ended, *words: str, code: int = 2) -> str:
    """Hold a refusal against what a person must see: one line with certain words, and no traceback."""
    assert ended.code == code, f"exit {ended.code}: {ended.err}"
    assert not ended.traceback, ended.err
    complaints = [line for line in ended.complaints if "note:" not in line]
    assert len(complaints) == 1, ended.err
    for word in words:
        assert word in complaints[0]
    return complaints[0]


@pytest.fixture(scope="module")
def clean_run() -> Callable[[Path], Path]:
    """Trade for some minutes of market time on virtual time; gives the state folder."""

    def run(folder: Path) -> Path:
        assert clean(play(folder, "--for", "8m"))["orders_filled"] > 3
        return folder

    return run


@pytest.fixture
def as_nobody(tmp_path: Path) -> Sequence[str]:
    """A command that runs another without the rights of root; skips where it cannot."""
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    try:
        subprocess.run([*nobody, sys.executable, "-c", "import tradecore"], check=True, capture_output=True, cwd=TESTS)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no way to run this python as another user here")
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(folder.stat().st_mode | 0o055)
    return nobody


@pytest.fixture(name="clean")
def _clean() -> Callable[..., dict[str, Any]]:
    return clean


@pytest.fixture(name="assert_refused")
def _assert_refused() -> Callable[..., str]:
    return assert_refused
