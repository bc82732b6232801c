"""One session's row on the server: read, locked, written."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

from ..store import MalformedRecordError, Record, RecordExistsError, StoreError
from . import scripts
from .client import Client, WrongTypeError
from .keys import Keys
from .locking import Patience
from .rows import changing, digits, encoded, has_expired, pack, unpack
from .scripts import DONE, LATE

MARGIN = timedelta(days=1)
"""How long after its end the server itself drops a row that nobody has pruned."""


class Sessions:
    """The rows of all sessions; each method is one script, so one round trip."""

    def __init__(self, client: Client, keys: Keys, patience: Patience, lease: float) -> None:
        """`lease`: the seconds after which a lock lapses."""
        self._client = client
        self._keys = keys
        self._patience = patience
        self._lease = int(1000 * lease)

    def exists(self, id: str) -> bool:
        row, _ = self._keys.session(id)
        return bool(self._client.command("EXISTS", row, key=row))

    def create(self, record: Record, latest: str = "") -> None:
        """Add the row of `record`. `latest`: the server's millisecond after which it must not be.

        Raises `RecordExistsError`.
        """
        # Its life is reckoned from its creation, since no other time is known here.
        life = _life(record, record.created_at)
        row, _ = self._keys.session(record.id)
        answer = self._client.script(scripts.CREATE, [row], pack(record), life, latest)
        if answer == LATE:
            raise _too_late()
        if answer != DONE:
            raise RecordExistsError("a session with this id exists")

    def load(self, id: str, now: datetime) -> Record | None:
        row, _ = self._keys.session(id)
        with _malformed(id):
            found = self._client.command("GET", row, key=row)
        if found is None or has_expired(found, digits(now)):
            return None
        return unpack(found, id)

    def save(self, record: Record, expected_version: int, now: datetime) -> bool:
        """Write what `SessionStore.save` does, if nobody has the row's lock, or has it no more."""
        keys = self._keys.session(record.id)
        args = (
            expected_version,
            digits(now),
            expected_version + 1,
            changing(record),
            encoded(record.payload),
            _life(record, now),
        )
        answer = self._patience.until_free(
            record.id, lambda: self._client.script(scripts.SAVE, keys, *args)
        )
        return bool(answer == DONE)

    def lock(self, id: str, now: datetime, token: str) -> Record | None:
        """Return the newest record, and hold its lock; None if it is gone or has expired.

        Raises `MalformedRecordError`; the lock is then nobody's.
        """
        keys = self._keys.session(id)
        args = (digits(now), token, self._lease)
        with _malformed(id):
            row = self._patience.until_free(
                id, lambda: self._client.script(scripts.LOCK, keys, *args)
            )
        if not isinstance(row, bytes):
            return None
        try:
            return unpack(row, id)
        except BaseException:
            self.release(id, token)
            raise

    def write(
        self, old: Record, new: Record | None, now: datetime, token: str = "", latest: str = ""
    ) -> bool:
        """Replace `old` by `new`, or delete it, and end the lock with our `token`.

        Returns False if the row is at another version, or locked by another request.
        """
        keys = self._keys.session(old.id)
        row = b"" if new is None else pack(new)
        life = "" if new is None else _life(new, now)
        answer = self._client.script(scripts.WRITE, keys, token, old.version, row, life, latest)
        if answer == LATE:
            raise _too_late()
        return bool(answer == DONE)

    def release(self, id: str, token: str) -> None:
        """End our lock."""
        self._client.script(scripts.RELEASE, self._keys.session(id), token)

    def delete(self, id: str) -> bytes | None:
        """Remove the row, whatever it is, and return it."""
        row, _ = self._keys.session(id)
        try:
            found: bytes | None = self._client.write("GETDEL", row, key=row)
        except WrongTypeError:
            found = b"" if self._client.write("DEL", row, key=row) else None
        return found

    def prune(self, ids: Sequence[str], now: datetime) -> list[tuple[str, bytes]]:
        """Remove those of the rows that have expired; return their ids, and the rows."""
        time = digits(now).encode()
        calls = [(self._keys.session(each), (time,)) for each in ids]
        rows = self._client.scripts(scripts.PRUNE, calls)
        return [(id_, row) for id_, row in zip(ids, rows, strict=True) if isinstance(row, bytes)]

    def drop(self, records: Sequence[Record]) -> list[Record]:
        """Remove those of the rows that are still what they were when read; return these."""
        calls = [(self._keys.session(each.id), ("", each.version, "", "", "")) for each in records]
        answers = self._client.scripts(scripts.WRITE, calls)
        return [each for each, answer in zip(records, answers, strict=True) if answer == DONE]


@contextmanager
def _malformed(id: str) -> Iterator[None]:
    """Take what is no text for a row that makes no record."""
    try:
        yield
    except WrongTypeError as exc:
        raise MalformedRecordError(f"the row of session {id}: {exc}") from exc


def _life(record: Record, now: datetime) -> str | int:
    """Return for how many milliseconds the server has to keep the row, "" for ever.

    A span, and no instant: however wrong the server's clock is, no live session is lost.
    """
    if record.expires_at is None:
        return ""
    left = max(record.expires_at - now, timedelta()) + MARGIN
    return left // timedelta(milliseconds=1)


def _too_late() -> StoreError:
    return StoreError("the session was not stored in time to be its owner's: send it again")
