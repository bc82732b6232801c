"""production.ini as it is deployed, and a visitor who speaks plain HTTP with it."""

import html
import http.client
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from tests import ROOT
from tests.harness import free_port
from tests.harness.nginx import start_nginx
from tests.harness.pserve import Pserve, start_pserve, worker_args
from tests.harness.stores import sql_store

PRODUCTION = ROOT / "production.ini"
SECRET = "only-the-tests-of-production-know-this-one"
HOSTS = "localhost 127.0.0.1 elsewhere.example"
FORWARDED = {
    "X-Forwarded-For": "203.0.113.9",
    "X-Forwarded-Host": "elsewhere.example",
    "X-Forwarded-Port": "444",
    "X-Forwarded-Proto": "https",
    "Forwarded": "for=203.0.113.9;host=elsewhere.example;proto=https",
}


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    text: str

    @property
    def history(self) -> list[str]:
        listed = re.search("<ol>(.*)</ol>", self.text, re.DOTALL)
        return [
            html.unescape(url) for url in re.findall('href="(.*?)"', listed[1] if listed else "")
        ]


class Browser:
    """A visitor with one connection per request, and with cookies, Secure ones on http too."""

    def __init__(self, url: str, certificate: Path | None = None) -> None:
        self.cookies: dict[str, str] = {}
        self._where = urlsplit(url)
        self._trust = ssl.create_default_context(cafile=certificate) if certificate else None

    def turn_to(self, url: str) -> None:
        """Send what follows to another process, with the cookies of this one."""
        self._where = urlsplit(url)

    def get(
        self, path: str = "/", headers: Mapping[str, str] | None = None, source: str = "127.0.0.1"
    ) -> Answer:
        return self._ask("GET", path, dict(headers or {}), source)

    def forget(self) -> Answer:
        """Send the form of the page that is visited for it."""
        found = re.search('name="csrf_token" value="(.*?)"', self.get().text)
        assert found
        form = urlencode({"csrf_token": html.unescape(found[1])})
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return self._ask("POST", "/forget", kind, body=form)

    def _ask(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        source: str = "127.0.0.1",
        body: str | None = None,
    ) -> Answer:
        host, port = self._where.hostname or "", self._where.port
        options: dict[str, Any] = {"timeout": 30, "source_address": (source, 0)}
        if self._trust:
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                host, port, context=self._trust, **options
            )
        else:
            connection = http.client.HTTPConnection(host, port, **options)
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        sent = {"Cookie": cookies} if cookies else {}
        with closing(connection):
            connection.request(method, path, body, sent | headers)
            response = connection.getresponse()
            text = response.read().decode("utf-8", "replace")
        for cookie in response.headers.get_all("Set-Cookie", []):
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        return Answer(response.status, response.headers, text)


VALKEY_FACTORY = "sessionsite.sessions.valkey.session_factory_from_settings"


def production_ini(directory: Path, *lines: str) -> Path:
    """A copy of production.ini, with these lines for their keys in [app:main]."""
    text = PRODUCTION.read_text("utf-8")
    for line in lines:
        text = re.sub(rf"(?m)^{re.escape(line.partition(' =')[0])} = .*\n", "", text)
    head = "[app:main]\nuse = egg:sessionsite\n"
    assert head in text
    config = directory / "copy.ini"
    config.write_text(text.replace(head, head + "".join(f"{line}\n" for line in lines)), "utf-8")
    return config


def valkey_ini(directory: Path, url: str, *lines: str, prefix: str | None = None) -> Path:
    """The same, with its sessions in Valkey or Redis."""
    config = production_ini(
        directory,
        f"sessionsite.session_factory = {VALKEY_FACTORY}",
        f"session.valkey.url = {url}",
        f"session.valkey.prefix = {prefix or free_port()}:",
        *lines,
    )
    text = config.read_text("utf-8")
    config.write_text(text.replace("session.sqlalchemy.", "# "), "utf-8")
    return config


def start_worker(
    directory: Path, config: Path = PRODUCTION, *, section: str | None = None, **env: str
) -> Pserve:
    """A further process, as production.ini says to start one."""
    return start_pserve(
        config,
        env={"SESSION_SECRET": SECRET, "SITE_HOSTS": HOSTS} | env,
        args=worker_args(free_port(), section),
        directory=directory,
    )


def create_table(url: str) -> None:
    sql_store(url).engine.dispose()


def needs_another_address() -> None:
    """Skip the test where 127.0.0.2 is no address of this machine (macOS)."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.2", 0))
        except OSError:
            pytest.skip("this machine has one loopback address")


@contextmanager
def production_site(directory: Path, database: str, port: int | None = None) -> Iterator[str]:
    """The URL of production.ini's site on an empty database, behind nginx at `port`.

    A browser's visitors are never so fast that nginx refuses them.
    """
    create_table(database)
    (directory / "nginx").mkdir()
    with (
        start_worker(directory, DATABASE_URL=database) as worker,
        start_nginx(directory / "nginx", [worker.port], port, limited=True) as nginx,
    ):
        yield nginx.url
