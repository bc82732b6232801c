"""What stands in front of the app: refuses requests, cleans cookies, answers for errors.

A WSGI server answers an error that escapes the app with a bare 500. Errors escape from tweens, from
response callbacks and from subscribers to NewResponse, so this stands outside all of them: around
the router's execution policy.
"""

import logging
import sys
from collections.abc import Callable, Iterable
from typing import Any

from pyramid.config import Configurator
from pyramid.events import ApplicationCreated
from pyramid.httpexceptions import HTTPBadRequest, HTTPException, HTTPNotFound
from pyramid.response import Response
from pyramid.router import Router

from .cookies import CookieCleaner
from .hosts import HostNames
from .security import add_headers
from .sessions import describe, logging_for
from .views import LOGGED

log = logging.getLogger(__name__)

Environ = dict[str, Any]
WSGIApp = Callable[[Environ, Any], Iterable[bytes]]
Policy = Callable[[Environ, Router], WSGIApp]

PLAIN = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Sessions - {title}</title></head>
<body><h1>Sessions - {title}</h1><p>{advice}</p></body></html>
"""


def gate(inner: Policy, cookies: CookieCleaner) -> Policy:
    """Return the execution policy `inner` with the gate in front, which cleans `cookies`.

    A request whose `Host` is missing, malformed or none of `allowed_hosts`, or whose path is no
    UTF-8, is answered 400 before all else. Whatever is raised inside is answered by the app's
    exception view, or by a plain page where that fails.
    """

    def policy(environ: Environ, router: Router) -> WSGIApp:
        cookies.clean(environ)
        try:
            _check(environ, router.registry.site.allowed_hosts)
            response = inner(environ, router)
        except Exception as exc:
            response = _error_page(exc, environ, router)

        def send(environ: Environ, start_response: Any) -> Iterable[bytes]:
            try:
                return response(environ, start_response)
            except Exception as exc:  # a header that the server refuses
                with logging_for(environ):
                    log.error("Unexpected error", exc_info=exc)
                plain = _protected(_plain_page(500), environ, router)
                error = sys.exc_info()
                chunks: Iterable[bytes] = plain(
                    environ, lambda status, headers: start_response(status, headers, error)
                )
                return chunks

        return send

    return policy


def _check(environ: Environ, allowed: HostNames) -> None:
    try:
        path = environ.get("PATH_INFO", "").encode("latin-1").decode("utf-8")
    except ValueError as exc:
        raise HTTPBadRequest("The path is not UTF-8.") from exc
    # load balancers often send no host name, or an address
    if path != "/healthz" and not allowed.allow(environ.get("HTTP_HOST", "")):
        raise HTTPBadRequest("This server has no site of that name.")


def _error_page(exc: Exception, environ: Environ, router: Router) -> Response:
    """Return the answer to `exc`, which is being handled: the app's, or a plain page."""
    unanswered = exc
    if LOGGED not in environ:
        try:
            with router.request_context(environ) as request:
                page = request.invoke_exception_view((type(exc), exc, exc.__traceback__))
                return _protected(page, environ, router)
        except HTTPNotFound:  # the app has no view for it
            pass
        except Exception as another:
            unanswered = another  # its context is `exc`, so that the log has both
    with logging_for(environ):
        log.error("Unexpected error", exc_info=unanswered)
    status = exc.status_int if isinstance(exc, HTTPException) else 500
    return _protected(_plain_page(max(status, 400)), environ, router)


def _plain_page(status: int) -> Response:
    title, advice = ("Error", "Something went wrong on our side. The site has logged the error.")
    if status < 500:
        title, advice = ("Bad request", "The site did not understand this request.")
    return Response(PLAIN.format(title=title, advice=advice), status=status)


def _protected(response: Response, environ: Environ, router: Router) -> Response:
    add_headers(response, environ["wsgi.url_scheme"], router.registry.site.hsts)
    return response


def includeme(config: Configurator) -> None:
    def stand_in_front(event: ApplicationCreated) -> None:
        # Not `config.set_execution_policy`: pyramid_retry sets that one, and both would conflict.
        description = describe(event.app.registry)
        cookies = CookieCleaner(description.cookie.cookie_name if description else None)
        event.app.execution_policy = gate(event.app.execution_policy, cookies)

    config.include(".settings")
    config.add_subscriber(stand_in_front, ApplicationCreated)
