"""The raw Cookie header: what the parsers of third-party session factories can be made to read."""

from http.cookies import SimpleCookie

import pytest
from hypothesis import given
from hypothesis import strategies as st
from webob.cookies import parse_cookie

from sessionsite.cookies import CookieCleaner, readable_cookies
from tests.harness.sites import Site
from tests.security.wsgi import send

NAME = "__Host-sessionsite"
# What a header is made of, so that a generated one often comes close to an attack.
PIECES = st.sampled_from(
    [NAME, "a", "path", "$Version", "=", ";", "; ", " ", "\t", "\xa0", "\x85", "\x1c", "\v", '"',
     "\\", "\\377", "[", "]", ",", "\xff", "\x00", "\n", "evil", "Mon, 01-Jan-2030 00:00:00 GMT"]
)  # fmt: skip
HEADERS = st.lists(PIECES | st.characters(max_codepoint=255), max_size=30).map("".join)


def ours(header: str) -> list[tuple[str, str]]:
    pairs = [pair.partition("=") for pair in header.split("; ")] if header else []
    return [(name.strip(" \t"), value.strip(" \t").strip('"')) for name, _, value in pairs]


@given(HEADERS)
def test_cs_input_every_parser_reads_the_same_pairs(header: str) -> None:
    readable = readable_cookies(header)
    expected = dict(ours(readable))
    assert {k.decode(): v.decode() for k, v in parse_cookie(readable)} == expected
    assert {name: morsel.value for name, morsel in SimpleCookie(readable).items()} == expected


@given(HEADERS)
def test_cs_input_what_is_left_was_there_and_is_left_again(header: str) -> None:
    readable = readable_cookies(header)
    pairs = [pair.partition(",")[0].strip(" \t") for pair in header.split(";")]
    left = readable.split("; ") if readable else []
    assert [pair for pair in pairs if pair in left] == left
    assert readable_cookies(readable) == readable


@pytest.mark.parametrize("space", ["\xa0", "\x85", "\x1c", "\x1f", "\v", "\f", "\r", "\n", "\x00"])
def test_cs_fixation_a_name_with_other_space_around_it_is_nobodys(space: str) -> None:
    for planted in (f"{space}{NAME}=evil", f"{NAME}{space}=evil", f"{NAME}={space}evil"):
        assert readable_cookies(f"{planted}; {NAME}=good") == f"{NAME}=good"


@pytest.mark.parametrize(
    "planted",
    [f"a,{NAME}=evil", f"a=[{NAME}=evil", f"a]{NAME}=evil", f'a="{NAME}=evil', f"a=b {NAME}=evil",
     f'a="\\"{NAME}=evil"', f"a=\\{NAME}=evil", f'a="b"{NAME}=evil', f"\xe9{NAME}=evil"],
)  # fmt: skip
def test_cs_fixation_no_pair_hides_in_another(planted: str) -> None:
    assert readable_cookies(f"{planted}; {NAME}=good") == f"{NAME}=good"


@pytest.mark.parametrize("planted", ["$a=b", "path=/", "Expires=x", "secure=", "partitioned=1"])
def test_cs_fixation_an_attribute_locks_nobody_out(planted: str) -> None:
    """Python's own parser reads none of the cookies beside it."""
    readable = readable_cookies(f"{planted}; {NAME}=good; {planted}")
    assert SimpleCookie(readable)[NAME].value == "good"


@pytest.mark.parametrize("value", ['"\\377"', '"\\303"', "\xff", "{\u0022a\u0022:1}", "a b"])
def test_cs_input_a_value_that_parsers_differ_on_is_left_out(value: str) -> None:
    assert readable_cookies(f"x={value}; {NAME}=good") == f"{NAME}=good"


@pytest.mark.parametrize(
    "header",
    [f"{NAME}=eyJ-_.", "a=", "a==", 'a="b"', "a=b; a=c", f"{NAME} = b", "!#$%&'*+-.^_`|~09azAZ=1",
     "a=!#$%&'()*+-./:<=>?@^_`{|}~"],
)  # fmt: skip
def test_cs_input_a_good_header_stays_as_it_is(header: str) -> None:
    assert readable_cookies(header) == header


def test_bounds_a_large_header_takes_no_time() -> None:
    assert readable_cookies("a=b; " * 50_000 + "c" * 1_000_000 + "=" * 1_000_000)


def test_a_request_without_cookies_stays_as_it_is() -> None:
    environ: dict[str, str] = {}
    CookieCleaner(NAME).clean(environ)
    assert environ == {}


class TestCommas:
    """A comma is where a server, such as waitress, has joined two Cookie headers."""

    @pytest.mark.parametrize("rest", [", a=b", ",a=b; c=d", " , a", ",", f", {NAME}=evil"])
    def test_the_cookie_in_the_first_header_is_left(self, rest: str) -> None:
        assert f"{NAME}=good" in readable_cookies(f"{NAME}=good{rest}").split("; ")
        assert f"{NAME}=good" in readable_cookies(f"x=1; {NAME}=good{rest}").split("; ")
        assert "evil" not in readable_cookies(f"{NAME}=good{rest}")

    def test_cs_fixation_none_begins_behind_it(self) -> None:
        for planted in (f"x=1,{NAME}=evil", f"x=1, {NAME}=evil", f"x=1,,{NAME}=evil"):
            assert readable_cookies(f"{planted}; {NAME}=good") == f"x=1; {NAME}=good"
        assert readable_cookies(f'x="1,{NAME}=evil"; {NAME}=good') == f"{NAME}=good"

    def test_cs_input_the_site_opens_the_one_in_the_first_header(self, site: Site) -> None:
        visitor, attacker = site.visitor(), site.visitor()
        visitor.get("/about?victim")
        attacker.get("/about?attacker")
        ((name, mine),) = visitor.cookies.items()
        theirs = attacker.cookies[name]
        for rest in (", a=b", ",a=b", f", {name}={theirs}"):
            _, _, text = send(site, HTTP_COOKIE=f"{name}={mine}{rest}")
            assert "?victim" in text
            assert "attacker" not in text
        assert "attacker" not in send(site, HTTP_COOKIE=f"a=b, {name}={theirs}")[2]

    def test_another_packages_factory_gets_no_warning(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        environ = {"HTTP_COOKIE": "a=b, session=c"}
        CookieCleaner(None).clean(environ)
        assert (environ, caplog.text) == ({"HTTP_COOKIE": "a=b"}, "")

    def test_the_warning_comes_once(self, caplog: pytest.LogCaptureFixture) -> None:
        cleaner = CookieCleaner(NAME)
        for _ in range(3):
            cleaner.clean({"HTTP_COOKIE": f"a=b, c=d; {NAME}=x"})
        assert caplog.text == ""
        for _ in range(3):
            cleaner.clean({"HTTP_COOKIE": f"a=b,\t{NAME} =c"})
        assert caplog.text.count("must join them with '; '") == 1


@pytest.mark.parametrize(
    "planted", ["\xa0{}", "{}\x85", "a=[{}", "a=,{}", "a=b,{}", '"{}', "\x1c{}"]
)
def test_cs_fixation_a_planted_session_is_not_opened(site: Site, planted: str) -> None:
    attacker = site.visitor()
    attacker.get("/about?attacker")
    ((name, value),) = attacker.cookies.items()
    header = f"{planted.format(name)}={value}"
    status, headers, text = send(site, HTTP_COOKIE=header)
    assert (status, headers["Set-Cookie"].startswith(f"{name}=")) == (200, True)
    assert "attacker" not in text

    victim = site.visitor()
    victim.get("/about?victim")
    both = f"{header}; {name}={victim.cookies[name]}"
    for cookie in (both, "; ".join(reversed(both.split("; ")))):
        _, _, text = send(site, HTTP_COOKIE=cookie)
        assert "?victim" in text
        assert "attacker" not in text
