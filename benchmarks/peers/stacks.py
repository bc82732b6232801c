"""The stacks: how each is installed, given its store, and started in production mode."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks import ROOT, ours
from benchmarks.peers import install
from tests.harness import free_port, listening
from tests.harness.process import Server

SECRET = "5ecre7-0f-the-benchmark-that-signs-nothing-else"  # noqa: S105  # it is no secret
# As production.ini sets waitress up.
WAITRESS = (
    "--send-bytes=18000",
    "--connection-limit=1000",
    "--trusted-proxy=127.0.0.1",
    "--trusted-proxy-count=1",
    "--trusted-proxy-headers=x-forwarded-for x-forwarded-host x-forwarded-proto x-forwarded-port",
    "--clear-untrusted-proxy-headers",
)


class Site(Server):
    """One process of a stack, on 127.0.0.1."""

    port: int

    def ready(self) -> bool:
        return listening(self.port)


@dataclass(frozen=True)
class Stack:
    key: str
    name: str
    home: str
    """What is installed for it: `express`, the name of a virtualenv, or `ours`, as it is here."""
    app: str
    """What is served; for Express, what node is told after the port."""
    store: str | None = "postgresql"
    """Where its sessions are: "postgresql", "redis", or None where it has none."""
    table: str = ""
    server: str = "waitress"
    """What serves it, of Python's."""

    @property
    def threaded(self) -> bool:
        """Whether it is a Python server: its threads share a GIL, and need less CPU on one core."""
        return self.home != "express"

    def start(self, url: str, directory: Path, core: int | None = None, threads: int = 4) -> Site:
        """One process that answers, on its store at `url`, its log in `directory`.

        A Python server keeps to the core of that number, if one is given.
        """
        port = free_port()
        if self.threaded:
            python = sys.executable if self.home == "ours" else install.python(self.home)
            if self.server == "granian":
                command = [python, "-m", "benchmarks.peers.granian", str(port), str(threads)]
                command += [self.app]
            else:
                command = [python, "-m", "waitress", f"--listen=127.0.0.1:{port}"]
                command += [f"--threads={threads}", *WAITRESS, f"benchmarks.peers.{self.app}:app"]
        else:
            command = [install.express(), "app.js", str(port), self.app]
        if core is not None and self.threaded:
            cores = sorted(os.sched_getaffinity(0))  # a container need not have them all
            pinned = [install.program("taskset", "util-linux"), "-c", str(cores[core % len(cores)])]
            command = [*pinned, *command]
        env = {
            "PATH": os.environ["PATH"],
            "NODE_ENV": "production",
            "PYTHONPATH": str(ROOT),
            "SESSION_SECRET": SECRET,
            "SITE_HOSTS": "*",
            "THREADS": str(threads),
            "REDIS_URL" if self.store == "redis" else "DATABASE_URL": url.replace("+psycopg", ""),
        }
        if self.app == "our_site":
            ours.create_table(url)
        elif self.key == "django":  # the others make their tables themselves
            install.run([python, "-m", "benchmarks.peers.django_site"], cwd=ROOT, env=env)
        log = directory / f"{self.key}-{port}.log"
        site = Site(command, log, env=env, cwd=ROOT if self.threaded else install.EXPRESS)
        site.port = port
        return site.start()


_ALL = (
    Stack("express", "Express, connect-pg-simple", "express", "", table="session"),
    Stack("sessionsite", "sessionsite on waitress (ours)", "ours", "our_site", table="sessions"),
    Stack(
        "sessionsite-granian",
        "sessionsite on granian (ours)",
        "ours",
        "our_site",
        table="sessions",
        server="granian",
    ),
    Stack(
        "sessionsite-redis",
        "sessionsite on waitress, in Redis (ours)",
        "ours",
        "our_site_on_redis",
        store="redis",
    ),
    Stack("express-none", "Express, no session", "express", "no-session", store=None),
    Stack("sessionsite-none", "no session, on waitress (ours)", "ours", "no_session", store=None),
    Stack(
        "sessionsite-granian-none",
        "no session, on granian (ours)",
        "ours",
        "no_session",
        store=None,
        server="granian",
    ),
    Stack(
        "pyramid-redis",
        "pyramid_session_redis on waitress",
        "pyramid_redis",
        "pyramid_redis",
        store="redis",
    ),
    Stack(
        "django",
        "Django db sessions on waitress",
        "django",
        "django_site",
        table="django_session",
    ),
    Stack("flask", "Flask-Session on waitress", "flask", "flask_site", table="sessions"),
)
STACKS = {stack.key: stack for stack in _ALL}
