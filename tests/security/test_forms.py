"""What is read of a request's body, when, and how much of it."""

import io
import re
import time
import tracemalloc
from typing import Any, NoReturn

import pytest

from sessionsite.request import FORM_BYTES, FORM_FIELDS
from tests.harness.sites import Site, history
from tests.security.wsgi import send

FORM = "application/x-www-form-urlencoded"


class Unread(io.RawIOBase):
    """A body that nothing may read."""

    def read(self, size: int = -1) -> NoReturn:
        pytest.fail(f"{size} bytes of the body were asked for")


class Endless(io.RawIOBase):
    """A body without an end, which counts what is read of it."""

    taken = 0

    def read(self, size: int = -1) -> bytes:
        assert size >= 0, "all of it was asked for"
        self.taken += size
        return (b"a&" * size)[:size]


def signed_in(site: Site) -> tuple[Any, dict[str, Any], str]:
    """A visitor, what its requests carry, and its form's token."""
    visitor = site.visitor()
    page = visitor.get("/about")
    cookie = "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())
    return visitor, {"HTTP_COOKIE": cookie}, page.forms[0]["csrf_token"].value


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/"), ("POST", "/about"), ("POST", "/healthz"), ("POST", "/nothing"),
     ("POST", "/static/site.css"), ("PUT", "/forget"), ("PATCH", "/"), ("DELETE", "/contact"),
     ("GET", "/"), ("GET", "/forget"), ("POST", "/_debug_toolbar/")],
)  # fmt: skip
@pytest.mark.parametrize("length", ["1000", "20000000", None])
def test_bounds_no_route_but_the_forms_reads_a_body(
    site: Site, method: str, path: str, length: str | None
) -> None:
    _, carried, _ = signed_in(site)
    if length is None:
        carried["HTTP_TRANSFER_ENCODING"] = "chunked"
    status, _, _ = send(
        site, method, path, CONTENT_LENGTH=length, CONTENT_TYPE=FORM,
        **{"wsgi.input": Unread(), "wsgi.input_terminated": True}, **carried,
    )  # fmt: skip
    assert status in ((200,) if method == "GET" and path == "/" else (400, 404))


@pytest.mark.parametrize("host", ["evil.example", "a b"])
def test_bounds_no_other_host_has_its_form_read(site: Site, host: str) -> None:
    status, _, _ = send(
        site, "POST", "/forget", HTTP_HOST=host, CONTENT_LENGTH="50", CONTENT_TYPE=FORM,
        **{"wsgi.input": Unread()},
    )  # fmt: skip
    assert status == 400


@pytest.mark.parametrize(
    ("content_type", "status"),
    [(FORM, 413), ("", 413), ("multipart/form-data; boundary=x", 400), ("application/json", 400),
     ("text/plain", 400)],
)  # fmt: skip
def test_bounds_a_large_form_is_refused_unread(site: Site, content_type: str, status: int) -> None:
    visitor, carried, _ = signed_in(site)
    answer = send(
        site, "POST", "/forget", CONTENT_LENGTH=str(FORM_BYTES + 1), CONTENT_TYPE=content_type,
        **{"wsgi.input": Unread()}, **carried,
    )  # fmt: skip
    assert answer[0] == status
    assert "<h1>Sessions - " in answer[2]
    assert len(history(visitor.get("/"))) == 2


@pytest.mark.parametrize("length", ["-1", "-20000000"])
def test_bounds_a_negative_length_is_refused_unread(site: Site, length: str) -> None:
    _, carried, _ = signed_in(site)
    status, _, _ = send(
        site, "POST", "/forget", CONTENT_LENGTH=length, CONTENT_TYPE=FORM,
        **{"wsgi.input": Unread()}, **carried,
    )  # fmt: skip
    assert status == 400


@pytest.mark.parametrize("length", [None, "", "many"])
def test_bounds_a_body_of_unknown_length_is_read_up_to_the_bound(
    site: Site, length: str | None
) -> None:
    _, carried, _ = signed_in(site)
    body = Endless()
    status, _, _ = send(
        site, "POST", "/forget", CONTENT_LENGTH=length, CONTENT_TYPE=FORM,
        **{"wsgi.input": body, "wsgi.input_terminated": True}, **carried,
    )  # fmt: skip
    assert (status, body.taken) == (413, FORM_BYTES + 1)


def test_bounds_a_form_in_chunks_is_taken(site: Site) -> None:
    visitor, carried, token = signed_in(site)
    body = io.BytesIO(f"csrf_token={token}".encode())
    status, _, _ = send(
        site, "POST", "/forget", CONTENT_LENGTH=None, CONTENT_TYPE=FORM,
        **{"wsgi.input": body, "wsgi.input_terminated": True}, **carried,
    )  # fmt: skip
    assert status == 303
    if site.name != "development":  # a cookie's session can't be ended from outside
        assert len(history(visitor.get("/"))) == 1


@pytest.mark.parametrize("fields", [FORM_FIELDS, FORM_FIELDS + 1])
def test_bounds_a_form_has_few_fields(site: Site, fields: int) -> None:
    _, carried, token = signed_in(site)
    body = f"csrf_token={token}".encode() + b"&" * (fields - 1)
    status, _, _ = send(site, "POST", "/forget", body=body, CONTENT_TYPE=FORM, **carried)
    assert status == (303 if fields == FORM_FIELDS else 400)


def test_bounds_many_fields_cost_nothing(site: Site) -> None:
    _, carried, _ = signed_in(site)
    body = b"a&" * 10_000_000
    tracemalloc.start()
    start = time.perf_counter()
    try:
        for path in ("/forget", "/"):
            status, _, _ = send(site, "POST", path, body=body, CONTENT_TYPE=FORM, **carried)
            assert status in (404, 413)
        peak = tracemalloc.get_traced_memory()[1] - len(body)  # BytesIO may copy it
    finally:
        tracemalloc.stop()
    assert time.perf_counter() - start < 1
    assert peak < 5_000_000


MULTIPART = "multipart/form-data; boundary=x"
PARTS = [
    b'Content-Disposition: form-data; name="a"; filename=""\r\nContent-Transfer-Encoding: base64',
    b'Content-Disposition: form-data; name="a"\r\nContent-Transfer-Encoding: quoted-printable',
    b'Content-Disposition: form-data; name="a"; filename="f"\r\nContent-Type: text/x; charset=no',
    b'Content-Disposition: form-data; name="csrf_token"\r\nContent-Length: 99999999999',
    b"Content-Type: multipart/mixed; boundary=y",
    b"",
]


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("path", ["/forget", "/"])
def test_cs_input_a_part_that_webob_fails_at_is_no_500(site: Site, part: bytes, path: str) -> None:
    _, carried, _ = signed_in(site)
    body = b"--x\r\n" + part + b"\r\n\r\n=\xff!\r\n--x--\r\n"
    for environ in (carried, {}):
        status, headers, text = send(
            site, "POST", path, body=body, CONTENT_TYPE=MULTIPART, **environ
        )
        assert status == (400 if path == "/forget" else 404)
        assert "<h1>Sessions - " in text
        assert "Content-Security-Policy" in headers
        assert "Set-Cookie" not in headers


class Lost(io.RawIOBase):
    def read(self, size: int = -1) -> NoReturn:
        raise OSError("the client has hung up")


@pytest.mark.parametrize("body", [Lost(), io.BytesIO(b"csrf")])
def test_cs_input_a_connection_that_is_lost_is_no_500(site: Site, body: io.IOBase) -> None:
    _, carried, _ = signed_in(site)
    environ = {"wsgi.input": body, "CONTENT_LENGTH": "43", "CONTENT_TYPE": FORM}
    assert send(site, "POST", "/forget", **environ, **carried)[0] == 400


@pytest.mark.parametrize("place", ["form", "header"])
def test_n_the_token_comes_in_the_form_or_in_the_header(site: Site, place: str) -> None:
    _, carried, token = signed_in(site)
    if place == "header":
        carried |= {"HTTP_X_CSRF_TOKEN": token, "wsgi.input": Unread(), "CONTENT_LENGTH": "99"}
        body = b""
    else:
        body = f"csrf_token={token}".encode()
    assert send(site, "POST", "/forget", body=body, CONTENT_TYPE=FORM, **carried)[0] == 303


def test_bounds_both_ini_files_and_nginx_have_the_same_bound() -> None:
    from tests import ROOT

    for name in ("development.ini", "production.ini"):
        text = (ROOT / name).read_text("utf-8")
        servers = re.findall(
            r"(?ms)^use = egg:sessionsite#(?:waitress|granian)\n.*?(?=^\[|^###)", text
        )
        assert servers
        for server in servers:
            assert f"max_request_body_size = {FORM_BYTES}\n" in server
            assert "max_request_header_size = " in server
    nginx = (ROOT / "deploy" / "nginx.conf").read_text("utf-8")
    assert f"client_max_body_size {FORM_BYTES // 1024}k;" in nginx
