"""The page for a session that can't be loaded or saved: the app's own, or a plain 503."""

import logging

from pyramid.httpexceptions import HTTPNotFound, HTTPServiceUnavailable
from pyramid.request import Request
from pyramid.response import Response

from .store import StoreError

log = logging.getLogger(__name__)

RETRY_AFTER = 10
"""Seconds: the `Retry-After` of the 503 page."""
TEXT = "The session store can't be reached. Try again in a moment."
HEADERS = {"Retry-After": str(RETRY_AFTER), "Cache-Control": "no-store"}


class StoreErrorPage(StoreError, HTTPServiceUnavailable):  # type: ignore[misc]  # untyped base
    """A failure of the store in an app without our policy, which Pyramid shows as a 503 page.

    The page does not show the error's text.
    """

    explanation = TEXT

    def __init__(self, text: str) -> None:
        HTTPServiceUnavailable.__init__(self, headers=HEADERS)
        self.args = (text,)

    def __str__(self) -> str:
        return str(self.args[0])


def store_failure(exc: BaseException | None) -> StoreError | None:
    """Return the `StoreError` that `exc` is, or that caused it; None if there is none.

    An app's error page may ask for the session, and raise an error of its own when the store
    fails: the store is the cause of that, too.
    """
    seen: set[int] = set()
    while exc is not None and id(exc) not in seen:
        if isinstance(exc, StoreError):
            return exc
        seen.add(id(exc))
        exc = exc.__cause__ or (None if exc.__suppress_context__ else exc.__context__)
    return None


def error_page(request: Request, exc: Exception) -> Response:
    """Return the app's page for `exc`.

    If `exc` is a failure of the store, `mark_unavailable` marks the page; an app without a page for
    it, or whose page fails, gets a plain 503. Any other error that the app has no page for is
    raised, and so is what its page raises.
    """
    failure = store_failure(exc)
    shown = failure or exc
    try:
        page = request.invoke_exception_view((type(shown), shown, shown.__traceback__))
        _ = page.body  # made now: one that is made while it is sent may ask for the session
    except HTTPNotFound:  # the app has no view for it
        if failure is None:
            raise exc from None
    except Exception as another:
        if failure is None:
            raise
        log.error("The app's page for a session store that is away failed", exc_info=another)
    else:
        if failure is not None:
            mark_unavailable(page)
        return page
    return Response(f"{TEXT}\n", status=503, content_type="text/plain", headers=HEADERS)


def mark_unavailable(page: Response) -> None:
    """Give an app's page for a failure of the store the status 503 and a `Retry-After`.

    An app's page for all errors usually says 500; robots, proxies and alarms go by the status.
    """
    if page.status_int == 500:
        page.status_int = 503
    if page.status_int == 503 and "Retry-After" not in page.headers:
        page.headers["Retry-After"] = str(RETRY_AFTER)


def become(response: Response, page: Response) -> None:
    """Turn `response` into `page` in place, since others already refer to it."""
    drop(response)
    response.status = page.status
    response.app_iter = page.app_iter
    response.headerlist = list(page.headerlist)


def drop(response: Response) -> None:
    """Close the body of a response that will not be sent (PEP 3333)."""
    body = response.app_iter
    close = getattr(body, "abandon", None) or getattr(body, "close", None)
    try:
        if close is not None:
            close()
    except Exception as exc:
        log.error("The body of a response that is not sent failed to close", exc_info=exc)
