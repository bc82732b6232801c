"""Gets what the tests need and this machine lacks, where it can without asking.

    python -m tests.harness.install

As root on Debian or Ubuntu it uses apt, and for a browser, anywhere, Playwright's own download.
What can't be had is named, and its tests are skipped: that is no failure, except with CI=true.
PostgreSQL needs nothing: the "testing" extra brings its programs.
"""
# ruff: noqa: T201

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence

from tests.harness.chromium import find_chromium
from tests.harness.redis import find_server

PACKAGES = {
    "nginx": "nginx-light",
    "redis-server": "redis-server",
    "openssl": "openssl",
    "chromium": "chromium",
}
APT_GET = ["apt-get", "-q", "-o", "Acquire::Retries=1", "-o", "DPkg::Lock::Timeout=60"]

Run = Callable[[Sequence[str]], None]


def install(missing: Callable[[], list[str]], run: Run, *, apt: bool) -> list[str]:
    """Install what `missing` names, by commands given to `run`; return what is missing still.

    Whether a command succeeded is seen by what is missing afterwards.
    """
    wanted = missing()
    if wanted and apt:
        run([*APT_GET, "update"])
        # One by one: a package that the distribution does not have would take the others down.
        for name in wanted:
            run([*APT_GET, "install", "-y", "--no-install-recommends", PACKAGES[name]])
        wanted = missing()
    if "chromium" in wanted:
        libraries = ["--with-deps"] if apt else []  # would ask for a password unless run as root
        playwright = [sys.executable, "-m", "playwright", "install"]
        run([*playwright, *libraries, "--only-shell", "chromium"])
        wanted = missing()
    return wanted


def missing_programs() -> list[str]:
    """The `PACKAGES` that this machine lacks."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    missing = [name for name in ("nginx", "openssl") if shutil.which(name, path=path) is None]
    missing += [] if find_server() else ["redis-server"]
    return missing + ([] if find_chromium() else ["chromium"])


def run_command(command: Sequence[str]) -> None:
    """Run the command, and print it; if it fails, print its last lines."""
    print("tests.harness.install:", *command, flush=True)
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=env,
            timeout=900,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        print(f"  {error}")
        return
    if done.returncode:
        print("".join(f"  {line}\n" for line in done.stdout.splitlines()[-3:]), end="")


def main(missing: Callable[[], list[str]] = missing_programs, run: Run = run_command) -> int:
    """Return the exit status."""
    apt = os.geteuid() == 0 and shutil.which("apt-get") is not None
    left = install(missing, run, apt=apt)
    for name in left:
        package = PACKAGES[name]
        print(f"tests.harness.install: no {name} (its package may be {package}): tests are skipped")
    return int(bool(left) and os.environ.get("CI", "").lower() in ("1", "true"))


if __name__ == "__main__":
    sys.exit(main())
