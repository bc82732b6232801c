"""The tween that turns a failure of the store into the 503 page, so that outer tweens see it."""

from collections.abc import Callable

from pyramid.registry import Registry
from pyramid.request import Request
from pyramid.response import Response

from .error_page import error_page, store_failure

Handler = Callable[[Request], Response]


def save_tween_factory(handler: Handler, registry: Registry) -> Handler:
    """Make a tween that answers a failure of the store which no exception view has answered.

    The execution policy (`policy.py`) would answer it too, but later: a page from here still goes
    through the app's outer tweens, and gets their headers. The tween stands outside pyramid_tm,
    which has to see the error and not a page, so as to abort.
    """

    def save_tween(request: Request) -> Response:
        try:
            return handler(request)
        except Exception as exc:
            if store_failure(exc) is None:
                raise
            return error_page(request, exc)

    return save_tween
