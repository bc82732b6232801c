"""Records that are altered on the way into a store, or out of it."""

from collections.abc import Callable
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from sessionsite.sessions import Record
from tests.contract.broken.sound import FAULTS, Change, SoundStore


class Altering(SoundStore):
    """Alters a record that goes `way`."""

    way = ""

    @staticmethod
    def alter(record: Record) -> Record:
        raise NotImplementedError

    def create(self, record: Record) -> None:
        super().create(self.alter(record) if self.way == "create" else record)

    def save(self, record: Record, expected_version: int, now: datetime) -> bool:
        altered = self.alter(record) if self.way == "save" else record
        return super().save(altered, expected_version, now)

    def update(self, id: str, now: datetime, change: Change) -> Record | None:
        def altered(newest: Record) -> Record | None:
            changed = change(newest)
            same = changed is None or changed is newest or self.way != "update"
            return changed if same or changed is None else self.alter(changed)

        return super().update(id, now, altered)

    def load(self, id: str, now: datetime) -> Record | None:
        record = super().load(id, now)
        return self.alter(record) if record and self.way == "load" else record


Alter = Callable[[Record], Record]


def payload(alter: Callable[[str], Any]) -> Alter:
    return lambda record: replace(record, payload=alter(record.payload))


def times(alter: Callable[[datetime], datetime]) -> Alter:
    def altered(record: Record) -> Record:
        values = {field.name: getattr(record, field.name) for field in fields(record)}
        changed: dict[str, Any] = {
            n: alter(v) for n, v in values.items() if isinstance(v, datetime)
        }
        return replace(record, **changed)

    return altered


def setting(name: str, alter: Callable[[Any], Any]) -> Alter:
    return lambda record: replace(record, **{name: alter(getattr(record, name))})


WAYS = "create, save, update, load"
SAVE_HAS_NONE = "create, update, load"
FAR = datetime(9999, 1, 1, tzinfo=UTC)
ALTERED: dict[str, tuple[str, Alter]] = {
    "a payload is cut at 64 KB": (WAYS, payload(lambda text: text[: 1 << 16])),
    "a payload is cut at 1 MB": (WAYS, payload(lambda text: text[: 1 << 20])),
    "the payload's white space is lost": (WAYS, payload(str.strip)),
    "a NUL in the payload is lost": (WAYS, payload(lambda t: t.replace(r"\u0000", ""))),
    "a surrogate in the payload is lost": (WAYS, payload(lambda t: t.replace(r"\ud800", "?"))),
    "what the payload escapes is decoded": (WAYS, payload(lambda t: t.replace(r"\u00e9", "é"))),
    "a number in the payload is shortened": (WAYS, payload(lambda t: t.replace("1.0", "1"))),
    "the payload's keys are sorted": (WAYS, payload(lambda t: t.replace('"b": 1, ', ""))),
    "the payload comes back as bytes": ("load", payload(str.encode)),
    "microseconds are lost": (WAYS, times(lambda t: t.replace(microsecond=0))),
    "only milliseconds are kept": (
        WAYS, times(lambda t: t.replace(microsecond=t.microsecond // 1000 * 1000)),
    ),
    "times have no zone": ("load", times(lambda t: t.replace(tzinfo=None))),
    "times are in another zone": (
        "load", times(lambda t: t.astimezone(timezone(timedelta(hours=2)))),
    ),
    "times are of another zone's clock": (WAYS, times(lambda t: t + timedelta(hours=1))),
    "a record without an end gets one": (WAYS, setting("expires_at", lambda end: end or FAR)),
    "an end is lost": (WAYS, setting("expires_at", lambda end: None)),
    "a hash ends at its first NUL": (
        SAVE_HAS_NONE, setting("token_hash", lambda value: value.partition(b"\0")[0]),
    ),
    "a hash is text": ("load", setting("token_hash", str)),
    "a hash is a memoryview": ("load", setting("token_hash", memoryview)),
    "a flag is a number": ("load", setting("token_confirmed", int)),
    "the version is a fraction": ("load", setting("version", float)),
    "old_token_hash is lost": (SAVE_HAS_NONE, setting("old_token_hash", lambda value: None)),
    "old_token_valid is lost": (SAVE_HAS_NONE, setting("old_token_valid", lambda value: False)),
    "old_token_valid is always true": (SAVE_HAS_NONE, setting("old_token_valid", lambda v: True)),
    "rotated_at is lost": (SAVE_HAS_NONE, setting("rotated_at", lambda value: None)),
    "token_confirmed is lost": (WAYS, setting("token_confirmed", lambda value: False)),
    "created_at is when it was stored": (
        "create", setting("created_at", lambda value: datetime.now(UTC)),
    ),
    "seen_at is when it was stored": (
        "create, save, update", setting("seen_at", lambda value: datetime.now(UTC)),
    ),
}  # fmt: skip
for what, (ways, alter) in ALTERED.items():
    for way in ways.split(", "):
        broken = type("Altered", (Altering,), {"way": way, "alter": staticmethod(alter)})
        FAULTS[f"{what}, by {way}"] = broken
