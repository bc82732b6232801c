"""What a server does to the process is told at the first request that it serves."""

import logging
import sys
import threading
from types import SimpleNamespace

import pytest
from pyramid.config import Configurator
from webtest import TestApp

from sessionsite.sessions import MemoryStore, ServerSessionFactory, server_settings
from sessionsite.sessions.hosting import warn_of_hosting

SETTINGS = {
    "session.secret": "a-secret-for-tests-that-is-long-enough",
    "session.prune_interval": "none",
}


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.WARNING, "sessionsite.sessions.hosting")
    return caplog


def test_a_process_as_it_should_be_is_no_line(said: pytest.LogCaptureFixture) -> None:
    warn_of_hosting()
    assert said.records == []


def test_a_patch_after_the_app_was_loaded_is_told(
    said: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading, "get_ident", lambda: 1)
    warn_of_hosting()
    (record,) = said.records
    assert record.levelno == logging.ERROR
    assert "patched after the app was loaded" in record.getMessage()


@pytest.mark.parametrize(("has_threads", "lines"), [(0, 1), (1, 0)])
def test_uwsgi_without_threads_is_told(
    said: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    has_threads: int,
    lines: int,
) -> None:
    monkeypatch.setitem(sys.modules, "uwsgi", SimpleNamespace(has_threads=has_threads))
    warn_of_hosting()
    assert [record.levelno for record in said.records] == [logging.WARNING] * lines


def test_it_is_told_once(said: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    factory = ServerSessionFactory(MemoryStore(), server_settings(SETTINGS))
    with Configurator(settings={}) as config:
        config.include("sessionsite.sessions")
        config.set_session_factory(factory)
    app = TestApp(config.make_wsgi_app())
    monkeypatch.setitem(sys.modules, "uwsgi", SimpleNamespace(has_threads=0))
    for _ in range(2):
        app.get("/", status=404)
    assert ["uWSGI" in record.getMessage() for record in said.records].count(True) == 1
