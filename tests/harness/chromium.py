"""A real Chromium, of the system or of Playwright's own download, driven by Playwright."""

import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.harness import Missing

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Request

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Names for a site and its neighbours; a cookie's Domain needs one with a dot.
    "--host-resolver-rules=MAP site.test 127.0.0.1, MAP *.site.test 127.0.0.1",
]
# Users' browsers have the back/forward cache, and tests rely on it.
NOT_DISABLED = ["--disable-back-forward-cache"]


@contextmanager
def start_chromium() -> Iterator["Browser"]:
    """A browser without a window. While it runs, an event loop of Playwright's does in the thread.

    Its sandbox is on where it can be: not for root, nor in most containers.
    """
    program = find_chromium()
    if program is None:
        raise Missing("Chromium", "apt install chromium, or python -m playwright install chromium")
    # Imported here: the import takes longer than the search for a browser, which needs none of it.
    from playwright.sync_api import Error, sync_playwright

    with sync_playwright() as playwright:

        def launch(sandbox: bool) -> "Browser":
            return playwright.chromium.launch(
                executable_path=program,
                args=FLAGS,
                chromium_sandbox=sandbox,
                ignore_default_args=NOT_DISABLED,
            )

        try:
            browser = launch(sandbox=os.geteuid() != 0)
        except Error as error:
            if "sandbox" not in str(error):
                raise
            browser = launch(sandbox=False)
        with browser:
            yield browser


def note_problems(
    context: "BrowserContext", url: str, problems: list[str], may_be_missing: str
) -> None:
    """Add to `problems` what pages at `url` must not cause.

    Which is requests to other hosts, blocked ones too, errors in scripts, and errors and warnings
    on the console, other than that there is no page at `may_be_missing`.
    """

    def note_request(request: "Request") -> None:
        if not request.url.startswith((f"{url}/", "data:")):
            problems.append(f"{request.method} {request.url}")

    def note_message(message: "ConsoleMessage") -> None:
        missing = message.location["url"] == may_be_missing
        if message.type in ("error", "warning") and not missing:
            problems.append(f"{message.type}: {message.text} {message.location}")

    context.on("request", note_request)
    context.on("console", note_message)
    context.on("weberror", lambda error: problems.append(str(error.error)))


def find_chromium(path: str | None = None) -> Path | None:
    """The program to run: the first of `PROGRAMS` on `path`, or else Playwright's newest."""
    search = os.environ.get("PATH", "") + ":/usr/bin" if path is None else path
    found = [Path(program) for name in PROGRAMS if (program := shutil.which(name, path=search))]
    return next((program for program in found + _downloads() if not _is_snap(program)), None)


def _is_snap(program: Path) -> bool:
    """Whether it is Ubuntu's snap, which can't see our /tmp, or a script that asks for the snap."""
    with program.open("rb") as file:
        start = file.read(4096)
    return program.resolve().name == "snap" or (start[:2] == b"#!" and b"/snap/bin/" in start)


def _downloads() -> list[Path]:
    """What `playwright install` has put there, of any version, newest first."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    if sys.platform == "darwin":
        cache = Path.home() / "Library" / "Caches"
    home = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or Path(cache, "ms-playwright"))
    complete = home.glob("chromium*-*/INSTALLATION_COMPLETE")
    newest_first = sorted(
        complete, key=lambda path: int(re.sub(r"\D", "", path.parent.name) or 0), reverse=True
    )
    patterns = (
        "chrome-*/chrome",
        "chrome-*/*headless*shell",
        "chrome-*/*.app/Contents/MacOS/*",
    )
    return [
        program
        for marker in newest_first
        for pattern in patterns
        for program in marker.parent.glob(pattern)
    ]
