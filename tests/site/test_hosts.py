"""The host names of `sessionsite.allowed_hosts`."""

import pytest

from sessionsite.hosts import parse_host_names
from sessionsite.settings import site_settings
from tests.harness.refusals import check_refusal


@pytest.mark.parametrize(
    ("entries", "header"),
    [
        ("localhost", "localhost"), ("localhost", "LOCALHOST:6543"), ("localhost", "localhost."),
        ("Example.ORG", "example.org"), ("example.org.", "example.org"),
        ("127.0.0.1", "127.0.0.1:80"), ("[::1]", "[::1]"), ("[::1]", "[::1]:6543"),
        ("[0:0::1]", "[::1]"), ("[2001:DB8::1]", "[2001:db8:0::1]:1"),
        ("*.example.org", "a.example.org"), ("*.example.org", "a.b.example.org:443"),
        ("*.Example.org example.org", "example.org"), ("under_score", "under_score"),
        ("*", "anything.example"), ("*", "[::1]:1"), ("* example.org", "anything"),
    ],
)  # fmt: skip
def test_a_name_is_allowed(entries: str, header: str) -> None:
    assert parse_host_names(entries).allow(header)


@pytest.mark.parametrize(
    ("entries", "header"),
    [
        ("localhost", ""), ("localhost", "localhost.evil.example"), ("localhost", "localhost.."),
        ("localhost", "evil-localhost"), ("localhost", "localhost:port"), ("localhost", "."),
        ("localhost", "localhost@evil.example"), ("localhost", "localhost, evil.example"),
        ("localhost", "localhost:80:80"), ("localhost", "localhost:"), ("localhost", " localhost"),
        ("localhost", "localhost\n"), ("127.0.0.1", "127.0.0.10"), ("127.0.0.1", "2130706433"),
        ("[::1]", "::1"), ("[::1]", "[::2]"), ("[::1]", "[::ffff:127.0.0.1]"), ("[::1]", "[:::]"),
        ("*.example.org", "example.org"), ("*.example.org", ".example.org"),
        ("*.example.org", "evilexample.org"), ("*.example.org", "a.example.org.evil"),
        ("*", ""), ("*", "a b"), ("*", "a/b"), ("*", "[:::]"), ("*", "."), ("*", "a:99:1"),
    ],
)  # fmt: skip
def test_a_name_is_not_allowed(entries: str, header: str) -> None:
    assert not parse_host_names(entries).allow(header)


def test_only_what_is_written_out_is_a_name() -> None:
    hosts = parse_host_names("* localhost *.example.org")
    assert hosts.name("localhost:1")
    assert hosts.name("a.example.org")
    assert not hosts.name("other")


@pytest.mark.parametrize(
    "entry",
    ["https://example.org", "example.org:443", "example.org/path", ".example.org", "*.", "*.*.org",
     "a..b", "a.*.org", "**", "*example.org", "::1", "[::1]:80", "[::g]", "[::1", "[127.0.0.1]",
     "[::1%eth0]", "a.org,b.org", "a.org;b.org",
     "m\xfcller.example", "a,b", "127.0.0.256", "127.1", "*.127.0.0.1", "a@b", ".", "a" * 64],
)  # fmt: skip
def test_an_entry_that_matches_nothing_is_refused(entry: str) -> None:
    settings = {"sessionsite.allowed_hosts": f"localhost {entry}"}
    check_refusal(lambda: site_settings(settings), "sessionsite.allowed_hosts", "give host names")
