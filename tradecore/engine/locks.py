"""Locks in force: kept durably, enforced on entries, ended by time or by an operator (R32).

A lock is one small fact per guest, rule and symbol. One that an operator lifts is kept until it would have expired, so
that the guest that still sees the same evidence cannot bring it back; newer evidence can.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import orjson

from tradecore.engine.desk import Desk
from tradecore.model.events import LockEnded, LockSet
from tradecore.model.lock import Lock
from tradecore.model.records import LOCK, Memory


class KeptLock(NamedTuple):
    """A lock as it is kept."""

    lock: Lock
    until_ms: int
    """When the fact may go: the expiry that was asked for, also where the lock was lifted before."""

    @property
    def key(self) -> str:
        """The key of its fact."""
        return f"{LOCK}{self.lock.plugin}/{self.lock.rule}/{self.lock.symbol}"


class Locks:
    """The locks of one account. Read from the books' facts, so that a restart finds them as they were."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._facts: Mapping[str, Memory] = {}
        self._kept: dict[str, KeptLock] = {}

    def _all(self) -> dict[str, KeptLock]:
        facts = self._desk.books.locks
        if self._facts is not facts:
            self._facts = facts
            self._kept = {key: kept_lock(key, facts[key].text) for key in sorted(facts)}
        return self._kept

    def picture(self) -> tuple[Lock, ...]:
        """All locks that are kept, as guests see them; those lifted have an expiry that has passed."""
        return tuple([kept.lock for kept in self._all().values()])

    def on(self, symbol: str) -> Lock | None:
        """The lock that binds longest on a symbol now; ``None``: entries are free."""
        now = self._desk.clock.now_ms()
        found = [kept.lock for kept in self._all().values() if kept.lock.binds(symbol, now)]
        return max(found, key=lambda lock: lock.expires_ms) if found else None

    async def take(self, locks: Sequence[Lock]) -> bool:
        """Keep new locks, and those with newer evidence; what is known already changes nothing.

        Returns:
            True where any of them was new.
        """
        desk = self._desk
        now = desk.clock.now_ms()
        if not any(self._is_new(lock, now) for lock in locks):
            return False
        async with desk.transaction() as work:
            for lock in locks:
                if not self._is_new(lock, now):
                    continue
                work.put(_fact(KeptLock(lock, lock.expires_ms), now))
                work.tell(LockSet(lock.symbol, lock.plugin, lock.rule, lock.reason, lock.since_ms, lock.expires_ms))
        return True

    def _is_new(self, lock: Lock, now_ms: int) -> bool:
        known = self._all().get(KeptLock(lock, 0).key)
        return lock.expires_ms > now_ms and (known is None or lock.since_ms > known.lock.since_ms)

    async def lift(self, symbol: str, actor: str, reason: str) -> Sequence[Lock]:
        """End locks before their time.

        Args:
            symbol: As the locks have it, ``*`` for those on all symbols; ``all`` lifts every lock.
            actor: Who lifts them.
            reason: Why.
        Returns:
            The locks that bound until now.
        """
        desk = self._desk
        now = desk.clock.now_ms()
        found = [k for k in self._all().values() if k.lock.expires_ms > now and symbol in ("all", k.lock.symbol)]
        if found:
            async with desk.transaction() as work:
                for kept in found:
                    work.put(_fact(kept._replace(lock=kept.lock._replace(expires_ms=now)), now))
                    work.tell(_ended(kept.lock, actor, reason or "lifted"))
        return [kept.lock for kept in found]

    async def expire(self) -> None:
        """Forget locks whose time is over."""
        desk = self._desk
        now = desk.clock.now_ms()
        over = [kept for kept in self._all().values() if kept.until_ms <= now]
        if not over:
            return
        async with desk.transaction() as work:
            for kept in over:
                work.put(Memory(kept.key, "", now))
                if kept.lock.expires_ms == kept.until_ms:
                    work.tell(_ended(kept.lock, "core", "expired"))


def kept_lock(key: str, text: str) -> KeptLock:
    """Read a lock from its fact.

    Args:
        key: ``lock/GUEST/RULE/SYMBOL``; a symbol may hold a slash itself.
        text: What `Locks` wrote.
    """
    _, plugin, rule, symbol = key.split("/", 3)
    reason, since_ms, expires_ms, until_ms = orjson.loads(text)
    return KeptLock(Lock(symbol, reason, plugin, expires_ms, rule, since_ms), until_ms)


def locks_in(memory: Iterable[Memory], now_ms: int) -> Iterator[Lock]:
    """Yield the locks in force at `now_ms` out of facts, for readers beside the process."""
    for fact in memory:
        if fact.key.startswith(LOCK) and fact.text:
            lock = kept_lock(fact.key, fact.text).lock
            if lock.expires_ms > now_ms:
                yield lock


def _fact(kept: KeptLock, now_ms: int) -> Memory:
    lock = kept.lock
    return Memory(kept.key, orjson.dumps([lock.reason, lock.since_ms, lock.expires_ms, kept.until_ms]).decode(), now_ms)


def _ended(lock: Lock, actor: str, reason: str) -> LockEnded:
    return LockEnded(lock.symbol, lock.plugin, lock.rule, actor, reason)
