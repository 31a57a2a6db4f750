"""The look for secrets at the end of every run: it finds each form, everywhere, and fails the run (INV-17, R54)."""

from __future__ import annotations

import base64
import gzip
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.canary import KEY, KEY_FILE, SECRET, SECRET_FILE
from tests.leaks import LeakGuard, Leaks

ROOT = Path(__file__).resolve().parents[2]
#: Not the canary itself: what these tests write is looked through, too, at the end of the run that they are part of.
WORD = "Sparrow" + "/Secret+of=this&test only"
CONFTEST = f"""
from tests.leaks import LeakGuard

def pytest_configure(config):
    config.pluginmanager.register(LeakGuard([{WORD!r}], ["allowed.key"]), LeakGuard.NAME)
"""
BODY = f"""
import base64, gzip, json, logging, sys
from urllib.parse import quote
WORD = {WORD!r}
"""
LINES = {
    "a_file": "(tmp_path / 'tradecore.log').write_text('key=' + WORD)",
    "a_quoted_address": "(tmp_path / 'x.jsonl').write_text('?secret=' + quote(WORD, safe=''))",
    "base64": "(tmp_path / 'x.db').write_bytes(b'ab' + base64.b64encode(b'user:' + WORD.encode()))",
    "json": "(tmp_path / 'x.json').write_text(json.dumps({'key': WORD}))",
    "a_packed_file": "gzip.open(tmp_path / 'x.jsonl.gz', 'wb').write(WORD.encode())",
    "a_files_name": "(tmp_path / WORD.replace('/', '')).touch(); (tmp_path / quote(WORD, safe='')).touch()",
    "the_screen": "print('the secret is', WORD)",
    "the_error_stream": "print(WORD, file=sys.stderr)",
    "a_log": "logging.getLogger('ccxt').warning('sent %s', WORD)",
    "an_exception": "raise ValueError(WORD)",
}


def inner_run(folder: Path, lines: Mapping[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    """Run one test per line under a guard of its own, in a process of its own."""
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_inner.py").write_text(
        BODY + "".join(f"def test_{name}(tmp_path):\n    {line}\n" for name, line in lines.items())
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--basetemp", str(folder / "left"),
               "--rootdir", str(folder), "-c", "/dev/null", *options, "test_inner.py"]  # fmt: skip
    return subprocess.run(
        command, cwd=folder, env={"PYTHONPATH": str(ROOT), "PATH": ""}, text=True, capture_output=True, timeout=60,
        check=False,
    )  # fmt: skip


def test_inv17_every_way_out_is_found(tmp_path):
    ended = inner_run(tmp_path, LINES)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    told = ended.stdout.split("secrets that got out")[1]
    for name in LINES:
        assert f"test_{name}" in told, (name, told)


def test_inv17_a_secret_of_a_worker_fails_a_run_that_would_pass(tmp_path):
    ended = inner_run(tmp_path, {"it": LINES["a_file"] + "; print(WORD)"}, "-n", "1")
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "1 passed" in ended.stdout
    assert "popen-gw0" in ended.stdout
    assert "report of test_inner.py::test_it (call)" in ended.stdout


def test_a_run_that_keeps_its_secrets_passes(tmp_path):
    line = "(tmp_path / 'allowed.key').write_text(WORD); (tmp_path / 'x.log').write_text('***')"
    ended = inner_run(tmp_path, {"it": line})
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "secrets" not in ended.stdout


def test_the_guard_stands_at_the_end_of_this_run(request):
    guard = request.config.pluginmanager.get_plugin(LeakGuard.NAME)
    assert isinstance(guard, LeakGuard)
    for word in (KEY, SECRET):
        assert guard._leaks.inside(f"x{word}".encode()) == "raw"
    assert guard._leaks._exempt == {KEY_FILE, SECRET_FILE}


@pytest.mark.parametrize("before", range(7))
def test_every_form_is_found_wherever_it_begins(before):
    leaks = Leaks([WORD])
    text = b"." * before + WORD.encode() + b" and more"
    for form in (text, base64.b64encode(text), base64.urlsafe_b64encode(text), text.hex().encode(),
                 quote(text.decode(), safe="").encode()):  # fmt: skip
        assert leaks.inside(form), form
    assert not leaks.inside(b"Sparrows sing of other things, and +c2VjcmV0+")


def test_a_word_across_blocks_and_in_odd_files_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.leaks._BLOCK", 64)
    for before in range(40, 90):
        (tmp_path / f"at{before}").write_bytes(b"x" * before + WORD.encode())
    (tmp_path / "broken.gz").write_bytes(WORD.encode())
    whole = gzip.compress(b"y" * 200)
    (tmp_path / "cut.gz").write_bytes(whole[:-6])
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    assert len(list(Leaks([WORD]).under(tmp_path))) == 51
