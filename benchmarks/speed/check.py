"""Whether a contestant works, and shows what ours shows, before anything is timed."""

import http.client
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser

PATHS = ("/", "/about", "/contact")
LIMIT = 20
TOLERANCE = 0.02  # of the response bodies' size
HOST = "bench.example"
HEADERS = {
    "Host": HOST,
    "X-Forwarded-For": "192.0.2.1",
    "X-Forwarded-Host": HOST,
    "X-Forwarded-Port": "443",
    "X-Forwarded-Proto": "https",
}


class NotWorking(Exception):
    """Says what a contestant does that it should not, or the other way round."""


class Visitor:
    """A browser, as far as the benchmark needs one: one connection, and what cookies it got."""

    def __init__(self, port: int, cookie: str = "") -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        pairs = [pair.partition("=") for pair in cookie.split("; ") if pair]
        self._cookies = {name: value for name, _, value in pairs}

    @property
    def cookie(self) -> str:
        """The `Cookie` header that it sends; empty for none."""
        return "; ".join(f"{name}={value}" for name, value in self._cookies.items())

    def visit(self, path: str) -> str:
        headers = HEADERS | ({"Cookie": self.cookie} if self._cookies else {})
        try:
            self._connection.request("GET", path, headers=headers)
            response = self._connection.getresponse()
            body = response.read().decode()
        except (OSError, http.client.HTTPException) as error:
            raise NotWorking(f"{path}: {error!r}") from error
        if response.status != 200:
            raise NotWorking(f"{path} is answered {response.status}")
        for line in response.headers.get_all("Set-Cookie") or []:
            name, _, value = line.partition(";")[0].partition("=")
            self._cookies[name] = value
        return body

    def close(self) -> None:
        self._connection.close()


def visits(html: str) -> list[str]:
    """The page visits that the footer lists, newest first."""
    return re.findall(r'<a href="([^"]+)">\1</a>', html)


@dataclass(slots=True)
class Pages:
    """The three pages as a visitor sees them who has 20 visits behind."""

    html: dict[str, str] = field(default_factory=dict)

    def sizes(self) -> dict[str, int]:
        return {path: len(html.encode()) for path, html in self.html.items()}


def check_sessions(ports: Sequence[int]) -> Pages:
    """Check that each visitor has a history of its own, which grows up to 20, on all processes."""
    first, second = Visitor(ports[0]), Visitor(ports[0])
    expected: list[str] = []
    pages = Pages()
    for number in range(LIMIT + 2 * len(PATHS)):
        path = PATHS[number % len(PATHS)]
        expected = [f"https://{HOST}{path}", *expected][:LIMIT]
        pages.html[path] = first.visit(path)
        if (found := visits(pages.html[path])) != expected:
            raise NotWorking(f"after {number + 1} visits the history is {found}")
    if not first.cookie:
        raise NotWorking("it sets no cookie")
    if (found := visits(second.visit("/about"))) != [f"https://{HOST}/about"]:
        raise NotWorking(f"a second visitor's history is {found}")
    for port in ports[1:]:
        there = Visitor(port, first.cookie)
        expected = [f"https://{HOST}/", *expected][:LIMIT]
        if (found := visits(there.visit("/"))) != expected:
            raise NotWorking(f"another process has the history {found}")
        there.close()
    first.close()
    second.close()
    return pages


def check_no_sessions(ports: Sequence[int]) -> Pages:
    """Check that the pages list 20 visits, and that there is no cookie."""
    pages = Pages()
    for port in ports:
        visitor = Visitor(port)
        for path in PATHS:
            pages.html[path] = visitor.visit(path)
            if len(found := visits(pages.html[path])) != LIMIT:
                raise NotWorking(f"{path} lists {len(found)} visits")
        if visitor.cookie:
            raise NotWorking("it sets a cookie")
        visitor.close()
    return pages


def check_sizes(pages: Pages, reference: Pages) -> None:
    """Check that each page is as long as the reference's, give or take 2 %."""
    expected = reference.sizes()
    for path, size in pages.sizes().items():
        if abs(size - expected[path]) > TOLERANCE * expected[path]:
            raise NotWorking(f"{path} has {size} bytes, ours {expected[path]}")


def difference(pages: Pages, reference: Pages) -> str | None:
    """The first place where the HTML differs from the reference's; None if it is the same.

    White space, times, sizes, names, tokens and the versions of static files don't count, nor do
    the addresses of the visits, which `check_sessions` has compared.
    """
    for path, html in pages.html.items():
        found, expected = _tokens(html), _tokens(reference.html[path])
        for here, there in zip(found, expected, strict=False):
            if here != there:
                return f"{path}: {here!r}, ours {there!r}"
        if len(found) != len(expected):
            return f"{path}: {len(found)} tags and texts, ours {len(expected)}"
    return None


_VARIABLE = (
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(Z|\+00:00)"), "TIME"),
    (re.compile(r"just now|(in )?\d+ (second|minute|hour)s?( ago)?"), "WHEN"),
    (re.compile(r"\d+ bytes"), "SIZE"),
    (re.compile(r"\.[0-9a-f]{10}\."), ".HASH."),
    (re.compile(r"https://bench\.example/\w*"), "URL"),
)


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tokens: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if given.get("name") == "csrf_token":
            given["value"] = "TOKEN"
        words = [f'{name}="{value}"' for name, value in sorted(given.items())]
        self.tokens.append(f"<{' '.join([tag, *words])}>")

    def handle_endtag(self, tag: str) -> None:
        self.tokens.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if text := " ".join(data.split()):
            after_name = self.tokens[-3:-1] == ["Name", "</dt>"]
            self.tokens.append("NAME" if after_name else text)


def _tokens(html: str) -> list[str]:
    parser = _Parser()
    parser.feed(html)
    parser.close()
    tokens = []
    for token in parser.tokens:
        for pattern, word in _VARIABLE:
            token = pattern.sub(word, token)
        tokens.append(token)
    return tokens


def cookies(port: int, count: int) -> list[str]:
    """The cookies of `count` new visitors, each with a full history behind; empty for none."""
    made = []
    for _ in range(count):
        visitor = Visitor(port)
        for number in range(LIMIT + 1):
            visitor.visit(PATHS[number % len(PATHS)])
        made.append(visitor.cookie)
        visitor.close()
    return made


def check_still(port: int, cookie: str) -> None:
    """Check that the visitor with `cookie` has its session still, after all that was timed."""
    visitor = Visitor(port, cookie)
    if len(found := visits(visitor.visit("/"))) != LIMIT:
        raise NotWorking(f"after the runs a visitor's history has {len(found)} visits")
    visitor.close()
