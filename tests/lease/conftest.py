"""Two kinds of store, holders of any description, and a wall clock that stands until it is moved."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.store.conftest import AnyStore, Records, postgres, postgres_door, postgres_emptied, postgres_url
from tradecore.store.database import Database, sqlite_url
from tradecore.store.holder import Holder
from tradecore.store.lease import Claim, LeaseRow, read_lease
from tradecore.store.opening import open_store

__all__ = ["postgres", "postgres_door", "postgres_emptied", "postgres_url"]

LENGTH_MS, RENEW_MS = 30_000, 5_000
NOBODY = 4_194_304 + 7
"""Above what Linux gives out as a process id."""


class Wall:
    """A clock of the wall."""

    def __init__(self) -> None:
        self.ms = 1_700_000_000_000

    def __call__(self) -> int:
        return self.ms


def someone(host: str = "one", **changes: Any) -> Holder:
    """A process of another machine."""
    return Holder(host, f"kernel of {host}", 7, "100", "")._replace(**changes)


class Place(NamedTuple):
    """One database, to be opened by whoever likes."""

    url: str
    wall: Wall
    opened: list[AnyStore]

    def claim(self, holder: Holder, **changes: Any) -> Claim:
        return Claim(holder, LENGTH_MS, RENEW_MS, self.wall)._replace(**changes)

    def open(self, holder: Holder, *, inline: bool = False, **changes: Any) -> AnyStore:
        claim = self.claim(holder, **changes)
        store = open_store(self.url, inline=inline, synchronous="OFF", claim=claim)
        self.opened.append(store)
        return store

    def row(self) -> LeaseRow:
        database = Database(self.url)
        raw = database.connect()
        try:
            found = read_lease(raw)
        finally:
            database.try_close(raw)
        assert found is not None
        return found


@pytest.fixture(params=["sqlite", "postgresql"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    if request.param == "sqlite":
        url = sqlite_url(tmp_path / "tradecore.db")
    else:
        url = request.getfixturevalue("postgres_emptied")
    place = Place(url, Wall(), [])
    yield place
    for store in place.opened:
        await store.close()


@pytest.fixture
def make() -> Records:
    return Records()
