"""A real nginx, with TLS, on the configuration that users deploy."""

import grp
import os
import re
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.harness import Missing, free_port, listening
from tests.harness.process import Server

SITE = Path(__file__).parents[2] / "deploy" / "nginx.conf"

# As Debian's nginx.conf in what the site must not inherit: gzip and old protocols.
MAIN = """\
{user}
daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log stderr notice;
events {{ worker_connections 768; }}
http {{
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    access_log {directory}/other.log;
    ssl_protocols TLSv1 TLSv1.1 TLSv1.2 TLSv1.3;
    gzip on;
    include {directory}/site.conf;
}}
"""

OPENSSL = """\
[req]
prompt = no
distinguished_name = name
x509_extensions = extensions
[name]
CN = {name}
[extensions]
basicConstraints = critical, CA:TRUE
keyUsage = critical, digitalSignature, keyCertSign
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
subjectAltName = {alternatives}
"""


class Nginx(Server):
    """nginx on 127.0.0.1, for one host name."""

    def __init__(
        self,
        directory: Path,
        upstream_ports: Sequence[int],
        https_port: int,
        http_port: int,
        changes: Mapping[str, str],
        name: str,
        limited: bool,
    ) -> None:
        program = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
        if program is None:
            raise Missing("nginx", "apt install nginx-light, or brew install nginx")
        self.https_port, self.http_port = https_port, http_port
        self.url = f"https://{name}:{https_port}" if https_port != 443 else f"https://{name}"
        self.access_log = directory / "access.log"
        self.certificate, key = make_certificate(directory, [name, "127.0.0.1"])
        site = adapt(
            SITE.read_text(),
            {
                r"^ *listen \[::\].*\n": "",
                r"listen 80\b": f"listen 127.0.0.1:{http_port}",
                r"listen 443\b": f"listen 127.0.0.1:{https_port}",
                r"https://\$host\$": f"{self.url.replace(name, '$host')}$",
                r"server_name sessions\.example\.org;": f"server_name {name};",
                r"ssl_certificate .*;": f"ssl_certificate {self.certificate};",
                r"ssl_certificate_key .*;": f"ssl_certificate_key {key};",
                r"access_log /var/log/nginx/sessionsite\.log": f"access_log {self.access_log}",
                r"( *server )127\.0\.0\.1:6543(.*\n)( *server 127\.0\.0\.1:6544.*\n)": "".join(
                    rf"\g<1>127.0.0.1:{port}\g<2>" for port in upstream_ports
                ),
                **({} if limited else {r"rate=\d+r/s": "rate=1000000r/s"}),
                **changes,
            },
        )
        (directory / "site.conf").write_text(site)
        # Its workers are to open files in a directory that may be closed to all but root.
        user = f"user root {grp.getgrgid(0).gr_name};" if os.geteuid() == 0 else ""
        config = directory / "nginx.conf"
        config.write_text(MAIN.format(user=user, directory=directory))
        command = [program, "-e", "stderr", "-p", str(directory), "-c", str(config)]
        super().__init__(command, directory / "nginx.log")

    def logged(self, text: str) -> str:
        """The line of the access log with `text`, which nginx writes after the answer has left."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            found = [line for line in self.access_log.read_text().splitlines() if text in line]
            if found:
                return found[-1]
            time.sleep(0.01)
        raise TimeoutError(text)

    def ready(self) -> bool:
        return listening(self.https_port)


def start_nginx(
    directory: Path,
    upstream_ports: Sequence[int],
    https_port: int | None = None,
    http_port: int | None = None,
    changes: Mapping[str, str] | None = None,
    name: str = "localhost",
    limited: bool = False,
) -> Nginx:
    """An nginx that answers https://`name`:`https_port`, in front of those ports of 127.0.0.1.

    Its files are in `directory`, of its own alone: `.certificate`, for clients to trust, and
    `.access_log` among them. Ports that are not given are free ones. `changes` are further
    patterns of deploy/nginx.conf, and what stands for each. All clients of a test have one address
    and are faster than visitors: requests are counted only where the test says `limited`.
    """
    ports = https_port or free_port(), http_port or free_port()
    return Nginx(directory, upstream_ports, *ports, changes or {}, name, limited).start()


def adapt(text: str, changes: dict[str, str]) -> str:
    """`text` with each pattern replaced. An error if one is not there: the file has moved on."""
    for pattern, replacement in changes.items():
        text, count = re.subn(pattern, replacement, text, flags=re.MULTILINE)
        if not count:
            raise ValueError(f"deploy/nginx.conf has no {pattern}")
    return text


def make_certificate(directory: Path, names: Sequence[str]) -> tuple[Path, Path]:
    """A certificate that signs itself, for host names and IPv4 addresses, and its key."""
    program = shutil.which("openssl")
    if program is None:
        raise Missing("openssl", "apt install openssl")
    certificate, key, config = (directory / f"tls.{end}" for end in ("crt", "key", "cnf"))
    alternatives = ",".join(
        f"IP:{name}" if re.fullmatch(r"[\d.]+", name) else f"DNS:{name}" for name in names
    )
    config.write_text(OPENSSL.format(name=names[0], alternatives=alternatives))
    command = [program, "req", "-x509", "-config", str(config), "-days", "30", "-nodes"]
    command += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    command += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key
