"""The README's first example holds under parallel requests."""

import re
import textwrap
from types import SimpleNamespace

from sessionsite.sessions import MemoryStore, ServerSessionFactory, server_settings
from tests import ROOT
from tests.harness.visitor import Visitor

SECRET = "a-secret-for-tests-that-is-long-enough"


def example() -> str:
    """The code of "Use a session", up to login and logout."""
    text = (ROOT / "README.md").read_text("utf-8")
    (code,) = re.findall(r"(?s)## Use a session\n\n(.*?)\n    request\.session\.regenerate", text)
    return textwrap.dedent(code)


def test_no_parallel_request_is_lost() -> None:
    settings = server_settings({"session.secret": SECRET})
    visitor = Visitor(ServerSessionFactory(MemoryStore(), settings))
    with visitor.request() as session:
        session["a"] = 1
    requests = [visitor.open() for _ in range(4)]  # each has loaded the session
    for request in requests:
        exec(example(), {"request": SimpleNamespace(session=request.session)})
    for request in requests:
        visitor.close(request)
    session = visitor.open().session
    assert session["cart"] == {"tea": 4}
    assert session["seen"] == ["tea"] * 4
    assert session.pop_flash() == ["Added."] * 4
