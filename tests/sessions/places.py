"""Where an app may use the session of a request, in the order in which Pyramid comes by."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pyramid.config import Configurator
from pyramid.events import NewRequest, NewResponse
from pyramid.request import Request
from pyramid.response import Response
from pyramid.router import default_execution_policy
from pyramid.tweens import INGRESS

from sessionsite.sessions import SAVE_TWEEN

Use = Callable[[Request], Any]
Place = Callable[[Configurator, Use], None]


def view(config: Configurator, use: Use) -> None:
    _at_the_view(config, use)


def _at_the_view(config: Configurator, use: Use) -> None:
    """Run `use` with each request for the page, as the view is about to."""

    def subscriber(event: NewRequest) -> None:
        if event.request.path_info == "/":
            use(event.request)

    config.add_subscriber(subscriber, NewRequest)


def response_callback(config: Configurator, use: Use) -> None:
    """A callback that was added before the session was opened."""
    _at_the_view(config, lambda request: request.add_response_callback(lambda r, _: use(r)))


def late_response_callback(config: Configurator, use: Use) -> None:
    """A callback that was added after the session was opened."""

    def open_first(request: Request) -> None:
        request.session.get("x")
        request.add_response_callback(lambda r, _: use(r))

    _at_the_view(config, open_first)


def nested_response_callback(config: Configurator, use: Use) -> None:
    """A callback that another callback has added."""

    def outer(request: Request, response: Response) -> None:
        request.session.get("x")
        request.add_response_callback(lambda r, _: use(r))

    _at_the_view(config, lambda request: request.add_response_callback(outer))


def new_response(config: Configurator, use: Use) -> None:
    """A subscriber to the response, after the session was opened."""
    _at_the_view(config, lambda request: request.session.get("x"))
    first_new_response(config, use)


def first_new_response(config: Configurator, use: Use) -> None:
    def subscriber(event: NewResponse) -> None:
        if event.request.path_info == "/":
            use(event.request)

    config.add_subscriber(subscriber, NewResponse)


def finished_callback(config: Configurator, use: Use) -> None:
    def open_first(request: Request) -> None:
        request.session.get("x")
        request.add_finished_callback(use)

    _at_the_view(config, open_first)


def first_finished_callback(config: Configurator, use: Use) -> None:
    """One in which the session is opened."""
    _at_the_view(config, lambda request: request.add_finished_callback(use))


def exception_view(config: Configurator, use: Use) -> None:
    def fail(request: Request) -> None:
        raise ZeroDivisionError

    def page(request: Request) -> Response:
        use(request)
        return Response("the app's own error page")

    _at_the_view(config, fail)
    config.add_exception_view(page, context=ZeroDivisionError)


def outer_tween(config: Configurator, use: Use) -> None:
    """One that stands outside our tween."""
    config.registry.use_of_tween = use
    config.add_tween("tests.sessions.places.outer_tween_factory", under=INGRESS, over=SAVE_TWEEN)


def outer_tween_factory(handler: Callable[[Request], Response], registry: Any) -> Use:
    def tween(request: Request) -> Response:
        response = handler(request)
        if request.path_info == "/":
            registry.use_of_tween(request)
        return response

    return tween


def before_the_policy(config: Configurator, use: Use) -> None:
    """An execution policy of the app's own, with a request of its own, before the app is run."""

    def policy(environ: dict[str, Any], router: Any) -> Any:
        if environ["PATH_INFO"] == "/":
            with router.request_context(environ) as request:
                use(request)
        return default_execution_policy(environ, router)

    config.set_execution_policy(policy)


def after_the_policy(config: Configurator, use: Use) -> None:
    """An execution policy of the app's own, after the app has run."""

    def policy(environ: dict[str, Any], router: Any) -> Any:
        with router.request_context(environ) as request:
            response = router.invoke_request(request)
            if environ["PATH_INFO"] == "/":
                use(request)
            return response

    config.set_execution_policy(policy)


def around_a_copy(config: Configurator, use: Use) -> None:
    """An execution policy that runs the app on a copy of the environment."""

    def policy(environ: dict[str, Any], router: Any) -> Any:
        return default_execution_policy(dict(environ), router)

    config.set_execution_policy(policy)
    first_new_response(config, use)


def plain_wsgi(config: Configurator, use: Use) -> None:
    """An execution policy that returns any WSGI app, not a response."""

    def policy(environ: dict[str, Any], router: Any) -> Any:
        response = default_execution_policy(environ, router)
        return lambda environ, start_response: response(environ, start_response)

    config.set_execution_policy(policy)
    first_new_response(config, use)


def body(config: Configurator, use: Use) -> None:
    """The body of a stream, before its first chunk."""

    def chunks(request: Request) -> Iterator[bytes]:
        use(request)
        yield b""
        yield b"streamed"

    _streamed(config, chunks)


def _streamed(config: Configurator, chunks: Callable[[Request], Iterable[bytes]]) -> None:
    def subscriber(event: NewResponse) -> None:
        if event.request.path_info == "/" and event.response.status_int == 200:
            event.response.app_iter = chunks(event.request)

    config.add_subscriber(subscriber, NewResponse)


CALLBACKS: list[Place] = [
    view, response_callback, late_response_callback, nested_response_callback, new_response,
    finished_callback, exception_view, outer_tween,
]  # fmt: skip
"""Those that the factory alone can serve."""
PLACES: list[Place] = [
    *CALLBACKS, first_new_response, first_finished_callback, before_the_policy, after_the_policy,
    around_a_copy, plain_wsgi, body,
]  # fmt: skip
