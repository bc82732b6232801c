"""What servers do, seen from outside."""

import socket
import time
from collections.abc import Callable

from tests.harness.process import living


def gone(*pids: int) -> bool:
    """Whether none of the processes is alive, or will be within some seconds."""
    deadline = time.monotonic() + 15
    while alive := set(pids) & living().keys():
        if time.monotonic() > deadline:
            return not alive
        time.sleep(0.02)
    return True


def answer(port: int, question: bytes, length: int) -> bytes:
    """What a server answers to `question`; nothing if it is silent for half a second."""
    with socket.create_connection(("127.0.0.1", port), timeout=0.5) as connection:
        connection.sendall(question)
        try:
            return connection.recv(length)
        except TimeoutError:
            return b""


def until(condition: Callable[[], bool], seconds: float = 20) -> bool:
    """Whether `condition` comes true within so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
