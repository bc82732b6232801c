"""Whether a stack works, and shows what ours shows, before anything is timed."""

import http.client
import re
from collections.abc import Sequence

from benchmarks.browser import HOST, PAGES, Browser

LIMIT = 20
TOLERANCE = 0.02  # of the response bodies' size
Pages = dict[str, str]
"""The HTML of the three pages, as a visitor with 20 visits sees them."""
# What may differ from one stack, or one visitor, to another.
_VARIABLE = (
    (r"<!--.*?-->", ""),
    (r"\d{4}-\d\d-\d\dT[\d:.]+(Z|\+00:00)", "TIME"),
    (r"just now|(in )?\d+ (second|minute|hour)s?( ago)?", "WHEN"),
    (r"\d+ bytes", "SIZE"),
    (r"\.[0-9a-f]{10}\.", ".HASH."),
    (r"https://bench\.example/\w*", "URL"),
    (r'(name="csrf_token" value=")[^"]*', r"\1TOKEN"),
    (r"(<dt>Name</dt>\s*<dd>)[^<]*", r"\1NAME"),
    (r"\s+", " "),
)


class NotWorking(Exception):
    """A stack does what it should not, or does not what it should; the text says which."""


def visit(browser: Browser, path: str) -> str:
    """The page's HTML, and of that page alone."""
    try:
        answer = browser.get(path)
    except (OSError, http.client.HTTPException) as error:
        raise NotWorking(f"{path}: {error!r}") from error
    if answer.status != 200:
        raise NotWorking(f"{path} is answered {answer.status}")
    return answer.body.decode()


def visits(html: str) -> list[str]:
    """The page visits that the footer lists, newest first."""
    return re.findall(r'<a href="([^"]+)">\1</a>', html)


def check_sessions(ports: Sequence[int]) -> Pages:
    """Check that each visitor has a history of its own, which grows up to 20, on all processes."""
    first, second = Browser(ports[0]), Browser(ports[0])
    expected: list[str] = []
    pages = {}
    for number in range(LIMIT + 2 * len(PAGES)):
        path = PAGES[number % len(PAGES)]
        expected = [f"https://{HOST}{path}", *expected][:LIMIT]
        pages[path] = visit(first, path)
        if (found := visits(pages[path])) != expected:
            raise NotWorking(f"after {number + 1} visits the history is {found}")
    if not first.cookies:
        raise NotWorking("it sets no cookie")
    if (found := visits(visit(second, "/about"))) != [f"https://{HOST}/about"]:
        raise NotWorking(f"a second visitor's history is {found}")
    for port in ports[1:]:
        expected = [f"https://{HOST}/", *expected][:LIMIT]
        if (found := visits(visit(first.at(port), "/"))) != expected:
            raise NotWorking(f"another process has the history {found}")
    return pages


def check_no_sessions(ports: Sequence[int]) -> Pages:
    """Check that the pages list 20 visits, and that there is no cookie."""
    pages = {}
    for browser in map(Browser, ports):
        for path in PAGES:
            pages[path] = visit(browser, path)
            if len(found := visits(pages[path])) != LIMIT:
                raise NotWorking(f"{path} lists {len(found)} visits")
        if browser.cookies:
            raise NotWorking("it sets a cookie")
    return pages


def check_sizes(pages: Pages, reference: Pages) -> None:
    """Check that each page is as long as the reference's, give or take 2 %."""
    for path, html in pages.items():
        size, expected = len(html.encode()), len(reference[path].encode())
        if abs(size - expected) > TOLERANCE * expected:
            raise NotWorking(f"{path} has {size} bytes, ours {expected}")


def difference(pages: Pages, reference: Pages) -> str | None:
    """The first place where the HTML differs from the reference's; None if it is the same.

    The addresses of the visits don't count: `check_sessions` has compared them.
    """
    for path, html in pages.items():
        found, expected = _tokens(html), _tokens(reference[path])
        for here, there in zip(found, expected, strict=False):
            if here != there:
                return f"{path}: {here!r}, ours {there!r}"
        if len(found) != len(expected):
            return f"{path}: {len(found)} tags and texts, ours {len(expected)}"
    return None


def _tokens(html: str) -> list[str]:
    """The tags, each with its attributes in one order, and the texts between them."""
    for pattern, word in _VARIABLE:
        html = re.sub(pattern, word, html, flags=re.DOTALL)
    html = re.sub(r"(?i)<!doctype html>", "", html)
    tokens = (token.strip() for token in re.findall(r"<[^>]+>|[^<]+", html))
    return [
        "<" + " ".join(sorted(re.findall(r'[^\s<>=]+(?:="[^"]*")?', token))) + ">"
        if token.startswith("<")
        else token
        for token in tokens
        if token
    ]


def cookies(port: int, count: int) -> list[str]:
    """The cookies of `count` new visitors, with full histories; empty without sessions."""
    browsers = [Browser(port) for _ in range(count)]
    for browser in browsers:
        for number in range(LIMIT + 1):
            visit(browser, PAGES[number % len(PAGES)])
    return [browser.cookie for browser in browsers]


def with_cookie(port: int, cookie: str) -> Browser:
    """The visitor with the `Cookie` header `cookie`."""
    return Browser(port, dict(pair.split("=", 1) for pair in cookie.split("; ")))


def check_still(port: int, cookie: str) -> None:
    """Check that the visitor with `cookie` has its session still, after all that was timed."""
    if len(found := visits(visit(with_cookie(port, cookie), "/"))) != LIMIT:
        raise NotWorking(f"after the runs a visitor's history has {len(found)} visits")
