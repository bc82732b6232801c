"""What a session takes in Redis: one hash, with the fields of a record."""

from redis import Redis as Client

from benchmarks import ours
from benchmarks.scale.wal import SIZE
from benchmarks.store.rows import payload
from sessionsite.sessions import utc_now
from tests.harness.redis import Redis


def bytes_per_session(server: Redis, count: int) -> float:
    """Store so many sessions of payloads of about `SIZE` bytes; return what each takes."""
    now = utc_now().isoformat()
    record = {
        "token_hash": bytes(range(32)),
        "payload": payload(SIZE),
        "version": 1,
        "created_at": now,
        "seen_at": now,
        "expires_at": now,
    }
    with Client.from_url(server.url) as client:
        before = client.info("memory")["used_memory"]
        with client.pipeline(transaction=False) as pipeline:
            for number in range(count):
                name = f"sessionsite:{{{ours.row_id(number)}}}"
                pipeline.hset(name, mapping=record)
                pipeline.expire(name, 3600)
            pipeline.execute()
        used: float = client.info("memory")["used_memory"] - before
        client.flushall()
    return used / count
