"""Each way in which Valkey or Redis may be away, as `test_rows.py` has them for PostgreSQL."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.functional.outages.visitors import assert_an_outage
from tests.harness import free_port
from tests.harness.outages import restored
from tests.harness.production import HOSTS, SECRET, valkey_ini
from tests.harness.pserve import Pserve
from tests.harness.redis import Redis, start_redis
from tests.harness.relay import Relay
from tests.harness.skipping import required

pytestmark = [pytest.mark.servers, pytest.mark.all]

TIMEOUT = 2  # seconds: session.valkey.timeout


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    with required():
        directory = tmp_path_factory.mktemp("redis")
        server = start_redis(directory, "--appendonly", "yes", "--appendfsync", "always")
    with server:
        yield server


@restored
def stopped(server: Redis, _: Relay) -> Iterator[None]:
    server.stop()
    yield
    server.start()
    server.create_user("site")


@restored
def killed(server: Redis, _: Relay) -> Iterator[None]:
    server.kill()
    yield
    server.start()
    server.create_user("site")


@restored
def frozen(server: Redis, _: Relay) -> Iterator[None]:
    server.pause()
    yield
    server.resume()


@restored
def silent(_: Redis, relay: Relay) -> Iterator[None]:
    relay.swallow()
    yield
    relay.let_through()


@restored
def read_only(server: Redis, _: Relay) -> Iterator[None]:
    """The server has become the replica of one that is not there."""
    server.run("REPLICAOF", "127.0.0.1", "1")
    yield
    server.run("REPLICAOF", "NO", "ONE")


@restored
def full(server: Redis, _: Relay) -> Iterator[None]:
    server.run("CONFIG", "SET", "maxmemory", "1")
    yield
    server.run("CONFIG", "SET", "maxmemory", "0")


@restored
def forbidden(server: Redis, _: Relay) -> Iterator[None]:
    server.run("ACL", "SETUSER", "site", "-@write", "-@scripting")
    yield
    server.run("ACL", "SETUSER", "site", "+@all")


@restored
def locked_out(server: Redis, _: Relay) -> Iterator[None]:
    """The user is gone, and their connections with them."""
    server.run("ACL", "DELUSER", "site")
    yield
    server.create_user("site")


Outage = Callable[[Redis, Relay], AbstractContextManager[None]]
OUTAGES: list[Outage] = [
    stopped, killed, frozen, silent, read_only, full, forbidden, locked_out,
]  # fmt: skip


@pytest.fixture
def relay(server: Redis) -> Iterator[Relay]:
    with Relay(server.port) as relay:
        yield relay


@pytest.fixture(params=OUTAGES, ids=lambda outage: outage.__name__)
def outage(request: pytest.FixtureRequest) -> Outage:
    outage: Outage = request.param
    return outage


@pytest.fixture
def site(outage: Outage, server: Redis, relay: Relay, tmp_path: Path) -> Iterator[Pserve]:
    url = server.create_user("site")
    if outage is silent:  # all others have no network between, which would refuse in its own way
        url = url.replace(str(server.port), str(relay.port))
    config = valkey_ini(
        tmp_path,
        url,
        f"session.valkey.timeout = {TIMEOUT}",
        "sessionsite.history_limit = 1000",
        "sessionsite.history_bytes = 60000",
    )
    env = {"SESSION_SECRET": SECRET, "SITE_HOSTS": HOSTS}
    args = ["--server-name=worker", f"http_port={free_port()}"]
    with Pserve(config, args, env, tmp_path).start() as site:
        yield site


def test_an_outage(outage: Outage, server: Redis, relay: Relay, site: Pserve) -> None:
    assert_an_outage(outage(server, relay), site, TIMEOUT, "secret")
