"""Waiting for a lock: a session's or an owner's, that another request has.

A lock is a key with a random token, which lapses by itself, should its holder die. It keeps
requests from doing work in vain; what keeps them from overwriting each other is the version.
"""

import random
import secrets
import time
from collections.abc import Callable
from typing import Any

from ..store import StoreBusyError
from ..waiting import WaitingRoom
from .scripts import HELD

_FIRST, _LONGEST = 0.001, 0.03  # seconds between two tries
_RANDOM = random.SystemRandom()


def new_token() -> str:
    """Return what tells our lock from every other."""
    return secrets.token_hex(8)


class Waiter:
    """A request that waits for a lock."""

    def __init__(self, key: str) -> None:
        self.key = key

    def gives_way(self) -> bool:
        return False

    def starves(self) -> None:
        """Note nothing: a lock that is held says nothing of the server."""


class Patience:
    """How long a request waits for a lock."""

    def __init__(self, seconds: float, room: WaitingRoom) -> None:
        self._seconds = seconds
        self._room = room

    def until_free(self, key: str, ask: Callable[[], Any]) -> Any:
        """Call `ask` until its answer is not `HELD`, and return that. Raises `StoreBusyError`."""
        answer = ask()
        if answer != HELD:
            return answer
        answers: list[Any] = []
        waiter = Waiter(key)
        self._room.admit(waiter)
        if not self._room.wait(waiter, lambda seconds: _poll(ask, answers, seconds), self._seconds):
            raise StoreBusyError(f"another request has the lock, for {self._seconds:g} seconds now")
        self._room.moved(key)
        return answers[0]


def _poll(ask: Callable[[], Any], answers: list[Any], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    pause = _FIRST
    while (left := deadline - time.monotonic()) > 0:
        time.sleep(min(left, pause * _RANDOM.uniform(0.5, 1.5)))
        pause = min(2 * pause, _LONGEST)
        if (answer := ask()) != HELD:
            answers.append(answer)
            return True
    return False
