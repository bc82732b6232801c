"""The load: many visitors, each with a session of its own, some with parallel tabs."""

import http.client
import random
import re
import ssl
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol
from urllib.parse import urlencode, urlsplit

from tests.harness.observing import until
from tests.soak.ledger import Ending, Ledger, Visit, labels_in, path_of, wrong_with_page

PAGES = ("/", "/about", "/contact")
CLIENTS = 8
"""Threads that walk; each has `TABS` more."""
TABS = 2
VISITORS = 12
"""How many visitors a thread has at once: it takes turns."""
VISITS = 60
"""After so many a visitor leaves, and a new one comes: a session lives through several faults."""
PAUSE = 0.05
"""Seconds that a thread waits after a request that failed."""
TIMEOUT = 40
"""Seconds after which an answer is given up: more than nginx's own limits."""
_LIST = re.compile(r"<ol>(.*?)</ol>", re.DOTALL)
_HREF = re.compile(r'href="(.*?)"')
_NAME = re.compile(r"<dt>Name</dt>\s*<dd>(.*?)</dd>")
_TOKEN = re.compile(r'name="csrf_token" value="(.*?)"')

Reply = tuple[int | None, str, str]
"""Status, the cookie that is set, the text."""


class Site(Protocol):
    """What a visitor asks."""

    def ask(self, path: str, cookie: str, form: dict[str, str] | None = None) -> Reply: ...


class Connections(threading.local):
    """Each thread's connection to the site."""

    def __init__(
        self, url: str, certificate: Path, opened: list[http.client.HTTPConnection]
    ) -> None:
        """Whoever made it closes what is in `opened`, once the threads have ended."""
        self._opened = opened
        self._where = urlsplit(url)
        self._origin = url
        self._trust = ssl.create_default_context(cafile=certificate)
        self._connection: http.client.HTTPSConnection | None = None

    def ask(self, path: str, cookie: str, form: dict[str, str] | None = None) -> Reply:
        """Ask once: whatever cuts the connection leaves the outcome open."""
        connection = self._connection = self._connection or self._open()
        headers = {"Cookie": cookie} if cookie else {}
        try:
            if form is None:
                connection.request("GET", path, headers=headers)
            else:
                headers["Content-Type"] = "application/x-www-form-urlencoded"
                headers["Origin"] = self._origin
                connection.request("POST", path, urlencode(form), headers)
            response = connection.getresponse()
            text = response.read().decode("utf-8", "replace")
        except (OSError, http.client.HTTPException):
            self._opened.remove(connection)
            connection.close()
            self._connection = None
            return None, "", ""
        return response.status, response.headers.get("Set-Cookie", "").partition(";")[0], text

    def _open(self) -> http.client.HTTPSConnection:
        connection = http.client.HTTPSConnection(
            self._where.hostname or "", self._where.port, context=self._trust, timeout=TIMEOUT
        )
        self._opened.append(connection)
        return connection


class Visitor:
    """One browser: what it has been given, and what it has been told."""

    def __init__(self, name: str, connections: Site, ledger: Ledger) -> None:
        self.name = name
        self.visits = 0
        self._connections = connections
        self._ledger = ledger
        self._lock = threading.Lock()
        self._cookie = ""
        self._session_of = {"": ""}
        self._token_of: dict[str, str] = {}
        self._told: dict[str, list[str]] = defaultdict(list)
        self._sent_with: dict[str, list[Visit]] = defaultdict(list)
        """Visits with a cookie whose session no page has named yet: the one after an ending."""

    @property
    def may_forget(self) -> bool:
        return self._session_of.get(self._cookie, "") in self._token_of

    def visit(self, page: str) -> bool:
        """Visit a page; return whether it came."""
        with self._lock:
            self.visits += 1
            cookie = self._cookie
            visit = Visit(f"{self.name}.{self.visits}", time.monotonic())
            visit.believed = self._session_of.get(cookie, "")
            before = list(self._told[visit.believed])
            self._ledger.visits.append(visit)
            if cookie and not visit.believed:
                self._sent_with[cookie].append(visit)
        status, given, text = self._connections.ask(path_of(page, visit.label), cookie)
        with self._lock:
            visit.ended = time.monotonic()
            visit.status = status
            if given:
                self._cookie = given
            if status != 200:
                return False
            self._read(visit, given or cookie, text, before)
        return True

    def _read(self, visit: Visit, cookie: str, text: str, before: list[str]) -> None:
        """Note what a page says; `before` were in the session that it was believed to be of."""
        listed, name, token = _LIST.search(text), _NAME.search(text), _TOKEN.search(text)
        if not (listed and name and token):
            self._ledger.pages.append(f"the page of visit {visit.label} is not whole")
            return
        visit.session = name[1]
        self._session_of[cookie] = name[1]
        for earlier in self._sent_with.pop(cookie, []):
            earlier.believed = name[1]
        self._token_of[name[1]] = token[1]
        shown = [label for url in _HREF.findall(listed[1]) for label in labels_in(url)]
        expected = before if visit.session == visit.believed else []
        self._ledger.pages.extend(wrong_with_page(visit, shown, expected))
        self._told[visit.session].append(visit.label)

    def forget(self) -> bool:
        """Press "Forget me"; return whether the session has ended."""
        with self._lock:
            cookie = self._cookie
            session = self._session_of[cookie]
            ending = Ending(session, time.monotonic())
            self._ledger.endings.append(ending)
        form = {"csrf_token": self._token_of[session]}
        status, given, _ = self._connections.ask("/forget", cookie, form)
        with self._lock:
            ending.ended = time.monotonic()
            ending.status = status
            if given:
                self._cookie = given
        return status == 303


class Load:
    """All visitors, until it is told to stop."""

    def __init__(self, url: str, certificate: Path, ledger: Ledger, seed: int) -> None:
        self._opened: list[http.client.HTTPConnection] = []
        self._connections = Connections(url, certificate, self._opened)
        self._ledger = ledger
        self._stop = threading.Event()
        self._names = iter(range(10**9))
        self._naming = threading.Lock()
        self._threads = ThreadPoolExecutor(CLIENTS)
        self._generation = 0
        self._reached = [0] * CLIENTS
        self._walks = [self._threads.submit(self._walk, n, seed * 1000 + n) for n in range(CLIENTS)]

    def stop(self) -> None:
        """Let what has been asked be answered, and ask no more. Raises what a thread has raised."""
        self._stop.set()
        self._threads.shutdown()
        for connection in self._opened:
            connection.close()
        for walk in self._walks:
            walk.result()

    def replace_visitors(self) -> None:
        """Have all visitors leave and others come; return when no request of the old is left."""
        self._generation += 1
        wanted = self._generation
        reached = until(lambda: min(self._reached) >= wanted or self._stop.is_set(), 3 * TIMEOUT)
        assert reached, "a visitor is stuck"

    def _walk(self, index: int, seed: int) -> None:
        choose = random.Random(seed)
        visitors = [self._new() for _ in range(VISITORS)]
        with ThreadPoolExecutor(TABS) as tabs:
            while not self._stop.is_set():
                if self._reached[index] < (generation := self._generation):
                    visitors = [self._new() for _ in range(VISITORS)]
                    self._reached[index] = generation
                number = choose.randrange(VISITORS)
                if visitors[number].visits >= VISITS:
                    visitors[number] = self._new()
                if not self._step(visitors[number], choose, tabs):
                    self._stop.wait(PAUSE)

    def _step(self, visitor: Visitor, choose: random.Random, tabs: ThreadPoolExecutor) -> bool:
        """What a visitor does at once; return whether all of it was answered."""
        chance = choose.random()
        work: list[Callable[[], bool]] = [self._visit(visitor, choose)]
        if visitor.may_forget:  # with no session, tabs would begin one each
            if chance < 0.15:
                work += [self._visit(visitor, choose) for _ in range(TABS)]
            if chance < 0.03 or chance > 0.98:  # beside tabs, and alone
                work[0] = visitor.forget
        rest = [tabs.submit(each) for each in work[1:]]
        done = [work[0]()]
        done += [each.result() for each in rest]
        return all(done)

    def _visit(self, visitor: Visitor, choose: random.Random) -> Callable[[], bool]:
        page = choose.choice(PAGES)
        return lambda: visitor.visit(page)

    def _new(self) -> Visitor:
        with self._naming:
            name = str(next(self._names))
        return Visitor(name, self._connections, self._ledger)
