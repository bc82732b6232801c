"""What a session takes in Redis, as our own store keeps it there."""

from datetime import timedelta

from redis import Redis as Client

from benchmarks import ours
from benchmarks.scale.wal import SIZE
from benchmarks.store.rows import payload
from sessionsite.sessions import Record, utc_now
from sessionsite.sessions.valkey import store_from_settings
from tests.harness.redis import Redis


def bytes_per_session(server: Redis, count: int) -> float:
    """Store so many sessions of payloads of about `SIZE` bytes; return what each takes."""
    store = store_from_settings({"session.valkey.url": server.url})
    now = utc_now()
    with Client.from_url(server.url) as client:
        store.load("", now)  # its connection is not a session's
        before = client.info("memory")["used_memory"]
        for number in range(count):
            store.create(
                Record(
                    id=ours.row_id(number),
                    token_hash=bytes(range(32)),
                    payload=payload(SIZE),
                    version=1,
                    created_at=now,
                    seen_at=now,
                    expires_at=now + timedelta(hours=1),
                )
            )
        used: float = client.info("memory")["used_memory"] - before
        client.flushall()
    store.close()
    return used / count
