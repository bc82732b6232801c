"""Another project's app, which includes our sessions."""

from collections.abc import Callable, Iterator

import pytest
from pyramid.config import Configurator
from pyramid.interfaces import ISessionFactory
from webtest import TestApp

from sessionsite.sessions import IServerSessionFactory, session_factory
from tests.sessions.apps import SERVER, View


@pytest.fixture
def settings(sqlite_url: str) -> dict[str, str]:
    return {
        "sessionsite.session_factory": SERVER,
        "session.secret": "a-secret-for-tests-that-is-long-enough",
        "session.sqlalchemy.url": sqlite_url,
        "session.sql.create_table": "true",
    }


@pytest.fixture
def make_app(settings: dict[str, str]) -> Iterator[Callable[..., TestApp]]:
    """An app of one view; with `include` as users have it, else with the factory alone."""
    factories = []

    def make(
        view: View,
        *,
        include: bool = True,
        on_error: View | None = None,
        setup: Callable[[Configurator], None] = lambda config: None,
        **changes: str | None,
    ) -> TestApp:
        values = settings | {k.replace("__", "."): v for k, v in changes.items()}
        values = {k: v for k, v in values.items() if v is not None}
        with Configurator(settings=values) as config:
            if include:
                config.include("sessionsite.sessions")
            else:
                config.set_session_factory(session_factory(values))
            config.add_route("page", "/")
            config.add_view(view, route_name="page")
            if on_error:
                config.add_exception_view(on_error, context=Exception)
            setup(config)
        app = config.make_wsgi_app()
        factories.append(app.registry.getUtility(ISessionFactory))
        return TestApp(app)

    yield make
    for factory in factories:
        if IServerSessionFactory.providedBy(factory):
            factory.store.close()
