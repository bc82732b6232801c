"""The command that looks for what is wrong: in the .ini file, the database, and through the proxy.

Each fault is printed with its mend. The visit to `--url` is a real one, by a client that keeps its
cookies as browsers do; its session is deleted afterwards.
"""

import http.client
import re
import ssl
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

import click
from pyramid.request import Request

from ..secret_file import with_secret
from ..sessions import (
    ConfigurationError,
    IServerSessionFactory,
    ServerSessionFactory,
    StoreError,
    expand_environment,
    session_factory,
)
from .config import read_settings
from .group import commands, config_uri

TIMEOUT = 10  # seconds
MAX_REDIRECTS = 5
MAX_SECONDS_APART = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at; `mend` is None where nothing is wrong."""

    text: str
    mend: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A response, and where it came from after redirects."""

    url: str
    status: int
    headers: http.client.HTTPMessage
    text: str

    def cookie(self, name: str) -> tuple[str, list[str]] | None:
        """Return the value and the attributes of the last cookie of this name that it sets."""
        for header in reversed(self.headers.get_all("Set-Cookie", [])):
            pair, *attributes = [part.strip() for part in header.split(";")]
            if pair.startswith(f"{name}="):
                return pair.partition("=")[2], [each.lower() for each in attributes]
        return None


@commands.command()
@config_uri
@click.option("--url", metavar="URL", help="The site's address, as visitors have it.")
def doctor(config_uri: str, url: str | None) -> None:
    """Look for what is wrong, and say what to do. Exit status 1: there is something."""
    faults = 0
    for finding in _findings(config_uri, url):
        if finding.mend is None:
            click.echo(f"ok     {finding.text}")
        else:
            faults += 1
            click.echo(f"FAULT  {finding.text}\n       mend: {finding.mend}")
    if faults:
        raise click.ClickException(f"{faults} fault{'' if faults == 1 else 's'}")


def _findings(config_uri: str, url: str | None) -> Iterator[Finding]:
    try:
        factory = session_factory(with_secret(expand_environment(read_settings(config_uri))))
    except (ConfigurationError, StoreError) as exc:
        yield Finding(f"the settings: {exc}", "as it says; docs/configuration.md has every key")
        return
    yield Finding("the settings can be read")
    server = factory if IServerSessionFactory.providedBy(factory) else None
    try:
        if server is not None:
            yield from _settings(server)
            yield from _store(server.store)
        if url is not None:
            yield from _visit(url, server)
    finally:
        if server is not None:
            server.store.close()


def _settings(factory: Any) -> Iterator[Finding]:
    settings = getattr(factory, "settings", None)
    for name in getattr(settings, "allow_insecure", ()):
        yield Finding(f"session.allow_insecure has {name}", "remove it, and what it allows")
    if settings is not None and settings.secure is False:
        yield Finding(
            "session.secure = false: the cookie also goes out over plain http",
            "session.secure = true, or auto",
        )


def _store(store: Any) -> Iterator[Finding]:
    from ..sessions.sql import SQLAlchemyStore, diagnose  # only here a driver is needed

    if not isinstance(store, SQLAlchemyStore):
        try:
            store.load("", datetime.now(UTC))
            said = store.remark()
        except StoreError as exc:
            yield Finding(f"the store does not answer: {exc}", "start it, or mend its settings")
            return
        yield Finding(said or f"the store answers, {store.where}", "as it says" if said else None)
        return
    faults = list(diagnose(store))
    if not faults:
        yield Finding("the table is there, with its indexes, and can be read and written")
    for fault in faults:
        yield Finding(fault.text, fault.mend)


def _visit(url: str, factory: Any) -> Iterator[Finding]:
    try:
        first = _get(url, {})
    except (OSError, http.client.HTTPException, ValueError) as exc:
        yield Finding(f"{url} does not answer: {exc}", "start nginx and the process, or mend --url")
        return
    yield from _page(first)
    if not isinstance(factory, ServerSessionFactory) or first.status != 200:
        return
    name = factory.settings.cookie_name
    sent = first.cookie(name)
    if sent is None:
        yield Finding(
            f"{first.url} sets no cookie {name}",
            "give --url a page that uses the session, and see that no proxy caches it or drops "
            "Set-Cookie",
        )
        return
    value, attributes = sent
    yield from _cookie(first, name, attributes)
    yield from _session(first, factory, name, value)


def _page(answer: Answer) -> Iterator[Finding]:
    parts = urlsplit(answer.url)
    if answer.status == 400:
        yield Finding(
            f"{answer.url} is answered 400: the app does not know the host {parts.hostname}",
            f"add {parts.hostname} to SITE_HOSTS, and have the proxy pass Host on",
        )
    elif answer.status != 200:
        yield Finding(
            f"{answer.url} is answered {answer.status}",
            "see the log of the process, and `sessionsite doctor` without --url",
        )
    else:
        yield Finding(f"{answer.url} is answered 200")
    date = answer.headers.get("Date")
    apart = (parsedate_to_datetime(date) - datetime.now(UTC)).total_seconds() if date else 0
    if abs(apart) > MAX_SECONDS_APART:
        yield Finding(
            f"the clock of {parts.hostname} is {apart:+.0f} seconds apart from this host's",
            "have both set their clocks by NTP",
        )
    plain = rf'href="http://{re.escape(parts.hostname or "")}[:/"]'
    if parts.scheme == "https" and re.search(plain, answer.text):
        yield Finding(
            "the app takes an https request for a plain http one",
            "trusted_proxy in [server:main] is to be the proxy's address, and the proxy is to send "
            "X-Forwarded-Proto",
        )


def _cookie(answer: Answer, name: str, attributes: list[str]) -> Iterator[Finding]:
    https = urlsplit(answer.url).scheme == "https"
    secure = "secure" in attributes
    if secure and not https:
        yield Finding(
            f"the cookie {name} is Secure, and {answer.url} is plain http: browsers drop it",
            "serve the site over https, and redirect http to it",
        )
    elif https and not secure:
        yield Finding(
            f"the cookie {name} is not Secure", "session.secure = true, and a proxy that is trusted"
        )
    elif https:
        yield Finding(f"the cookie {name} is Secure")


def _session(
    first: Answer, factory: ServerSessionFactory, name: str, value: str
) -> Iterator[Finding]:
    request = Request.blank("/", headers={"Cookie": f"{name}={value}"})
    found = factory.cookie.read(request)
    if not found:
        yield Finding(
            "the cookie was signed with another secret than that of this .ini file",
            "give every process, and this command, the same SESSION_SECRET",
        )
        return
    try:
        record = factory.store.load(found[0].id, factory.now())
    except StoreError:
        return  # said already
    if record is None:
        yield Finding(
            "the session of the visit is not in the database of this .ini file",
            "give every process, and this command, the same DATABASE_URL",
        )
        return
    try:
        again = _get(first.url, {name: value})
        if again.cookie(name) is None:
            yield Finding("the cookie comes back, and opens the session")
        else:
            yield Finding(
                "the cookie does not come back: the second visit began another session",
                "see that session.path and session.domain cover the page, that the proxy passes "
                "Cookie on, and that all processes have one secret and one database",
            )
    finally:
        factory.store.delete(found[0].id)


def _get(url: str, cookies: dict[str, str]) -> Answer:
    """Ask for a page as a browser does. Raises OSError, HTTPException, ValueError."""
    for _ in range(MAX_REDIRECTS):
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("give an address that begins with http:// or https://")
        secure = parts.scheme == "https"
        kind: Any = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        options = {"context": ssl.create_default_context()} if secure else {}
        headers = {"Accept": "text/html", "User-Agent": "sessionsite doctor"}
        if cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        with closing(kind(parts.hostname, parts.port, timeout=TIMEOUT, **options)) as connection:
            path = parts.path or "/"
            connection.request("GET", f"{path}?{parts.query}" if parts.query else path,
                               headers=headers)  # fmt: skip
            response = connection.getresponse()
            text = response.read(1_000_000).decode("utf-8", "replace")
        location = response.headers.get("Location")
        if response.status not in (301, 302, 303, 307, 308) or not location:
            return Answer(url, response.status, response.headers, text)
        url = urljoin(url, location)
    raise ValueError("it redirects without end")
