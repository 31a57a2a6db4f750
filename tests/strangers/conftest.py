"""Strangers: plugins that are made, built and installed outside of this repository, in an environment of their own."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
OUR_PARTS = ("tradecore", "__editable__", "_editable", "_virtualenv", "__pycache__")


class Ran(NamedTuple):
    """What a program that was run left behind."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        return f"{self.out}\n{self.err}"


def run(*command: object, cwd: Path, **extra: str) -> Ran:
    """Run a program without what the shell of the person who tests has set for us or for Python."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("TRADECORE_", "PYTHON", "PYTEST"))}
    environment = {**kept, "NO_COLOR": "1", "COLUMNS": "200", **extra}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True,
        check=False, timeout=120,
    )  # fmt: skip
    return Ran(done.returncode, done.stdout, done.stderr)


def must(*command: object, cwd: Path, **extra: str) -> str:
    """Run a program that has to succeed; returns what it printed."""
    done = run(*command, cwd=cwd, **extra)
    assert done.code == 0, f"{command}: {done.code}\n{done.said}"
    return done.out


class House(NamedTuple):
    """An environment that holds tradecore and its plugins as wheels, and nothing of this repository's folder."""

    folder: Path
    wheels: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin/python"

    def pip(self, *words: object) -> str:
        """Call pip on this environment, offline: only our wheels are known."""
        options = ("--disable-pip-version-check", "--no-cache-dir")
        return must(sys.executable, "-m", "pip", "--python", self.python, *words, *options, cwd=self.folder)

    def build(self, project: Path) -> Path:
        """Build a wheel as its author would; returns its path."""
        return build_wheel(project, project / "dist")

    def install(self, *what: object) -> str:
        """Install wheels, or build and install a folder with the hatchling that is there."""
        offline = ("--quiet", "--no-index", "--find-links", self.wheels, "--no-build-isolation")
        return self.pip("install", *offline, *what)

    def tradecore(self, *words: object, cwd: Path, **extra: str) -> Ran:
        """Call the program of this environment."""
        return run(self.folder / "bin/tradecore", *words, cwd=cwd, **extra)


def build_wheel(project: Path, wheels: Path) -> Path:
    """Build a wheel; returns its path."""
    before = set(wheels.glob("*.whl"))
    must(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", wheels, cwd=project)
    (made,) = set(wheels.glob("*.whl")) - before
    return made


def link_dependencies(target: Path) -> None:
    """Put all that is installed here, but for tradecore and its plugins, onto another environment's path.

    Links instead of a download: a test needs no network, and nothing that is editable here is seen there.
    """
    linked = target / "dependencies"
    linked.mkdir()
    here = {Path(sysconfig.get_path(kind)) for kind in ("purelib", "platlib")}
    for part in sorted(part for folder in here for part in folder.iterdir()):
        if part.suffix != ".pth" and not part.name.startswith(OUR_PARTS) and not (linked / part.name).exists():
            (linked / part.name).symlink_to(part)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    (target / "lib" / version / "site-packages" / "dependencies.pth").write_text(f"{linked}\n")


@pytest.fixture(scope="session")
def house(tmp_path_factory) -> House:
    """A clean environment with the core and the plugins of this repository, each installed by pip from its wheel."""
    for module in ("hatchling", "pip"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed here: no wheel can be built and installed")
    folder = tmp_path_factory.mktemp("strangers")
    wheels = folder / "wheels"
    projects = [ROOT, *sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))]
    built = [build_wheel(project, wheels) for project in projects]
    made = House(folder / "venv", wheels)
    venv.create(made.folder, with_pip=False, symlinks=True)
    link_dependencies(made.folder)
    made.install(*built)
    return made


@pytest.fixture
def tool(tmp_path) -> Callable[..., Ran]:
    """Call ``tradecore`` as it is here, in a folder of the test, with what lies in its ``site`` installed."""
    cwd = tmp_path / "cwd"
    cwd.mkdir()

    def call(*words: object, **extra: str) -> Ran:
        found = {"PYTHONPATH": str(tmp_path / "site"), **extra}
        return run(sys.executable, "-c", "from tradecore.cli.main import main; main()", *words, cwd=cwd, **found)

    return call
