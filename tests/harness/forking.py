"""Children of the test's own process."""

import ctypes
import json
import os
import signal
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

import psutil

from tests.harness.observing import until


def in_child(work: Callable[[], Any], fork: Callable[[], int] = os.fork) -> Any:
    """Return what `work` returns in a child of this process, as JSON has it."""
    reading, writing = os.pipe()
    if (pid := fork()) == 0:
        _tell(work, writing)
    os.close(writing)
    with open(reading) as answer:
        told = json.load(answer)
    os.waitpid(pid, 0)
    assert "failed" not in told, told["failed"]
    return told["returned"]


def _tell(work: Callable[[], Any], writing: int) -> NoReturn:
    signal.alarm(60)  # it may wait for what is in another process
    try:
        told = {"returned": work()}
    except BaseException:
        told = {"failed": traceback.format_exc()}
    with open(writing, "w") as answer:
        json.dump(told, answer)
    os._exit(0)  # nothing of pytest's


def fork_in_c() -> int:
    """Fork as a server in C does: Python is not told, and none of its hooks run.

    Call it in a process whose other threads end, such as a child by `in_child`: a thread that waits
    for Python's lock is not there in the child, which hands the lock over and waits for ever.
    """
    assert until(lambda: psutil.Process().num_threads() == 1)
    pid: int = ctypes.PyDLL(None).fork()  # PyDLL keeps the lock meanwhile
    return pid


def open_files(path: str) -> list[str]:
    """Which files of this process have a name that begins with `path`."""
    names = [file.path for file in psutil.Process().open_files()]
    return [name for name in names if name.startswith(path)]
