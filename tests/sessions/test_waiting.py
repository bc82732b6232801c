"""So many may wait for longer than a moment while nothing moves; a queue that moves is served."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from sessionsite.sessions import waiting
from sessionsite.sessions.store import StoreBusyError
from sessionsite.sessions.waiting import WaitingRoom, wait_alone
from tests.harness.forking import in_child
from tests.harness.observing import until


@dataclass(eq=False)
class Request:
    key: str = "id-a"
    is_probe: bool = False
    starved: int = 0
    came: threading.Event = field(default_factory=threading.Event)

    def gives_way(self) -> bool:
        return self.is_probe

    def starves(self) -> None:
        self.starved += 1

    def wait_in(self, room: WaitingRoom, seconds: float = 60) -> bool:
        return room.wait(self, self.came.wait, seconds)


@pytest.fixture(autouse=True)
def moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "MOMENT", 0.2)


@pytest.fixture
def room() -> WaitingRoom:
    return WaitingRoom(2)


Wait = Callable[[Request], "Future[bool]"]


@pytest.fixture
def wait(room: WaitingRoom) -> Iterator[Wait]:
    """Have a request wait in a thread, until it is in the room."""
    requests: list[Request] = []

    def wait(request: Request) -> "Future[bool]":
        requests.append(request)
        future = threads.submit(request.wait_in, room)
        assert until(lambda: request in room._waiting or future.done())
        return future

    with ThreadPoolExecutor(8) as threads:
        yield wait
        for request in requests:
            request.came.set()


def test_who_need_not_wait_is_not_in_the_room(room: WaitingRoom) -> None:
    request = Request()
    request.came.set()
    assert request.wait_in(room)
    assert room._waiting == {}


def test_the_wait_ends_in_time(room: WaitingRoom) -> None:
    began = time.monotonic()
    assert not Request().wait_in(room, 0.5)
    assert 0.4 < time.monotonic() - began < 5
    assert room._waiting == {}


def test_whoever_is_beyond_the_seats_is_sent_away_after_a_moment(
    room: WaitingRoom, wait: Wait
) -> None:
    seated = [Request(), Request("id-b")]
    futures = [wait(request) for request in seated]
    third = Request("id-c")
    with pytest.raises(StoreBusyError, match="3 requests wait already"):
        third.wait_in(room)
    assert not any(future.done() for future in futures)
    assert [request.starved for request in (*seated, third)] == [1, 1, 1]
    for request in seated:
        request.came.set()
    assert [future.result(60) for future in futures] == [True, True]


def test_whoever_would_wait_for_the_same_is_sent_away_at_once(
    room: WaitingRoom, wait: Wait
) -> None:
    for request in (Request(), Request()):
        wait(request)
    time.sleep(0.25)
    with pytest.raises(StoreBusyError):
        room.admit(Request())
    room.admit(Request("id-b"))  # need not wait, for all we know


def test_while_the_queue_moves_nobody_is_sent_away(room: WaitingRoom, wait: Wait) -> None:
    stop = threading.Event()

    def move() -> None:
        while not stop.wait(0.02):
            room.moved("id-a")

    with ThreadPoolExecutor(1) as mover:
        mover.submit(move)
        futures = [wait(Request()) for _ in range(5)]
        time.sleep(1)
        room.admit(Request())
        assert not any(future.done() for future in futures)
        stop.set()


def test_that_another_queue_moves_does_not_count(room: WaitingRoom, wait: Wait) -> None:
    for request in (Request(), Request()):
        wait(request)
    third = wait(Request())
    deadline = time.monotonic() + 10
    while not third.done() and time.monotonic() < deadline:
        room.moved("id-b")
        time.sleep(0.02)
    with pytest.raises(StoreBusyError):
        third.result(0)


def test_while_the_store_is_away_one_may_wait(room: WaitingRoom, wait: Wait) -> None:
    wait(Request(is_probe=True))
    with pytest.raises(StoreBusyError):
        Request("id-b", is_probe=True).wait_in(room)


def test_a_child_begins_with_an_empty_room(room: WaitingRoom, wait: Wait) -> None:
    for request in (Request(), Request()):
        wait(request)
    time.sleep(0.25)
    assert in_child(lambda: room.admit(Request())) is None


def test_who_waits_alone_waits_until_it_is_there_or_the_time_is_up() -> None:
    tries: list[float] = []

    def ready(seconds: float) -> bool:
        tries.append(seconds)
        return len(tries) == 3

    assert wait_alone(ready, 60)
    assert not wait_alone(lambda seconds: False, 0.01)
