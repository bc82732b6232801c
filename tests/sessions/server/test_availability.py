"""What the log says of a store that fails: an outage's beginning, each minute, its end."""

import logging
from typing import Any

import pytest
from pyramid.registry import Registry

from sessionsite.sessions import MergeTooLargeError, StoreBack, StoreError, StoreUnavailable
from sessionsite.sessions.events import Teller
from sessionsite.sessions.server.availability import Asked, Availability
from sessionsite.testing import in_parallel
from tests.harness.forking import in_child
from tests.harness.visitor import Clock


class Process:
    """A process that asks its store, at a time that is passed in."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.availability = Availability(self.clock)
        self.told: list[Any] = []
        registry = Registry()
        for kind in (StoreUnavailable, StoreBack):
            registry.registerHandler(self.told.append, [kind])
        self.tell = Teller(registry=registry)

    def ask(self, *, writes: bool = True) -> Asked:
        return self.availability.ask(writes=writes)

    def fail(self, error: StoreError | None = None, asked: Asked | None = None) -> None:
        self.availability.lost(error or StoreError("refused"), asked or self.ask(), self.tell)

    def answer(self, *, writes: bool = True) -> None:
        self.availability.answered(self.ask(writes=writes), self.tell)

    def fail_for(self, seconds: int) -> None:
        """Fail ten times per second."""
        for _ in range(seconds * 10):
            self.clock.move(0.1)
            self.fail()


@pytest.fixture
def process() -> Process:
    return Process()


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG)
    return caplog


def kinds(process: Process) -> list[Any]:
    return [type(event) for event in process.told]


def test_an_outage_is_a_line_at_its_beginning_each_minute_and_at_its_end(
    process: Process, log: pytest.LogCaptureFixture
) -> None:
    process.answer()
    process.fail()
    process.fail_for(150)
    process.clock.move(0.5)
    process.answer()
    process.answer()
    assert log.messages == [
        "Session store: away: refused",
        "Session store: still away after 60 seconds, 601 requests have failed: refused",
        "Session store: still away after 120 seconds, 1201 requests have failed: refused",
        "Session store: back after 150 seconds, in which 1501 requests have failed",
    ]
    assert [r.levelname for r in log.records] == ["ERROR", "ERROR", "ERROR", "WARNING"]
    assert kinds(process) == [StoreUnavailable, StoreBack]
    assert process.told[0].reason == "refused"
    assert process.told[1].seconds == pytest.approx(150.5)
    assert process.told[1].failed == 1501


def test_a_store_that_fails_every_second_request_is_no_line_per_request(
    process: Process, log: pytest.LogCaptureFixture
) -> None:
    for _ in range(300):
        process.clock.move(0.5)
        process.fail()
        process.clock.move(0.5)
        process.answer()
    assert log.messages == [
        "Session store: away: refused",
        "Session store: back after 0 seconds, in which 1 requests have failed",
        "Session store: on and off for 61 seconds, 62 requests have failed: refused",
        "Session store: on and off for 121 seconds, 122 requests have failed: refused",
        "Session store: on and off for 181 seconds, 182 requests have failed: refused",
        "Session store: on and off for 241 seconds, 242 requests have failed: refused",
    ]
    log.clear()
    for _ in range(70):
        process.clock.move(1)
        process.answer()
    assert log.messages == [
        "Session store: back after 299 seconds, in which 300 requests have failed"
    ]
    assert kinds(process) == [StoreUnavailable, StoreBack] * 300  # events tell of each change
    assert {(event.seconds, event.failed) for event in process.told[1::2]} == {(0.5, 1)}


def test_an_outage_a_minute_after_the_last_one_is_another_one(
    process: Process, log: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        process.fail()
        process.clock.move(1)
        process.answer()
        process.clock.move(60)
    assert log.messages == 2 * [
        "Session store: away: refused",
        "Session store: back after 1 seconds, in which 1 requests have failed",
    ]


def test_the_end_of_an_unsteady_outage_is_told_before_the_next_one(
    process: Process, log: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        process.fail()
        process.clock.move(1)
        process.answer()
    process.clock.move(3600)  # in which nobody asks
    process.fail()
    assert log.messages[2:] == [
        "Session store: back after 2 seconds, in which 2 requests have failed",
        "Session store: away: refused",
    ]


def test_a_request_that_fails_while_others_are_answered_is_no_outage(
    process: Process, log: pytest.LogCaptureFixture
) -> None:
    for _ in range(100):  # one visitor's row is locked
        asked = process.ask()
        process.answer()
        process.clock.move(1)
        process.fail(StoreError("lock timeout"), asked)
    lone = "Session store: a request failed while others were answered (%d since the last such line"
    assert log.messages == [f"{lone % n}): lock timeout" for n in (1, 60)]
    assert {record.levelname for record in log.records} == {"ERROR"}
    assert process.told == []
    assert not process.availability.away


def test_what_the_store_has_answered_is_no_outage(
    process: Process, log: pytest.LogCaptureFixture
) -> None:
    process.fail(MergeTooLargeError("too many places"))
    assert "a request failed while others were answered" in log.text
    assert process.told == []


def test_whoever_asked_before_an_outage_is_counted_with_it(
    process: Process, log: pytest.LogCaptureFixture
) -> None:
    asked = process.ask()
    process.answer()
    process.fail()
    process.fail(asked=asked)
    process.answer()
    assert log.messages[1:] == [
        "Session store: back after 0 seconds, in which 2 requests have failed"
    ]


def test_a_failure_that_two_calls_pass_on_counts_once(
    process: Process, log: pytest.LogCaptureFixture
) -> None:
    error = StoreError("refused")
    for _ in range(2):
        process.fail(error)
    process.answer()
    assert process.told[1].failed == 1


def test_threads_tell_of_each_change_once(process: Process, log: pytest.LogCaptureFixture) -> None:
    for _ in range(20):
        in_parallel(8, lambda _: process.fail())
        assert process.availability.away
        in_parallel(8, lambda _: process.answer())
        assert not process.availability.away
    assert len(log.messages) == 2
    assert kinds(process) == [StoreUnavailable, StoreBack] * 20
    assert sum(event.failed for event in process.told[1::2]) == 160


def test_a_lock_that_another_thread_holds_at_a_fork_holds_up_no_child(process: Process) -> None:
    def ask() -> bool:
        process.fail()
        process.answer()
        return process.availability.away

    with process.availability._lock:
        assert in_child(ask) is False
