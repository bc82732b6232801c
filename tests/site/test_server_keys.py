"""What waitress takes, and would then serve nobody, is refused at start."""

import pytest

from sessionsite.servers.waitress import read_adjustments
from sessionsite.sessions import ConfigurationError


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("threads", "0", r"give a whole number \(at least 1\)"),
        ("threads", "-1", r"give a whole number \(at least 1\)"),
        ("connection_limit", "0", r"give a whole number \(at least 1\)"),
        ("channel_timeout", "0", r"give a whole number \(at least 1\)"),
        ("recv_bytes", "0", r"give a whole number \(at least 1\)"),
        ("max_request_header_size", "0", r"give a whole number \(at least 1\)"),
        ("max_request_body_size", "-1", r"give a whole number \(at least 0\)"),
        ("url_scheme", "gopher", "give http or https"),
        ("listen", "", "give host:port"),
        ("listen", "127.0.0.1:", "give host:port"),
        ("listen", "127.0.0.1:72079", "give host:port, with a port of at most 65535"),
        ("listen", "127.0.0.1:6543 [::1]:72079", "give host:port"),
        ("port", "72079", "give host:port"),
        ("port", "-1", r"give a whole number \(at least 0\)|Invalid host/port"),
    ],
)
def test_a_value_with_which_nobody_is_served_is_refused(name: str, value: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as raised:
        read_adjustments({name: value})
    assert str(raised.value).startswith(f"{name} = {value!r}: ")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("listen", "127.0.0.1"),
        ("listen", "[::1]"),
        ("listen", "127.0.0.1:0 [::1]:6543"),
        ("port", "0"),
        ("max_request_body_size", "0"),
        ("channel_request_lookahead", "0"),
        ("url_scheme", "https"),
        ("clear_untrusted_proxy_headers", "false"),
        ("unix_socket", "site.sock"),
        ("unix_socket_perms", "660"),
    ],
)
def test_what_serves_is_taken(name: str, value: str) -> None:
    read_adjustments({name: value})
