"""A store that keeps every promise, and can fail as a database does; the register of faults."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import Lock
from typing import Any, TypeVar

from sessionsite.sessions import (
    MalformedRecordError,
    MemoryStore,
    Record,
    StoreError,
)
from sessionsite.testing import OwnerContract, StoreContract

Change = Callable[[Record], Record | None]
FAULTS: dict[str, type["SoundStore"]] = {}


class DriverError(Exception):
    """What the driver of a database raises."""


class SoundStore(MemoryStore):
    """A store in memory that fails, shares its rows and keeps spoilt ones as a database does."""

    def __init__(self, rows: "SoundStore | None" = None) -> None:
        super().__init__()
        self.away = False
        self.spoilt: set[str] = set()
        self.sweeper = Lock()
        self.gone: set[str] = set()  # these two are for the faults
        self.cache: dict[str, Record] = {}
        if rows is not None:
            self._records, self._lock = rows._records, rows._lock
            self.spoilt, self.sweeper = rows.spoilt, rows.sweeper

    def ask(self) -> None:
        """Raise `StoreError` if the database is away; every method comes by here."""
        if self.away:
            raise StoreError("the database is away") from DriverError()

    def check(self, id: str) -> None:
        if id in self.spoilt:
            raise MalformedRecordError(f"the row of session {id}")

    def create(self, record: Record) -> None:
        self.ask()
        super().create(record)

    def load(self, id: str, now: datetime) -> Record | None:
        self.ask()
        self.check(id)
        return super().load(id, now)

    def delete(self, id: str) -> bool:
        self.ask()
        self.spoilt.discard(id)
        return super().delete(id)

    def prune(self, now: datetime, limit: int) -> int:
        self.ask()
        return super().prune(now, limit)

    def count_expired(self, now: datetime) -> int:
        self.ask()
        return super().count_expired(now)

    @contextmanager
    def sweeping(self) -> Iterator[bool]:
        turn = self.sweeper.acquire(blocking=False)
        try:
            yield turn
        finally:
            if turn:
                self.sweeper.release()


class SoundContract(StoreContract):
    """The contract, with the means to break a `SoundStore`."""

    def break_store(self, store: Any) -> None:
        store.away = True

    def spoil_row(self, store: Any, id: str) -> None:
        store.spoilt.add(id)

    def second_store(self, store: Any) -> Any:
        return type(store)(store)


class SoundOwnerContract(SoundContract, OwnerContract):
    """The same with the contract of owners."""


S = TypeVar("S", bound=type[SoundStore])


def fault(what: str) -> Callable[[S], S]:
    """Enter a class into `FAULTS`."""

    def enter(broken: S) -> S:
        assert what not in FAULTS
        FAULTS[what] = broken
        return broken

    return enter


def clock() -> datetime:
    return datetime.now(UTC)
