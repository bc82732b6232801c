"""The cookie of every factory: its attributes, its signature, and what is no cookie of ours."""

import base64

import pytest

from sessionsite.sessions.memory import MemoryStore
from tests.contract.kit import SECRET, Kit, begin, data_of
from tests.harness.visitor import Visitor


class TestCookie:
    def attributes(self, kit: Kit, **settings: str) -> set[str]:
        visitor = kit.visitor(**settings)
        with visitor.request() as session:
            session["a"] = 1
        (header,) = visitor.set_cookie
        name, _, rest = header.partition("=")
        return {name, *rest.split("; ")[1:]}

    def test_asvs_3_3_4_it_is_hardened_by_default(self, kit: Kit) -> None:
        assert self.attributes(kit) == {
            "sessionsite", "Path=/", "HttpOnly", "SameSite=Lax", "secure",
        }  # fmt: skip

    def test_every_attribute_can_be_set(self, kit: Kit) -> None:
        found = self.attributes(
            kit, cookie_name="other", path="/p", domain="example.org", secure="false",
            httponly="false", samesite="strict", max_age="86400", allow_insecure="httponly",
        )  # fmt: skip
        assert {"other", "Path=/p", "Domain=example.org", "SameSite=Strict"} <= found
        assert "Max-Age=86400" in found
        assert not {"HttpOnly", "secure"} & found

    def test_it_can_be_kept_apart_for_each_site_that_embeds_ours(self, kit: Kit) -> None:
        partitioned = {"partitioned": "true", "samesite": "None"}
        assert {"Partitioned", "SameSite=None"} <= self.attributes(kit, **partitioned)

    def test_it_is_deleted_whatever_the_path_of_the_request(self, kit: Kit) -> None:
        for path in ("/a b", "/a;b"):
            visitor = kit.visitor()
            with visitor.request() as session:
                session["a"] = 1
            with visitor.request(PATH_INFO=path) as session:
                session.invalidate()
            assert visitor.cookies == {}

    def test_an_older_secret_still_opens_a_session(self, kit: Kit) -> None:
        visitor = kit.visitor()
        with visitor.request() as session:
            session["a"] = 1
        new = "another-secret-for-tests-that-is-long"
        visitor.factory = kit.factory(secret=f"{new} {SECRET}")
        with visitor.request() as session:
            assert session == {"a": 1}
            session.invalidate()
            session["b"] = 2
        visitor.factory = kit.factory(secret=new)  # it signed the response above
        assert data_of(visitor) == {"b": 2}

    def test_a_secret_that_is_taken_away_opens_nothing(self, kit: Kit) -> None:
        visitor = kit.visitor()
        with visitor.request() as session:
            session["a"] = 1
        visitor.factory = kit.factory(secret="another-secret-for-tests-that-is-long")
        assert data_of(visitor) == {}

    @pytest.mark.parametrize(
        "value",
        ["", "x", "=", "a" * 100_000, "\x00", "\xff\xfe", '"', "%00", "====", "e30", "null",
         base64.urlsafe_b64encode(b"\0" * 64 + b"[1,2,{}]").decode(), "é" * 50, ";;=;,"],
        ids=repr,
    )  # fmt: skip
    def test_a_cookie_that_is_not_ours_is_a_new_session(self, kit: Kit, value: str) -> None:
        visitor = kit.visitor()
        with visitor.request(HTTP_COOKIE=f"sessionsite={value}; other=1") as session:
            assert (dict(session), session.new) == ({}, True)
        assert visitor.set_cookie == []

    def test_asvs_7_2_1_one_that_is_cut_or_changed_anywhere_is_a_new_session(
        self, kit: Kit
    ) -> None:
        visitor = kit.visitor()
        with visitor.request() as session:
            session["a"] = 1
        good = visitor.cookies["sessionsite"]
        assert visitor.open().session == {"a": 1}
        for i in range(0, len(good) - 1, 5):
            other = "A" if good[i] != "A" else "B"
            for bad in (good[:i], good[:i] + other + good[i + 1 :]):
                assert visitor.open(HTTP_COOKIE=f"sessionsite={bad}").session.new

    def test_the_cookie_of_one_factory_is_nothing_to_the_other(self, kit: Kit) -> None:
        visitor = kit.visitor()
        with visitor.request() as session:
            session["a"] = 1
        kit.kind = "memory" if kit.kind == "cookie" else "cookie"
        kit.store = kit.store or MemoryStore()
        other = Visitor(kit.factory(), **visitor.cookies)
        if kit.kind == "cookie":
            assert other.open().session.new
        else:
            assert other.factory.cookie.read(other.open()) == []  # type: ignore[attr-defined]


@pytest.mark.parametrize("junk", ["\xa0", "!", "é", ".", "~~", "%"])
@pytest.mark.parametrize("size", range(1, 7))
def test_cs_input_a_character_beside_the_value_opens_nothing(
    kit: Kit, junk: str, size: int
) -> None:
    """Python's decoder of base64 passes over what it does not know, if the padding comes out."""
    visitor = begin(kit, {"a": "b" * size})
    ((name, value),) = visitor.cookies.items()
    for header in (f"{name}={value}{junk}", f"{name}={value[:9]}{junk}{value[9:]}"):
        assert visitor.open(HTTP_COOKIE=header).session == {}
