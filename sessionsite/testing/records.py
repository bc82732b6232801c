"""What the contract of a store is made of: records, threads, an error that must come."""

from collections.abc import Callable
from concurrent.futures import Future, wait
from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread
from typing import Any

from ..sessions import Record

START = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
"""The contract's "now": half an hour before the clocks of Europe go back."""


def record(name: str = "a", **changes: Any) -> Record:
    """Return a record that is alive at `START`, with an id and a token hash made from `name`.

    `changes`: fields of `Record` that are to be others.
    """
    values: dict[str, Any] = {
        "id": f"id-{name}",
        "token_hash": f"hash-{name}".encode(),
        "payload": '{"n": 1}',
        "version": 1,
        "created_at": START - timedelta(hours=1),
        "seen_at": START - timedelta(minutes=1),
        "expires_at": START + timedelta(hours=1),
    }
    return Record(**values | changes)


def in_parallel(count: int, work: Callable[[int], Any], limit: float = 60) -> list[Any]:
    """Call `work(0)`, `work(1)`, … at once, a thread each; return the results in that order.

    Raises what one of them raised, or `TimeoutError` for those that wait for each other longer than
    `limit` seconds. Nothing can end these threads, but none holds up the end of the process.
    """
    barrier = Barrier(count)
    futures: list[Future[Any]] = [Future() for _ in range(count)]

    def run(number: int) -> None:
        try:
            barrier.wait(timeout=30)
            futures[number].set_result(work(number))
        except BaseException as exc:
            futures[number].set_exception(exc)

    for number in range(count):
        Thread(target=run, args=(number,), daemon=True).start()
    _, stuck = wait(futures, limit)
    if stuck:
        raise TimeoutError(f"{len(stuck)} of {count} threads were stuck after {limit} seconds")
    return [future.result() for future in futures]


def raised(call: Callable[[], Any]) -> BaseException | None:
    """Return what `call` raises, or None."""
    try:
        call()
    except BaseException as exc:
        return exc
    return None
