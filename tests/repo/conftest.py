"""The repository itself, as the tests of this folder see it."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def _listed() -> list[str]:
    # A checkout may belong to somebody else than who runs the tests; git would refuse to read it without being told.
    command = ["git", "-c", "safe.directory=*", "-C", str(ROOT), "ls-files", "-z"]
    try:
        names = subprocess.run(command, capture_output=True, check=True, text=True).stdout.split("\0")
    except (
        OSError,
        subprocess.CalledProcessError,
    ):  # an unpacked archive, or no git: everything that is not made by tools
        found = (path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file())
        names = [str(p) for p in found if p.parts[0] in {".ci"} or not any(part.startswith(".") for part in p.parts)]
        names = [name for name in names if "__pycache__" not in name]
    return sorted(name for name in names if name and (ROOT / name).is_file())


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def tracked() -> list[str]:
    """Paths under version control, relative to the repository."""
    names = _listed()
    assert "pyproject.toml" in names
    return names


@pytest.fixture(scope="session")
def sources(tracked: list[str]) -> list[str]:
    """Python modules that are shipped: the core's and the plugins', without tests."""
    return [n for n in tracked if n.endswith(".py") and n.startswith(("tradecore/", "plugins/")) and "/tests/" not in n]


@pytest.fixture(scope="session")
def plugins() -> list[str]:
    """Names of the plugins of this repository, by their folders."""
    return sorted(path.parent.name for path in ROOT.glob("plugins/*/pyproject.toml"))
