"""Whether a stack works, and shows what ours shows, before anything is timed."""

import re
from collections.abc import Sequence
from itertools import zip_longest

from bs4 import BeautifulSoup

from benchmarks.browser import HOST, PAGES, Browser

LIMIT = 20
Pages = dict[str, str]
"""The HTML of the three pages as a visitor sees them who has 20 visits behind."""
# What may differ from one stack, or one visitor, to another.
_VARIABLE = (
    (r"\d{4}-\d\d-\d\dT[\d:.]+(Z|\+00:00)", "TIME"),
    (r"just now|(in )?\d+ (second|minute|hour)s?( ago)?", "WHEN"),
    (r"\d+ bytes", "SIZE"),
    (r"\.[0-9a-f]{10}\.", ".HASH."),
    (r"https://bench\.example/\w*", "URL"),  # compared by `check_sessions`
    (r'(name="csrf_token" value=")[^"]*', r"\1TOKEN"),
    # What ours says of PostgreSQL, and of Redis.
    (r"in (a PostgreSQL database|the memory of a database server)", "PLACE"),
    (r"is (on the database server|written to that server)('|&#39;)s disk( within[^.]*)?", "DISK"),
    (r"to (the standby servers that the database has|other servers a moment[^.]*)", "COPIES"),
    (r"(<dt>Name</dt>\s*<dd>)[^<]*", r"\1NAME"),
)


class NotWorking(Exception):
    """Says what a stack does that it should not, or the other way round."""


def visit(browser: Browser, path: str) -> str:
    """The page's HTML, and of that page alone."""
    answer = browser.get(path)
    if answer.status != 200:
        raise NotWorking(f"{path} is answered {answer.status}")
    return answer.body.decode()


def visits(html: str) -> list[str]:
    """The page visits that the footer lists, newest first."""
    return re.findall(r'<a href="([^"]+)">\1</a>', html)


def check_sessions(ports: Sequence[int]) -> Pages:
    """Check that each visitor has a history of its own, which grows up to 20, on all processes."""
    first = Browser(ports[0])
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
    if (found := visits(visit(Browser(ports[0]), "/about"))) != [f"https://{HOST}/about"]:
        raise NotWorking(f"a second visitor's history is {found}")
    for port in ports[1:]:
        expected = [f"https://{HOST}/", *expected][:LIMIT]
        if (found := visits(visit(first.at(port), "/"))) != expected:
            raise NotWorking(f"another process has the history {found}")
    return pages


def check_no_sessions(ports: Sequence[int]) -> Pages:
    """Check that there is no cookie; `check_same` counts the visits that the pages list."""
    browser = Browser(ports[0])
    pages = {path: visit(browser, path) for path in PAGES}
    if browser.cookies:
        raise NotWorking("it sets a cookie")
    return pages


def check_same(pages: Pages, reference: Pages) -> None:
    """Check that the pages have the tags and the texts of the reference's."""
    for path, html in pages.items():
        for here, there in zip_longest(parts(html), parts(reference[path])):
            if here != there:
                raise NotWorking(f"{path} has {here!r} in place of {there!r}")


def parts(html: str) -> list[object]:
    """The tags, each with its attributes, and the texts."""
    for pattern, word in _VARIABLE:
        html = re.sub(pattern, word, html)
    soup = BeautifulSoup(html, "html.parser")
    tags: list[object] = [(tag.name, tag.attrs) for tag in soup.find_all(True)]
    return tags + [" ".join(text.split()) for text in soup.stripped_strings]


def visitors(port: int, count: int) -> list[Browser]:
    """So many new visitors, each with a full history behind."""
    browsers = [Browser(port) for _ in range(count)]
    for browser in browsers:
        for number in range(LIMIT + 1):
            visit(browser, PAGES[number % len(PAGES)])
    return browsers


def check_still(visitor: Browser) -> None:
    """Check that it has its session still, after all that was timed."""
    if len(found := visits(visit(visitor, "/"))) != LIMIT:
        raise NotWorking(f"after the runs a visitor's history has {len(found)} visits")
