"""The fuzzer finds faults: each is planted for the length of a test, and seen in a few cases."""

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from markupsafe import Markup
from pyramid.request import Request

import sessionsite.cookies
import sessionsite.history
import sessionsite.sessions.cookie_header
import sessionsite.sessions.payload
import sessionsite.views
from sessionsite.request import SiteRequest
from tests.security import test_fuzz as fuzzer
from tests.security.fuzz import Target

pytestmark = pytest.mark.slow
Plant = Callable[[pytest.MonkeyPatch], None]


@pytest.fixture(scope="module", params=["development", "production"])
def target(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Target]:
    directory, name = tmp_path_factory.mktemp("finds"), request.param
    with fuzzer.making_target(directory, name, memory=name == "production") as target:
        yield target


def strip_as_python_does(planted: pytest.MonkeyPatch) -> None:
    planted.setattr(sessionsite.sessions.cookie_header, "_SPACE", None)


def let_every_cookie_in(planted: pytest.MonkeyPatch) -> None:
    strip_as_python_does(planted)
    planted.setattr(sessionsite.cookies, "readable_cookies", lambda header: header)


def read_forms_as_webob_does(planted: pytest.MonkeyPatch) -> None:
    planted.setattr(SiteRequest, "POST", Request.POST)


def escape_no_message(planted: pytest.MonkeyPatch) -> None:
    planted.setattr(sessionsite.views, "_shown", Markup)


def leave_controls_in_messages(planted: pytest.MonkeyPatch) -> None:
    planted.setattr(sessionsite.views, "_shown", str)


def escape_no_visit(planted: pytest.MonkeyPatch) -> None:
    planted.setattr(
        "sessionsite.request.stored_history",
        lambda session: [Markup(url) for url in sessionsite.history.stored_history(session)],
    )


def fail_at_bytes_above_ascii(planted: pytest.MonkeyPatch) -> None:
    planted.setattr(
        SiteRequest, "may_be_visit", property(lambda self: self.user_agent.encode("ascii") is None)
    )


def take_any_payload(planted: pytest.MonkeyPatch) -> None:
    checked = sessionsite.sessions.payload.loads
    for name, module in list(sys.modules.items()):
        if name.startswith("sessionsite.") and getattr(module, "loads", None) is checked:
            planted.setattr(module, "loads", json.loads)


FAULTS: list[tuple[Plant, Any, dict[str, Any]]] = [
    (strip_as_python_does, fuzzer.test_fuzz_factories, fuzzer.FACTORY_CASES),
    (let_every_cookie_in, fuzzer.test_fuzz_cookies, fuzzer.COOKIE_CASES),
    (read_forms_as_webob_does, fuzzer.test_fuzz_forms, fuzzer.FORM_CASES),
    (escape_no_message, fuzzer.test_fuzz_stored_payloads, fuzzer.PAYLOAD_CASES),
    (leave_controls_in_messages, fuzzer.test_fuzz_stored_payloads, fuzzer.PAYLOAD_CASES),
    (escape_no_visit, fuzzer.test_fuzz_stored_payloads, fuzzer.PAYLOAD_CASES),
    (fail_at_bytes_above_ascii, fuzzer.test_fuzz_request_headers, fuzzer.HEADER_CASES),
    (take_any_payload, fuzzer.test_fuzz_stored_payloads, fuzzer.PAYLOAD_CASES),
]


@pytest.mark.parametrize(
    ("plant", "test", "cases"), FAULTS, ids=[plant.__name__ for plant, *_ in FAULTS]
)
def test_a_planted_fault_is_found(
    target: Target, monkeypatch: pytest.MonkeyPatch, plant: Plant, test: Any, cases: dict[str, Any]
) -> None:
    first = settings(
        max_examples=250, derandomize=True, database=None, phases=[Phase.generate],
        report_multiple_bugs=False,
    )  # fmt: skip
    plant(monkeypatch)
    # Any exception will do: a test of the fuzzer fails by an assertion or by the fault itself.
    with pytest.raises(Exception):  # noqa: B017, PT011
        first(given(**cases)(test.hypothesis.inner_test))(target=target)
