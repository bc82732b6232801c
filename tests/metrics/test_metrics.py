"""Metrics: every instrument, for Prometheus and through OpenTelemetry's API."""

import json
import re
import socket
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import prometheus_client
import pytest
from opentelemetry import metrics as otel_api
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client import generate_latest
from pyramid.config import Configurator
from pyramid.interfaces import ISessionFactory
from pyramid.request import Request
from pyramid.response import Response
from webtest import TestApp

from sessionsite.metrics.instruments import Counter, Gauge, Histogram, Instruments
from sessionsite.metrics.measured import MeasuredOwnerStore, measured
from sessionsite.metrics.prometheus import Prometheus
from sessionsite.metrics.settings import Address
from sessionsite.sessions import (
    AllSessions,
    ConfigurationError,
    OwnerStore,
    SessionStore,
    StoreError,
    Sweep,
    login,
    server_factory,
    utc_now,
)
from sessionsite.sessions.events import Teller
from sessionsite.sessions.pruner import Pruner
from sessionsite.testing import START, in_parallel, record
from tests import ROOT
from tests.contract.kit import NOT_HERE, SQLContract
from tests.harness import free_port
from tests.harness.forking import in_child
from tests.harness.stores import sql_store
from tests.sessions.apps import SERVER
from tests.sessions.own_store import KeyAndValue

Numbers = Callable[[], dict[str, float]]


@pytest.fixture(scope="module")
def exported() -> Numbers:
    """What an operator's SDK exports, by name and label; the API takes one per process."""
    reader = InMemoryMetricReader()
    otel_api.set_meter_provider(MeterProvider([reader]))

    def read() -> dict[str, float]:
        data = json.loads(reader.get_metrics_data().to_json())  # type: ignore[union-attr]
        return {
            ":".join([metric["name"], *point["attributes"].values()]): point.get(
                "value", point.get("count")
            )
            for scope in data["resource_metrics"][0]["scope_metrics"]
            for metric in scope["metrics"]
            for point in metric["data"]["data_points"]
        }

    return read


@pytest.fixture
def port() -> int:
    return free_port()


def view(request: Request) -> Response:
    do = request.params.get("do", "")
    if do == "login":
        login(request, "user:42")
    elif do == "logout":
        request.session.invalidate()
    elif do:
        request.session[do] = 1
    return Response(str(request.session.get("a")))


@pytest.fixture
def make_app(sqlite_url: str) -> Iterator[Callable[..., TestApp]]:
    apps = []

    def make(**changes: str) -> TestApp:
        settings = {
            "pyramid.includes": "sessionsite.metrics",
            "sessionsite.session_factory": SERVER,
            "session.secret": "a-secret-for-tests-that-is-long-enough",
            "session.sqlalchemy.url": sqlite_url,
            "session.sql.create_table": "true",
            "session.prune_interval": "none",
        } | {k.replace("__", "."): v for k, v in changes.items()}
        with Configurator(settings=settings) as config:
            config.include("sessionsite.sessions")
            config.add_route("all", "/*path")
            config.add_view(view, route_name="all")
        app = TestApp(config.make_wsgi_app())
        apps.append(app)
        return app

    yield make
    for app in apps:
        app.app.registry.getUtility(ISessionFactory).store.close()


def scrape(port: int) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        return parse(answer.read().decode())


def parse(text: str) -> dict[str, float]:
    return {
        re.sub(r'\{\w+="(.*?)"\}', r":\1", line.rpartition(" ")[0]): float(line.rpartition(" ")[2])
        for line in text.splitlines()
        if line.startswith("sessionsite_")
    }


def test_what_happens_is_counted_in_both(
    exported: Numbers, make_app: Callable[..., TestApp], port: int
) -> None:
    app = make_app(sessionsite__metrics__listen=f"127.0.0.1:{port}")
    for do in ("a", "b", "login", "", "logout"):
        app.get(f"/?do={do}")
    factory = server_factory(app.app.registry)
    assert factory is not None
    store = factory.store
    store.create(record("old", expires_at=utc_now()))
    tell = Teller(registry=app.app.registry)
    assert tell.is_heard is False  # so that pruning stays as fast as it was
    assert Pruner(store, 900, utc_now, tell=tell).prune() == 1
    store.create(record("kept", expires_at=None))
    assert store.update("id-kept", utc_now(), lambda row: row) is not None  # and nothing is saved

    seen = scrape(port)
    expected = {
        "sessions_created_total": 1, "sessions_rotated_total": 1, "sessions_merged_total": 0,
        "sessions_ended_total:logout": 1, "sessions_loaded_total": 4, "sessions_saved_total": 3,
        "sessions_pruned_total": 1, "store_duration_seconds_count:load": 4,
        "store_duration_seconds_count:create": 3, "store_duration_seconds_count:save": 2,
        "store_duration_seconds_count:update": 3, "store_duration_seconds_count:prune": 1,
        "store_away": 0, "pool_open": 1, "pool_in_use": 0, "prune_rows": 1,
    }  # fmt: skip
    assert {name: seen[f"sessionsite_{name}"] for name in expected} == expected
    assert seen["sessionsite_pool_limit"] >= 1
    assert 0 <= utc_now().timestamp() - seen["sessionsite_prune_ended_seconds"] < 60
    assert 0 <= seen["sessionsite_prune_duration_seconds"] < 60

    exports = exported()
    for name in ("sessions.created", "sessions.ended:logout", "sessions.saved", "prune.rows"):
        prometheus = name.replace(".", "_").replace("created", "created_total")
        prometheus = prometheus.replace("saved", "saved_total").replace("ended", "ended_total")
        assert exports[f"sessionsite.{name}"] == seen[f"sessionsite_{prometheus}"], name
    assert exports["sessionsite.store.duration:load"] == 4
    assert exports["sessionsite.store.away"] == 0


def test_an_outage_shows_while_it_lasts(
    make_app: Callable[..., TestApp], port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(sessionsite__metrics__listen=f"127.0.0.1:{port}")
    app.get("/?do=a")
    factory = server_factory(app.app.registry)
    assert factory is not None

    def fail(*args: Any) -> None:
        raise StoreError("away")

    with monkeypatch.context() as patch:
        patch.setattr(factory.store._store, "load", fail)
        for _ in range(2):
            app.get("/", status=503)
        seen = scrape(port)
        assert seen["sessionsite_store_away"] == 1
        assert seen["sessionsite_store_failures_total:load"] == 2
        assert seen["sessionsite_store_duration_seconds_count:load"] == 2
    app.get("/")
    assert scrape(port)["sessionsite_store_away"] == 0


def test_before_the_first_pruning_there_is_no_number(
    exported: Numbers, make_app: Callable[..., TestApp], port: int
) -> None:
    app = make_app(sessionsite__metrics__listen=f"127.0.0.1:{port}")
    app.get("/")
    assert str(scrape(port)["sessionsite_prune_rows"]) == "nan"


def test_nobody_listens_before_the_first_request_nor_twice(
    make_app: Callable[..., TestApp], port: int, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(sessionsite__metrics__listen=f"127.0.0.1:{port}")
    with pytest.raises(OSError, match="refused"):
        scrape(port)
    in_parallel(4, lambda _: TestApp(app.app).get("/"))
    app.get("/")
    assert scrape(port)
    assert "can't listen" not in caplog.text


def test_a_process_takes_the_first_port_that_is_free_and_serves_without_one(
    make_app: Callable[..., TestApp], caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as taken, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        taken.bind(("127.0.0.1", port))
        taken.listen()
        app = make_app(sessionsite__metrics__listen=f"127.0.0.1:{port}")
        assert app.get("/?do=a").text == "1"
        assert f"can't listen at 127.0.0.1:{port}-{port}" in caplog.text
        caplog.clear()
        another = make_app(sessionsite__metrics__listen=f"127.0.0.1:{port}-{port + 20}")
        another.get("/")
        assert "can't listen" not in caplog.text


def test_of_first_requests_at_once_one_listens(
    port: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sink = Prometheus(Address("127.0.0.1", range(port, port + 1)))
    start = prometheus_client.start_http_server

    def slow(*args: Any) -> Any:
        sink.serve(None)  # of another request that came at the same time
        return start(*args)

    monkeypatch.setattr(prometheus_client, "start_http_server", slow)
    sink.serve(None)
    assert scrape(port) == {}
    assert "can't listen" not in caplog.text


def test_a_child_process_listens_for_itself(make_app: Callable[..., TestApp], port: int) -> None:
    app = make_app(sessionsite__metrics__listen=f"127.0.0.1:{port}-{port + 20}")
    app.get("/")
    assert scrape(port)["sessionsite_store_away"] == 0

    def serve() -> int:
        app.get("/")
        for own in range(port + 1, port + 21):
            with suppress(OSError):
                return len(scrape(own))
        return 0

    assert in_child(serve) > 10


def test_an_app_without_a_store_has_no_metrics_of_one() -> None:
    settings = {
        "pyramid.includes": "sessionsite.metrics",
        "sessionsite.metrics.listen": "none",
        "sessionsite.session_factory": "sessionsite.sessions.cookie.session_factory_from_settings",
        "session.secret": "a-secret-for-tests-that-is-long-enough",
    }
    with Configurator(settings=settings) as config:
        config.include("sessionsite.sessions")
        config.add_route("all", "/*path")
        config.add_view(view, route_name="all")
    assert TestApp(config.make_wsgi_app()).get("/?do=a").text == "1"


def test_without_opentelemetry_prometheus_is_left(
    make_app: Callable[..., TestApp], port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "sessionsite.metrics.otel", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.metrics", None)
    app = make_app(sessionsite__metrics__listen=f"127.0.0.1:{port}")
    app.get("/?do=a")
    assert scrape(port)["sessionsite_sessions_created_total"] == 1


@pytest.mark.parametrize(
    "value", ["9464", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:70000", "127.0.0.1:9-8", "a b:1"]
)
def test_a_wrong_address_is_refused(make_app: Callable[..., TestApp], value: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(f"listen = '{value}': give host:port")):
        make_app(sessionsite__metrics__listen=value)


def test_an_unknown_key_is_refused(make_app: Callable[..., TestApp]) -> None:
    with pytest.raises(ConfigurationError, match=r"sessionsite\.metrics\.listn: is not a setting"):
        make_app(sessionsite__metrics__listn="none")


def test_the_multiprocess_mode_is_refused(
    make_app: Callable[..., TestApp], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "/nowhere")
    with pytest.raises(ConfigurationError, match="PROMETHEUS_MULTIPROC_DIR is set"):
        make_app()


def test_a_missing_package_is_named(
    make_app: Callable[..., TestApp], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "sessionsite.metrics.prometheus")
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(ConfigurationError, match="needs prometheus-client"):
        make_app()


def test_an_app_that_does_not_include_it_has_its_store_as_it_is(sqlite_url: str) -> None:
    settings = {"sessionsite.session_factory": SERVER, "session.sqlalchemy.url": sqlite_url}
    settings["session.secret"] = "a-secret-for-tests-that-is-long-enough"
    with Configurator(settings=settings) as config:
        config.include("sessionsite.sessions")
    app = config.make_wsgi_app()
    factory = server_factory(app.registry)
    assert factory is not None
    assert type(factory.store).__name__ == "SQLAlchemyStore"
    assert app.registry.queryUtility(ISessionFactory) is factory


class TestMeasuredStore(SQLContract):
    """It keeps both contracts."""

    test_of_two_stores_one_is_sweeping = NOT_HERE

    @pytest.fixture
    def store(self, sqlite_url: str) -> Iterator[MeasuredOwnerStore]:
        self.url = sqlite_url
        store = measured(sql_store(sqlite_url), Instruments([]))
        assert isinstance(store, MeasuredOwnerStore)
        yield store
        store.close()


def test_a_store_that_finds_no_owners_stays_one() -> None:
    store = measured(KeyAndValue(), Instruments([]))
    store.try_write(START)
    assert not isinstance(store, OwnerStore)
    assert (store.connections(), store.count_expired(START)) == (None, None)
    store.note_sweep(Sweep(START, 1, 0.5))  # which this store does not keep
    assert (store.noted, store.last_sweep()) == (Sweep(START, 1, 0.5), None)
    with pytest.raises(TypeError, match="finds no sessions by their owner"):
        AllSessions(store).sessions_of("user:42")


@pytest.mark.parametrize("name", sorted({n for n in dir(OwnerStore) if not n.startswith("_")}))
def test_it_passes_on_all_that_a_store_promises(name: str) -> None:
    if name not in ("where", "durability", "replication"):
        default = getattr(OwnerStore, name, None)
        assert getattr(MeasuredOwnerStore, name) is not default
        assert getattr(MeasuredOwnerStore, name) is not getattr(SessionStore, name, None)


def test_the_dashboard_asks_for_metrics_that_there_are() -> None:
    text = (ROOT / "deploy" / "grafana.json").read_text("utf-8")
    dashboard = json.loads(text)
    asked = {
        name
        for panel in dashboard["panels"]
        for target in panel.get("targets", [])
        for name in re.findall(r"\bsessionsite_\w+", target["expr"])
    }
    assert asked == set(re.findall(r"\bsessionsite_\w+", text))
    sink = Prometheus(Address("127.0.0.1", range(1, 2)))
    instruments = Instruments([sink])
    for histogram in Histogram:
        instruments.observe(histogram, 1, "load")
    for counter in Counter:
        instruments.add(counter, label="load")
    for gauge in Gauge:
        instruments.watch(gauge, lambda: 1)
    there = set(re.findall(r"(?m)^(sessionsite_\w+)", generate_latest(sink.registry).decode()))
    assert asked <= there
    shown = {name.removesuffix("_bucket") for name in asked}
    ours = {n for n in there if not n.endswith(("_created", "_bucket", "_sum", "_count"))}
    assert ours <= shown  # nothing is measured that the dashboard does not show
    assert all(panel["datasource"]["uid"] == "${datasource}" for panel in dashboard["panels"])
