"""The README's examples: the session's holds under parallel requests, the certificate's is one."""

import re
import shutil
import ssl
import subprocess
import textwrap
from pathlib import Path
from types import SimpleNamespace

from sessionsite.sessions import MemoryStore, ServerSessionFactory, server_settings
from tests import ROOT
from tests.harness import Missing
from tests.harness.skipping import required
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


def test_the_certificate_to_try_with_is_localhosts(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        with required():
            raise Missing("openssl", "apt install openssl")
    text = (ROOT / "README.md").read_text("utf-8")
    (command,) = re.findall(r"(?m)^    sudo (openssl (?:.*\\\n)+.*)", text)
    command = re.sub(r"/etc/ssl/\w+/", f"{tmp_path}/", command)
    subprocess.run(["sh", "-c", command], check=True, capture_output=True)
    made = tmp_path / "sessionsite.crt", tmp_path / "sessionsite.key"
    ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(*made)
    check = ["openssl", "x509", "-in", str(made[0]), "-noout", "-checkhost", "localhost"]
    done = subprocess.run(check, capture_output=True, text=True, check=True)
    assert "does match certificate" in done.stdout
    asked = re.findall(r"curl --cacert /etc/ssl/certs/(\S+) https://localhost/", text)
    assert asked == ["sessionsite.crt"]
