"""A store of an app's own: sessions in LMDB, which the processes of one host share.

LMDB is a file of sorted keys. A write is a transaction over any number of them, one at a time
among all processes; a reader waits for nobody. Two limits follow. The lock of the writers has no
time-out: all writers wait for what a `transact` does. And one process has one store per folder.
"""

import fcntl
import json
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import islice, takewhile
from pathlib import Path
from typing import Any, TypeVar

import lmdb

from sessionsite.sessions import (
    RESERVED_OWNER,
    ConfigurationError,
    MalformedRecordError,
    OwnerStore,
    Record,
    RecordExistsError,
    SessionCounts,
    SessionSummary,
    StoreError,
)

T = TypeVar("T")
Summaries = list[SessionSummary]
Transaction = Any  # lmdb's, whose types let every key be a memoryview, too
TIMES = ("created_at", "seen_at", "expires_at", "rotated_at")
HASHES = ("token_hash", "old_token_hash")
SIZE = 2**34  # bytes that the file may grow to
NEVER = bytes([255] * 8)  # sorts after every end


def pack(record: Record) -> bytes:
    values = asdict(record)
    for name in TIMES:
        values[name] = values[name] and values[name].isoformat()
    for name in HASHES:
        values[name] = values[name] and values[name].hex()
    return json.dumps(values).encode()


def unpack(row: bytes) -> Record:
    try:
        values = json.loads(row)
        for name in TIMES:
            values[name] = values[name] and datetime.fromisoformat(values[name])
        for name in HASHES:
            values[name] = values[name] and bytes.fromhex(values[name])
        return Record(**values)
    except (ValueError, TypeError, KeyError) as exc:
        raise MalformedRecordError("a row is no record") from exc


def row_key(id: str) -> bytes:
    return b"." + id.encode("utf-8", "surrogatepass")  # LMDB has no empty key


def instant(time: datetime) -> bytes:
    """Return eight bytes that sort as times do."""
    since = time - datetime.min.replace(tzinfo=UTC)
    return (since // timedelta(microseconds=1)).to_bytes(8, "big")


def owner_key(owner: str) -> bytes:
    return sha256(owner.encode()).digest()  # an owner may be longer than LMDB's keys


class LMDBStore(OwnerStore):
    where = "in a file on the site's server"

    def __init__(self, folder: Path, sync: bool = True) -> None:
        """`sync=False` does not wait for the disk: for tests, since a crash can cost the file."""
        self.folder, self._sync = folder, sync
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._opening = threading.Lock()
        self._opened: tuple[int, lmdb.Environment] | None = None
        self._own = threading.local()  # the transaction that this thread is in

    def _environment(self) -> lmdb.Environment:
        with self._opening:
            if self._opened is None or self._opened[0] != os.getpid():
                if self._opened is not None:
                    self._opened[1].close()  # the parent's: LMDB must not be used over a fork
                environment = lmdb.open(
                    str(self.folder), SIZE, sync=self._sync, max_dbs=4, max_readers=1024, mode=0o600
                )
                environment.reader_check()  # a process that was killed has left its readers
                self._rows = environment.open_db(b"rows")
                self._health = environment.open_db(b"health")
                # Indexes: many rows' keys under one end, or one owner.
                self._ends = environment.open_db(b"ends", dupsort=True)
                self._owners = environment.open_db(b"owners", dupsort=True)
                self._opened = (os.getpid(), environment)
            return self._opened[1]

    def close(self) -> None:
        with self._opening:
            if self._opened is not None:
                self._opened[1].close()
            self._opened = None

    @contextmanager
    def _transaction(self, write: bool = False) -> Iterator[Transaction]:
        """All or nothing; inside `with_owner_locked` it is that one's."""
        try:
            if (outer := getattr(self._own, "transaction", None)) is not None:
                yield outer
            else:
                with self._environment().begin(write=write) as transaction:
                    yield transaction
        except lmdb.Error as exc:  # not OSError: the app's `change` may raise that
            raise StoreError(f"LMDB: {type(exc).__name__}") from exc

    def _read(self, transaction: Transaction, key: bytes) -> Record | None:
        row = transaction.get(key, db=self._rows)
        return None if row is None else unpack(row)

    def _records(self, transaction: Transaction, keys: Iterable[bytes]) -> Iterator[Record]:
        """Yield the rows with these keys, those aside that are gone or damaged."""
        for key in keys:
            with suppress(MalformedRecordError):
                record = self._read(transaction, key)
                if record is not None:
                    yield record

    def _all(self, transaction: Transaction) -> Iterator[Record]:
        with transaction.cursor(self._rows) as rows:
            yield from self._records(transaction, rows.iternext(values=False))

    def _live(self, transaction: Transaction, id: str, now: datetime) -> Record | None:
        record = self._read(transaction, row_key(id))
        return None if record is None or record.expired(now) else record

    def _index(self, record: Record) -> Iterator[tuple[Any, bytes]]:
        """Yield each index that the row is in, and the key that it is under."""
        yield self._ends, instant(record.expires_at) if record.expires_at else NEVER
        if record.owner is not None:
            yield self._owners, owner_key(record.owner)

    def _write(self, transaction: Transaction, record: Record, old: Record | None) -> None:
        key = row_key(record.id)
        if old is not None:
            self._remove(transaction, old)
        transaction.put(key, pack(record), db=self._rows)
        for index, under in self._index(record):
            transaction.put(under, key, db=index)

    def _remove(self, transaction: Transaction, record: Record) -> SessionSummary:
        key = row_key(record.id)
        transaction.delete(key, db=self._rows)
        for index, under in self._index(record):
            transaction.delete(under, key, db=index)
        return SessionSummary.of(record)

    def create(self, record: Record) -> None:
        with self._transaction(write=True) as transaction:
            if transaction.get(row_key(record.id), db=self._rows) is not None:
                raise RecordExistsError("a session with this id exists")
            self._write(transaction, replace(record, version=1), None)

    def load(self, id: str, now: datetime) -> Record | None:
        with self._transaction() as transaction:
            return self._live(transaction, id, now)

    def save(self, record: Record, expected_version: int, now: datetime) -> bool:
        with self._transaction(write=True) as transaction:
            newest = self._live(transaction, record.id, now)
            if newest is None or newest.version != expected_version:
                return False
            self._write(transaction, newest.saved_as(record), newest)
            return True

    def update(
        self, id: str, now: datetime, change: Callable[[Record], Record | None]
    ) -> Record | None:
        with self._transaction(write=True) as transaction:
            newest = self._live(transaction, id, now)
            changed = None if newest is None else change(newest)
            if newest is None or changed is newest:
                return newest
            if changed is None:
                self._remove(transaction, newest)
                return None
            new = replace(changed, id=id, created_at=newest.created_at, version=newest.version + 1)
            self._write(transaction, new, newest)
            return new

    def delete(self, id: str) -> bool:
        with self._transaction(write=True) as transaction:
            for record in self._records(transaction, [row_key(id)]):
                self._remove(transaction, record)
                return True
            return bool(transaction.delete(row_key(id), db=self._rows))  # damaged, or none

    def prune(self, now: datetime, limit: int) -> int:
        return len(self.prune_batch(now, limit))

    def prune_batch(self, now: datetime, limit: int) -> Summaries:
        pruned: Summaries = []
        with self._transaction(write=True) as transaction, transaction.cursor(self._ends) as ends:
            while len(pruned) < limit and ends.first() and ends.key() <= instant(now):
                key = ends.value()
                ends.delete()  # a damaged row's entry too
                for record in self._records(transaction, [key]):
                    if record.expired(now):
                        pruned.append(self._remove(transaction, record))
        return pruned

    @contextmanager
    def sweeping(self) -> Iterator[bool]:
        try:
            file = (self.folder / "sweeping").open("w")
        except OSError as exc:
            raise StoreError("LMDB: the folder can't be written") from exc
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()  # not ours
            yield not file.closed

    def try_write(self, now: datetime) -> None:
        with self._transaction(write=True) as transaction:  # one that writes nothing proves nothing
            transaction.put(b"at", now.isoformat().encode(), db=self._health)

    def _owned(self, transaction: Transaction, owner: str, now: datetime) -> list[Record]:
        with transaction.cursor(self._owners) as cursor:
            keys = list(cursor.iternext_dup()) if cursor.set_key(owner_key(owner)) else []
        found = self._records(transaction, keys)
        return [each for each in found if each.owner == owner and not each.expired(now)]

    def sessions_of(self, owner: str, now: datetime) -> Summaries:
        with self._transaction() as transaction:
            found = [SessionSummary.of(each) for each in self._owned(transaction, owner, now)]
        return sorted(found, key=lambda each: each.seen_at, reverse=True)

    def end_owner(self, owner: str, now: datetime, except_id: str | None = None) -> Summaries:
        with self._transaction(write=True) as transaction:
            owned = self._owned(transaction, owner, now)
            return [self._remove(transaction, each) for each in owned if each.id != except_id]

    def with_owner_locked(self, owner: str, work: Callable[[], T]) -> T:
        with self._transaction(write=True) as transaction:
            outer = getattr(self._own, "transaction", None)
            self._own.transaction = transaction
            try:
                return work()
            finally:
                self._own.transaction = outer

    def latest(self, now: datetime, limit: int) -> Summaries:
        with self._transaction() as transaction, transaction.cursor(self._ends) as ends:
            records = self._records(transaction, (key for _, key in ends.iterprev()))
            sessions = (each for each in records if each.owner != RESERVED_OWNER)
            live = takewhile(lambda each: not each.expired(now), sessions)
            return [SessionSummary.of(each) for each in islice(live, limit)]

    def end_older(
        self, now: datetime, created_before: datetime, seen_before: datetime
    ) -> Iterator[Summaries]:
        with self._transaction(write=True) as transaction:
            ended = [
                self._remove(transaction, each)
                for each in list(self._all(transaction))
                if each.owner != RESERVED_OWNER
                and not each.expired(now)
                and each.created_at < created_before
                and each.seen_at < seen_before
            ]
        yield ended

    def counts(self, now: datetime) -> SessionCounts:
        with self._transaction() as transaction:
            every = list(self._all(transaction))
        sessions = [each for each in every if each.owner != RESERVED_OWNER]
        owners = [each.owner for each in sessions if each.owner is not None]
        return SessionCounts(
            live=sum(not each.expired(now) for each in sessions),
            expired=sum(each.expired(now) for each in every),
            owned=len(owners),
            owners=len(set(owners)),
        )


def store_from_settings(settings: Mapping[str, Any]) -> LMDBStore:
    folder = settings.get("session.store.folder")
    if not folder:
        raise ConfigurationError("session.store.folder: is required: name a folder")
    return LMDBStore(Path(folder))
