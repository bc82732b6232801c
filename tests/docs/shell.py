"""A reader's terminal: a folder, an environment with the project's commands, servers."""

import os
import re
import subprocess
import sysconfig
import urllib.error
import urllib.request
from pathlib import Path

from tests.harness.process import Server

SCRIPTS = Path(sysconfig.get_path("scripts"))


class Shell:
    """Runs commands in a folder; what they export is there for the next ones."""

    def __init__(self, folder: Path, scripts: Path = SCRIPTS, **env: str) -> None:
        self.folder, self.scripts = folder, scripts
        self.env: dict[str, str] = {
            "PATH": f"{scripts}:{os.environ['PATH']}",
            "HOME": str(folder),
            "LC_ALL": "C.UTF-8",
            **env,
        }

    def run(self, commands: str, typed: str = "", *, strict: bool = True) -> str:
        """Return what `commands` print; `typed` is the input. A `strict` one fails if one fails."""
        flags = "set -euo pipefail" if strict else "set -a"  # functions are there, too
        done = subprocess.run(
            ["bash", "-c", f"{flags}\n{commands}\nenv -0 > .env"],
            cwd=self.folder,
            env=self.env,
            input=typed,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"
        lines = (self.folder / ".env").read_text("utf-8").split("\0")
        self.env = dict(line.split("=", 1) for line in lines if line)
        return done.stdout


class App(Server):
    """An app that `pserve` serves, with the words that come after it."""

    def __init__(self, command: str, shell: Shell, port: int) -> None:
        self.url = f"http://localhost:{port}"
        name, *words = command.split()
        assert name == "pserve"
        super().__init__(
            [shell.scripts / "python", "-u", shell.scripts / name, *words],
            shell.folder / f"server-{port}.log",
            cwd=shell.folder,
            env=shell.env,
        )

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:
            return str(answer.read().decode())

    def ready(self) -> bool:
        try:
            urllib.request.urlopen(f"{self.url}/no-such-page", timeout=30).close()
        except urllib.error.HTTPError as error:
            error.close()  # an answer, with no session
        except OSError:
            return False
        return True


def commands(block: str) -> list[tuple[str, list[str]]]:
    """Return the commands of a `console` block, each with the lines that it prints."""
    found: list[tuple[str, list[str]]] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line)
    return found


def is_like(printed: str, expected: str) -> bool:
    """Whether a printed line is the page's, where times, tokens and ids differ each time."""

    def plain(line: str) -> str:
        line = re.sub(r"[\w-]{6,}\.\.\.|[\w-]{12,}", "…", line)
        line = re.sub(r"\w+, \d\d-\w+-\d{4}", "DATE", line)
        return re.sub(r"\d+", "0", line).strip()

    return plain(printed) == plain(expected)
