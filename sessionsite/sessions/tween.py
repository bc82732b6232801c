"""The tween that saves the session, and makes the 503 page where the store fails.

It also sees the first request that a process serves, which starts the pruner.
"""

import logging
import sys
from collections.abc import Callable
from contextlib import suppress

from pyramid.httpexceptions import HTTPNotFound
from pyramid.interfaces import ISessionFactory
from pyramid.registry import Registry
from pyramid.request import Request
from pyramid.response import Response

from .interfaces import ISavedSession, IServerSessionFactory
from .payload import PayloadError
from .pruner import Pruner, Pruning
from .store import StoreError

log = logging.getLogger(__name__)

Handler = Callable[[Request], Response]
RETRY_AFTER = 10  # seconds


def save_tween_factory(handler: Handler, registry: Registry) -> Handler:
    """Save before the response leaves, and turn a store's failure into the app's error page.

    This tween stands outside the exception views, and outside pyramid_tm: the app's commit has
    succeeded before the session says so. A session also saves itself in a response callback, for
    apps without this tween; here that callback finds nothing left to do.
    """

    pruning = Pruning(lambda: _start_pruner(registry))

    def save_tween(request: Request) -> Response:
        pruning.serve()
        try:
            response = handler(request)
            _save(request)
            return response
        except (StoreError, PayloadError) as exc:
            return _error_page(request, exc)
        except Exception as exc:  # that no exception view has answered
            with suppress(StoreError, PayloadError):  # the app's own error is the one to show
                _save(request, exc)
            raise

    return save_tween


def _start_pruner(registry: Registry) -> None:
    factory = registry.queryUtility(ISessionFactory)
    if IServerSessionFactory.providedBy(factory) and factory.prune_interval is not None:
        Pruner(factory.store, factory.prune_interval, factory.now).start()


def _save(request: Request, error: Exception | None = None) -> None:
    session = request.__dict__.get("session")  # not request.session: that would open one
    if ISavedSession.providedBy(session):
        session.save_for_response(request, error)


def _error_page(request: Request, exc: Exception) -> Response:
    try:
        return request.invoke_exception_view(sys.exc_info())
    except HTTPNotFound:  # the app has no view for it
        pass
    if isinstance(exc, StoreError):
        return Response(
            "The session store can't be reached. Try again in a moment.\n",
            status=503,
            content_type="text/plain",
            headers={"Retry-After": str(RETRY_AFTER), "Cache-Control": "no-store"},
        )
    raise exc
