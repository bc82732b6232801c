"""Saves the session after everything else has run; if that fails, makes the 503 page.

Tweens, response callbacks, subscribers to NewResponse, finished callbacks and execution policies
may all put something into a session, in this order. The response leaves only after all of them. So
this module wraps the app's execution policy, and saves there, once. It also starts the pruner, at
the first request that a process serves.
"""

import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from pyramid.config import Configurator
from pyramid.events import ApplicationCreated, NewResponse
from pyramid.registry import Registry
from pyramid.request import Request
from pyramid.response import Response
from pyramid.router import Router
from pyramid.threadlocal import RequestContext
from webob import Response as WebObResponse

from .error_page import drop, error_page, mark_unavailable, store_failure
from .events import Teller
from .hosting import warn_of_hosting
from .interfaces import server_factory
from .once import OncePerProcess
from .opened import OPENED_KEY, Opened
from .payload import PayloadError
from .pruner import Pruner
from .response import prevent_caching
from .retry import IBeforeRetry
from .store import HeadersSentError, SessionLimitError, StoreError
from .stream import Stream, is_stream, stream

log = logging.getLogger(__name__)

Environ = dict[str, Any]
WSGIApp = Callable[[Environ, Any], Iterable[bytes]]
Policy = Callable[[Environ, Router], WSGIApp]
FAILURES = (StoreError, PayloadError, HeadersSentError, SessionLimitError)


def save_policy(inner: Policy, serving: Callable[[], None]) -> Policy:
    """Return an execution policy that calls `inner`, and then saves the sessions.

    `serving` is called first, at each request. A failure of the store becomes the 503 page,
    wherever it was raised. An error of the app's is raised, after what changed has been saved.
    """

    def policy(environ: Environ, router: Router) -> WSGIApp:
        serving()
        outer = environ.get(OPENED_KEY)  # an app around this one has sessions of its own
        environ[OPENED_KEY] = opened = Opened(environ)
        streams = False
        try:
            response = _respond(inner, environ, router, opened)
            streams = isinstance(response.app_iter, Stream)
        finally:
            if not streams:
                opened.forget()
            if outer is not None:
                environ[OPENED_KEY] = outer
        sent: WSGIApp = response
        return sent

    return policy


def _respond(inner: Policy, environ: Environ, router: Router, opened: Opened) -> Response:
    response = None
    try:
        response = inner(environ, router)
        if not isinstance(response, WebObResponse):  # any WSGI app will do for Pyramid
            response = Request(environ).get_response(response)
        if isinstance(getattr(opened.request, "exception", None), StoreError):
            mark_unavailable(response)
        if environ["REQUEST_METHOD"] == "HEAD" or not is_stream(response, environ):
            opened.save()
            opened.respond(response)
            return response
        body = stream(response, opened)
        body.start()
        opened.save()
        opened.respond(response)
        opened.headers_sent()
        return response
    except Exception as exc:
        if isinstance(response, WebObResponse):
            drop(response)
        with suppress(*FAILURES):  # the first error is the one to show
            opened.save(exc)
        if store_failure(exc) is None and not isinstance(exc, FAILURES):
            raise
        return _page(exc, environ, router, opened.request)


def _page(exc: Exception, environ: Environ, router: Router, request: Request | None) -> Response:
    """Return the page for `exc`, as the router would: with the app's callbacks and subscribers."""
    with router.request_context(environ) if request is None else RequestContext(request) as current:
        page = error_page(current, exc)
        try:
            current._process_response_callbacks(page)
            current.registry.notify(NewResponse(current, page))
        except Exception as another:
            log.error("The page for %r was not seen by all of the app", exc, exc_info=another)
    prevent_caching(page)
    return page


def _stand_around(event: ApplicationCreated) -> None:
    app = event.app
    start_once = OncePerProcess("Session pruner", lambda: _start_pruner(app.registry))
    # Not `config.set_execution_policy`: pyramid_retry sets that one, and both would conflict.
    app.execution_policy = save_policy(app.execution_policy, start_once.serve)


def _start_pruner(registry: Registry) -> None:
    factory = server_factory(registry)
    if factory is not None:
        warn_of_hosting()
    if factory is not None and factory.prune_interval is not None:
        Pruner(
            factory.store,
            factory.prune_interval,
            factory.now,
            tell=Teller(registry=registry, by="the pruner"),
            lifetime=factory.description.lifetime,
        ).start()


def discard(event: IBeforeRetry) -> None:
    """Drop what this attempt has put into a session: another attempt follows."""
    opened = event.environ.get(OPENED_KEY)
    if opened is not None:
        opened.discard()


def includeme(config: Configurator) -> None:
    config.add_subscriber(_stand_around, ApplicationCreated)
    config.add_subscriber(discard, IBeforeRetry)
