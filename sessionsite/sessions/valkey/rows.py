"""A `Record` as text: six lines, of which the scripts read the first two, and the last is free.

The version, the end, when it was last seen, whether its token is confirmed, what seldom changes as
JSON, the payload. A time is its microseconds since the year 1, in 18 digits; no end is no digits.
"""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from ..store import MalformedRecordError, Record

_ZERO = datetime.min.replace(tzinfo=UTC)
_TICK = timedelta(microseconds=1)
_ROW = re.compile(rb"(\d{1,18})\n(\d{18}|)\n(\d{18})\n([01])\n([^\n]*)\n(.*)", re.S)
HEAD_BYTES = 8192
"""A row without its payload has fewer: owner and label are of 200 characters at most."""


def digits(time: datetime | None) -> str:
    """Return a time, aware, as it is stored."""
    return "" if time is None else f"{(time - _ZERO) // _TICK:018d}"


def _time(stored: str | bytes | None) -> datetime | None:
    return _ZERO + int(stored) * _TICK if stored else None


def changing(record: Record) -> str:
    """Return the lines that each save writes, the version and the payload aside."""
    confirmed = int(record.token_confirmed)
    return f"{digits(record.expires_at)}\n{digits(record.seen_at)}\n{confirmed}\n"


def pack(record: Record) -> bytes:
    """Return the row of `record`."""
    fixed: dict[str, Any] = {
        "id": record.id,
        "token_hash": record.token_hash.hex(),
        "created_at": digits(record.created_at),
        "old_token_hash": record.old_token_hash and record.old_token_hash.hex(),
        "old_token_valid": record.old_token_valid or None,
        "rotated_at": digits(record.rotated_at) or None,
        "owner": record.owner,
        "label": record.label,
        "timeout": record.timeout,
        "lifetime": record.lifetime,
        "persistent": record.persistent,
    }
    kept = json.dumps({k: v for k, v in fixed.items() if v is not None}, separators=(",", ":"))
    return encoded(f"{record.version}\n{changing(record)}{kept}\n{record.payload}")


def encoded(text: str) -> bytes:
    """Return `text` as it goes to the server, whatever characters it has."""
    return text.encode("utf-8", "surrogatepass")


def unpack(row: bytes, id: str) -> Record:
    """Return the record of the row of session `id`. Raises `MalformedRecordError`."""
    try:
        match = _ROW.fullmatch(row)
        if match is None:
            raise ValueError("it has other lines")
        version, expires_at, seen_at, confirmed, fixed, payload = match.groups()
        kept = json.loads(fixed)
        old_hash = kept.get("old_token_hash")
        record = Record(
            id=kept["id"],
            token_hash=bytes.fromhex(kept["token_hash"]),
            payload=payload.decode("utf-8", "surrogatepass"),
            version=int(version),
            created_at=_ZERO + int(kept["created_at"]) * _TICK,
            seen_at=_ZERO + int(seen_at) * _TICK,
            expires_at=_time(expires_at),
            old_token_hash=None if old_hash is None else bytes.fromhex(old_hash),
            old_token_valid=bool(kept.get("old_token_valid")),
            rotated_at=_time(kept.get("rotated_at")),
            token_confirmed=confirmed == b"1",
            owner=kept.get("owner"),
            label=kept.get("label"),
            timeout=kept.get("timeout"),
            lifetime=kept.get("lifetime"),
            persistent=kept.get("persistent"),
        )
        if record.id != id:
            raise ValueError("it is another session's")
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as exc:
        raise MalformedRecordError(f"the row of session {id}: {exc}") from exc
    return record


def unpack_head(row: bytes, id: str) -> Record:
    """Return the record of a row, or of its first `HEAD_BYTES`, without the payload.

    Raises `MalformedRecordError`.
    """
    return unpack(b"\n".join([*row.split(b"\n", 5)[:5], b""]), id)


def has_expired(row: bytes, now: str) -> bool:
    """Return whether a row, or its beginning, has an end that is not after `now`, in digits."""
    lines = row.split(b"\n", 2)
    return len(lines) == 3 and len(lines[1]) == 18 and lines[1] <= now.encode()
