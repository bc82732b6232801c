"""The tween that makes the 503 page where the store fails, for the tweens outside to see."""

from collections.abc import Callable

from pyramid.registry import Registry
from pyramid.request import Request
from pyramid.response import Response

from .error_page import error_page, store_failure

Handler = Callable[[Request], Response]


def save_tween_factory(handler: Handler, registry: Registry) -> Handler:
    """Turn a store's failure that no exception view has answered into a page.

    The execution policy (`policy.py`) saves, later than this, and would make the page too. But a
    page that is made here goes through the app's outer tweens like any other, and so has their
    headers. The tween stands outside pyramid_tm, which must see the error, and not a page.
    """

    def save_tween(request: Request) -> Response:
        try:
            return handler(request)
        except Exception as exc:
            if store_failure(exc) is None:
                raise
            return error_page(request, exc)

    return save_tween
