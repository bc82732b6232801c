"""Cookies as RFC 6265 has them, and several of one name: nobody plants a session, or locks out."""

import logging
from datetime import datetime
from typing import Any

import pytest

from sessionsite.sessions import Record
from tests.contract.kit import Kit, begin, data_of, on_servers
from tests.harness.visitor import Visitor

NAME = "sessionsite"
# What Latin-1 text can hold beside the name that `str.strip()` or a lenient parser would remove.
SPACES = ["\xa0", "\x85", "\x1c", "\x1d", "\x1e", "\x1f", "\x0b", "\x0c", "\r", "\n"]


def value_of(visitor: Visitor) -> str:
    return visitor.cookies[NAME]


def opened(visitor: Visitor, header: str, **environ: str) -> dict[str, Any]:
    """Return the data of the session that a request with this Cookie header opens."""
    return dict(visitor.open(HTTP_COOKIE=header, **environ).session)


@pytest.fixture
def two(kit: Kit) -> tuple[Visitor, Visitor]:
    """A victim's browser and an attacker's, each with a live session."""
    return begin(kit, {"owner": "victim"}), begin(kit, {"owner": "attacker"})


Two = tuple[Visitor, Visitor]


class TestNames:
    @pytest.mark.parametrize("space", SPACES, ids=ascii)
    def test_cs_fixation_a_name_that_is_near_ours_opens_nothing(self, two: Two, space: str) -> None:
        victim, attacker = two
        planted = value_of(attacker)
        for name in (f"{space}{NAME}", f"{NAME}{space}", f'"{NAME}"', NAME.upper(), f"${NAME}"):
            assert opened(victim, f"{name}={planted}") == {}
            for header in (
                f"{name}={planted}; {NAME}={value_of(victim)}",
                f"{NAME}={value_of(victim)}; {name}={planted}",
            ):
                assert opened(victim, header) == {"owner": "victim"}

    @pytest.mark.parametrize("gap", ["", " ", "\t", "  \t "])
    def test_cs_input_space_and_tab_surround_a_name_and_a_value(self, two: Two, gap: str) -> None:
        victim, _ = two
        header = f"x=1;{gap}{NAME}{gap}={gap}{value_of(victim)}{gap};y=2"
        assert opened(victim, header) == {"owner": "victim"}
        assert opened(victim, f'{NAME}="{value_of(victim)}"') == {"owner": "victim"}

    @pytest.mark.parametrize(
        "other",
        ['x="\\377"', 'x="\\303\\251"', "x=\xff\xfe", "x=" + "y" * 100_000, "=1", ";;;", "x",
         "x=a=b=c", "x=\x00", f"x={NAME}=1", f"{NAME}x=1", f"x{NAME}=1", "x=%3B", 'x="', "é=1"],
        ids=lambda other: ascii(other)[:30],
    )  # fmt: skip
    def test_cs_input_any_other_cookie_is_nothing_to_ours(self, two: Two, other: str) -> None:
        victim, _ = two
        for header in (
            f"{other}; {NAME}={value_of(victim)}",
            f"{NAME}={value_of(victim)}; {other}",
        ):
            assert opened(victim, header) == {"owner": "victim"}


class TestSeveralOfOneName:
    def test_cs_fixation_the_same_value_twice_is_one(self, two: Two) -> None:
        victim, _ = two
        header = "; ".join([f"{NAME}={value_of(victim)}"] * 3)
        assert opened(victim, header) == {"owner": "victim"}

    @pytest.mark.parametrize("planted", ["", "planted", "a.b.c", "\xff", "x" * 5000, '"', "="])
    def test_cs_fixation_a_value_that_opens_nothing_is_passed_over(
        self, two: Two, planted: str
    ) -> None:
        victim, _ = two
        for header in (
            f"{NAME}={planted}; {NAME}={value_of(victim)}",
            f"{NAME}={value_of(victim)}; {NAME}={planted}",
        ):
            assert opened(victim, header) == {"owner": "victim"}

    @on_servers
    def test_cs_fixation_a_session_that_has_ended_is_passed_over(self, two: Two) -> None:
        victim, other = two
        ended = value_of(other)
        with other.request() as session:
            session.invalidate()
        assert opened(victim, f"{NAME}={ended}; {NAME}={value_of(victim)}") == {"owner": "victim"}

    def test_cs_fixation_two_that_are_live_open_neither_and_say_so(
        self, two: Two, caplog: pytest.LogCaptureFixture
    ) -> None:
        victim, attacker = two
        assert opened(victim, f"{NAME}={value_of(attacker)}; {NAME}={value_of(victim)}") == {}
        (line,) = [r for r in caplog.records if "several cookies" in r.getMessage()]
        assert line.levelno == logging.WARNING
        assert value_of(victim) not in caplog.text

    def test_cs_fixation_two_that_are_live_lock_nobody_out(self, kit: Kit) -> None:
        victim = begin(kit, {"owner": "victim"}, secure="false")
        attacker = begin(kit, {"owner": "attacker"}, secure="false")
        request = victim.open(
            HTTP_COOKIE=f"{NAME}={value_of(attacker)}; {NAME}={value_of(victim)}",
            HTTP_HOST="www.site.example.org",
            PATH_INFO="/shop/cart",
        )
        request.session["n"] = 1
        victim.close(request)
        *cleared, new = victim.set_cookie
        places = {
            (
                next((p[7:] for p in parts if p.startswith("Domain=")), None),
                next(p[5:] for p in parts if p.startswith("Path=")),
            )
            for parts in (header.split("; ") for header in cleared)
            if "Max-Age=0" in parts
        }
        assert {(None, "/"), ("example.org", "/"), ("site.example.org", "/"),
                ("www.site.example.org", "/shop"), (None, "/shop/cart")} <= places  # fmt: skip
        assert len(places) == len(cleared) <= 40
        assert "Max-Age=0" not in new
        assert data_of(victim) == {"n": 1}

    def test_cs_fixation_they_are_cleared_where_most_neighbours_are_in_bounded_headers(
        self, kit: Kit
    ) -> None:
        one, two = (begin(kit, {"n": n}, secure="false") for n in range(2))
        both = f"{NAME}={value_of(one)}; {NAME}={value_of(two)}"
        request = one.open(
            HTTP_COOKIE=both, HTTP_HOST="a.b.c.d.e.f.example.org", PATH_INFO=f"/{'x' * 5000}/y/z"
        )
        one.close(request)
        assert any("Domain=example.org;" in header for header in one.set_cookie)
        assert all(len(header) < 1300 for header in one.set_cookie)

    @pytest.mark.parametrize("path", ["/a;b/c", "/a\xe4/b", "/a b"])
    def test_cs_fixation_a_path_that_no_cookie_can_have_clears_the_root(
        self, kit: Kit, path: str
    ) -> None:
        one, two = (begin(kit, {"n": n}, secure="false") for n in range(2))
        both = f"{NAME}={value_of(one)}; {NAME}={value_of(two)}"
        request = one.open(HTTP_COOKIE=both, HTTP_HOST="127.0.0.1", PATH_INFO=path)
        one.close(request)
        (header,) = one.set_cookie
        assert "Path=/;" in header

    def test_cs_fixation_a_host_prefixed_name_is_cleared_where_it_can_stand(self, kit: Kit) -> None:
        name = "__Host-x"
        one, two = (begin(kit, {"n": n}, cookie_name=name) for n in range(2))
        both = f"{name}={one.cookies[name]}; {name}={two.cookies[name]}"
        request = one.open(HTTP_COOKIE=both, HTTP_HOST="www.example.org", PATH_INFO="/a/b")
        one.close(request)
        (header,) = one.set_cookie
        assert "Max-Age=0" in header
        assert "Path=/;" in header
        assert "Domain" not in header

    @on_servers
    def test_cs_fixation_many_signed_cookies_cost_few_reads(
        self, kit: Kit, two: Two, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        victim, _ = two
        others = [value_of(begin(kit)) for _ in range(10)]
        reads = []
        load = kit.store.load

        def counted(id: str, now: datetime) -> Record | None:
            reads.append(id)
            record: Record | None = load(id, now)
            return record

        monkeypatch.setattr(kit.store, "load", counted)
        header = "; ".join(f"{NAME}={value}" for value in [*others, value_of(victim)])
        assert opened(victim, header) == {}
        assert len(reads) <= 4

    def test_a_changed_domain_or_path_leaves_one_session(self, kit: Kit) -> None:
        """Over a logout, as a browser that holds both cookies sends them."""
        before = begin(kit, {"n": 0})
        after = Visitor(kit.factory(domain="example.org", path="/"), **before.cookies)
        with after.request() as session:
            session.invalidate()
            session["n"] = 1
        stale, new = value_of(before), value_of(after)
        for n in range(1, 10):
            with after.request(HTTP_COOKIE=f"{NAME}={stale}; {NAME}={new}") as session:
                if kit.on_a_server:
                    assert session["n"] == n
                session["n"] = n + 1
            new = value_of(after)


class TestCommas:
    """Two Cookie headers that a server has joined with a comma."""

    def test_ours_in_the_first_header_opens(self, two: Two) -> None:
        victim, _ = two
        for rest in (", x=1", ",x=1; y=2", " , x=1", ","):
            assert opened(victim, f"{NAME}={value_of(victim)}{rest}") == {"owner": "victim"}
            assert opened(victim, f"z=1; {NAME}={value_of(victim)}{rest}") == {"owner": "victim"}

    def test_cs_fixation_ours_behind_a_comma_opens_nothing_and_is_logged_once(
        self, two: Two, caplog: pytest.LogCaptureFixture
    ) -> None:
        victim, attacker = two
        for _ in range(3):
            for header in (f"x=1, {NAME}={value_of(attacker)}", f"x=1,{NAME}={value_of(attacker)}"):
                assert opened(victim, header) == {}
                both = f"{NAME}={value_of(victim)}, {NAME}={value_of(attacker)}"
                assert opened(victim, both) == {"owner": "victim"}
        lines = [r.getMessage() for r in caplog.records if "RFC 9113" in r.getMessage()]
        assert len(lines) == 1
        assert "'; '" in lines[0]
