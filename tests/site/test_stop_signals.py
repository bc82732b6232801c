"""A signal that another thread is given, and one that a worker has been given by its terminal."""

import os
import signal
import threading
import time

import pytest

from sessionsite.servers.stopping import StopSignals
from tests.harness.forking import in_child

SECONDS = 20


def stop_in_another_thread(forks: int) -> tuple[str, float]:
    """Which signal has come, and after how long, though the main thread is never given one."""
    stop = StopSignals()
    stop.attend()
    for _ in range(forks):
        if pid := os.fork():
            _, status = os.waitpid(pid, 0)
            os._exit(os.waitstatus_to_exitcode(status))
        stop.attend()
    taker = threading.Event()
    threading.Thread(target=taker.wait, daemon=True).start()
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    send = threading.Timer(0.1, os.kill, [os.getpid(), signal.SIGTERM])
    began = time.monotonic()
    send.start()
    while stop.received is None and time.monotonic() - began < SECONDS:
        stop.wait(SECONDS)
    return (stop.received.name if stop.received else "none", time.monotonic() - began)


@pytest.mark.parametrize("forks", [0, 1])
def test_the_main_thread_is_woken_by_a_signal_that_another_one_is_given(forks: int) -> None:
    number, seconds = in_child(lambda: stop_in_another_thread(forks))
    assert number == "SIGTERM"
    assert seconds < SECONDS / 2


def test_a_signal_that_came_before_the_wait_ends_it() -> None:
    def wait() -> float:
        stop = StopSignals()
        stop.attend()
        os.kill(os.getpid(), signal.SIGINT)
        began = time.monotonic()
        stop.wait(SECONDS)
        stop.wait(0)  # and it has been told once
        return time.monotonic() - began

    assert in_child(wait) < SECONDS / 2


def test_a_worker_is_not_ended_by_the_second_signal_that_its_parent_sends() -> None:
    def stop_twice() -> str:
        stop = StopSignals()
        stop.attend()
        stop.ignore_further()
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), number)
            stop.wait(SECONDS)
        return stop.received.name if stop.received else "none"

    assert in_child(stop_twice) == "SIGINT"


@pytest.mark.parametrize("ignored", [False, True])
def test_a_hangup_stops_it_too_unless_nohup_has_it_ignored(ignored: bool) -> None:
    def hang_up() -> str:
        signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)
        stop = StopSignals()
        stop.attend()
        for _ in range(2):  # the kernel's, and the shell's
            os.kill(os.getpid(), signal.SIGHUP)
        stop.wait(0 if ignored else SECONDS)
        return stop.received.name if stop.received else "none"

    assert in_child(hang_up) == ("none" if ignored else "SIGHUP")
