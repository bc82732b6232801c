"""A neighbour on a subdomain plants cookies, by a real Chromium's rules, over https and http."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import Browser, Page

from tests.functional.browser.named import NAME, named_site
from tests.functional.browser.pages import Site, expect_history, forget_by_mouse
from tests.harness.neighbour import Neighbour, start_neighbour
from tests.harness.postgres import Postgres
from tests.harness.skipping import required
from tests.harness.stores import sql_store

# What Python's str.strip() takes away, RFC 6265's space and tab among it; not the ends of lines,
# which would begin another header.
SPACES = "\t\v\f \x1c\x1d\x1e\x1f\x85\xa0"
NEAR = [
    *(f"{space}{{name}}={{value}}" for space in SPACES),
    *(f"{{name}}{space}={{value}}" for space in SPACES),
    "{lower}={value}",
    '"{name}"={value}',
    "={name}={value}",
    "\xa0={name}={value}",
    "${name}={value}",
    "x=1, {name}={value}",
    "y=1,{name}={value},{name}={value}",
    "x,{name}={value}",
    'z="; {name}={value}"',
    '"\\137_Host-sessionsite"={value}',
    "%5F_Host-sessionsite={value}",
    "{name}={value}",
]


# The ones among them that Chromium accepts, and so sends to the site.
ARRIVE = [
    "\xa0{name}={value}", "\x85{name}={value}", "${name}={value}", "x=1, {name}={value}",
    '"{name}"={value}', "%5F_Host-sessionsite={value}",
]  # fmt: skip


@pytest.fixture(scope="module")
def sites(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Site]]:
    """As production.ini has it, but for the host's name; and with a cookie name of no prefix."""
    directory = tmp_path_factory.mktemp("planted")
    database = postgres.create_database("planted")
    sql_store(database).engine.dispose()
    names: list[dict[str, str]] = [{}, {"session.cookie_name": "sessionsite"}]
    found: list[Site] = []
    with ExitStack() as stack:
        for lines in names:
            with required():
                site = named_site(directory / f"{len(found)}", database, lines)
                found.append(stack.enter_context(site))
        yield found


@pytest.fixture
def site(sites: list[Site]) -> Site:
    return sites[0]


@pytest.fixture(scope="module")
def neighbours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Neighbour]]:
    directory = tmp_path_factory.mktemp("neighbour")
    with (
        start_neighbour(directory, "https") as https,
        start_neighbour(directory, "http") as http,
    ):
        yield {"https": https, "http": http}


@pytest.fixture
def open_window(browser: Browser) -> Iterator[Callable[[], Page]]:
    with ExitStack() as windows:

        def open_() -> Page:
            context = browser.new_context(ignore_https_errors=True)
            windows.callback(context.close)
            context.set_default_timeout(15_000)
            return context.new_page()

        yield open_


class Attacker:
    """Has a session of the site, and the neighbour that plants its cookie."""

    def __init__(self, page: Page, site: Site, neighbour: Neighbour) -> None:
        self._page, self._site, self._neighbour = page, site, neighbour
        self._visits: list[str] = []
        self.look()
        (cookie,) = page.context.cookies()
        self.value: str = cookie["value"]

    def look(self) -> None:
        """Visit the site: the history has the attacker's visits alone."""
        self._page.goto(f"{self._site.url}/contact?attacker")
        self._visits.insert(0, "/contact?attacker")
        expect_history(self._page, self._site, *self._visits)

    def plant(self, victim: Page, *pairs: str, path: str = "/") -> None:
        """Have the victim's browser visit the neighbour, whose cookies have these beginnings."""
        name = self._site.cookie
        attributes = f"; Domain={NAME}; Path={path}; Max-Age=34560000"
        if self._neighbour.url.startswith("https"):
            attributes += "; Secure"
        texts = [p.format(name=name, lower=name.lower(), value=self.value) for p in pairs]
        self._neighbour.cookies = [f"{text}{attributes}".encode("latin-1") for text in texts]
        victim.goto(self._neighbour.url)
        self._neighbour.cookies = ()


@pytest.fixture(params=["https", "http"])
def attacker(
    request: pytest.FixtureRequest,
    site: Site,
    neighbours: dict[str, Neighbour],
    open_window: Callable[[], Page],
) -> Attacker:
    return Attacker(open_window(), site, neighbours[request.param])


def walk(page: Page, site: Site, *before: str) -> list[str]:
    """Three visits, each of them on top of the history, which begins with `before`."""
    visits = list(before)
    for path in ("/", "/about", "/contact"):
        page.goto(f"{site.url}{path}")
        visits.insert(0, path)
        expect_history(page, site, *visits)
    return visits


def forget(page: Page, site: Site) -> None:
    forget_by_mouse(page)
    expect_history(page, site, "/")
    walk(page, site, "/")


def sent(victim: Page, neighbours: dict[str, Neighbour]) -> set[str]:
    """The pairs of name and value that the victim's browser sends to the site's host."""
    victim.goto(neighbours["https"].at_the_site)
    (header,) = neighbours["https"].seen or [""]
    return set(header.split("; "))


class TestUnderThePrefix:
    def test_cs_fixation_the_planted_cookies_do_reach_the_site(
        self,
        attacker: Attacker,
        site: Site,
        neighbours: dict[str, Neighbour],
        open_window: Callable[[], Page],
    ) -> None:
        victim = open_window()
        attacker.plant(victim, *NEAR)
        reached = sent(victim, neighbours)
        planted = {text.format(name=site.cookie, value=attacker.value) for text in ARRIVE}
        assert planted - reached == set()
        assert f"{site.cookie}={attacker.value}" not in reached

    def test_cs_fixation_a_name_that_is_nearly_the_sites_gives_a_new_victim_no_session(
        self, attacker: Attacker, site: Site, open_window: Callable[[], Page]
    ) -> None:
        for pairs in (NEAR, NEAR[9:10]):
            victim = open_window()
            attacker.plant(victim, *pairs)
            walk(victim, site)
        attacker.look()

    def test_cs_fixation_all_of_them_leave_a_victim_the_own_session(
        self, attacker: Attacker, site: Site, open_window: Callable[[], Page]
    ) -> None:
        victim = open_window()
        visits = walk(victim, site)
        for _ in range(2):
            attacker.plant(victim, *NEAR)
            visits = walk(victim, site, *visits)
        attacker.plant(victim, *NEAR, path="/about")
        walk(victim, site, *visits)
        forget(victim, site)
        attacker.look()


@pytest.mark.parametrize("scheme", ["https", "http"])
@pytest.mark.parametrize("place", [0, 1], ids=["prefix", "no prefix"])
def test_cs_fixation_only_the_names_prefix_keeps_a_new_victim_from_a_planted_session(
    sites: list[Site],
    neighbours: dict[str, Neighbour],
    open_window: Callable[[], Page],
    place: int,
    scheme: str,
) -> None:
    """Without it no server can tell: the request is exactly that of the session's owner."""
    site = sites[place]
    attacker_page, victim = open_window(), open_window()
    attacker = Attacker(attacker_page, site, neighbours[scheme])
    attacker.plant(victim, "{name}={value}")
    arrived = f"{site.cookie}={attacker.value}" in sent(victim, neighbours)
    victim.goto(f"{site.url}/about?victim")
    attacker_page.goto(f"{site.url}/")
    if site.cookie.startswith("__Host-"):
        assert not arrived
        expect_history(victim, site, "/about?victim")
        expect_history(attacker_page, site, "/", "/contact?attacker")
    else:
        assert arrived
        expect_history(victim, site, "/about?victim", "/contact?attacker")
        expect_history(attacker_page, site, "/", "/about?victim", "/contact?attacker")
