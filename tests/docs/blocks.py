"""The blocks of code in the README and in docs/: what is in them, and which of them a test runs.

A fence's language says what is done with a block. `text` is output, or a drawing. Every other one
is run: a test `take`s it, when its module is imported. Or the comment in front of it says why not:
`<!-- not run: it changes the machine -->`. The README's blocks are indented: those below "Use a
session" are Python, the others for a shell.
"""

import re
import textwrap
from configparser import ConfigParser
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sessionsite.sessions import expand_environment
from tests import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_FENCE = re.compile(
    r"(?ms)^(?:<!-- not run: (?P<reason>[^>]*?) -->\n)?^```(?P<language>\S*)\n(?P<code>.*?)^```$"
)


_INDENTED = re.compile(
    r"(?m)(?<=\n\n)(?:<!-- not run: (?P<reason>[^>]*?) -->\n\n)?(?P<code>(?:    .*\n|\n(?=    ))+)"
)


@dataclass(frozen=True)
class Block:
    page: str
    heading: str
    language: str
    code: str
    reason: str | None
    """Why it is not run."""

    @property
    def file(self) -> str:
        """The file that the first line names: `# myapp/routes.py`; empty where it names none."""
        found = re.match(r"(?:#|\{#) ([\w./-]+\.\w+)\b.*\n", self.code)
        return found[1] if found else ""


SECRET = "a-secret-for-tests-that-is-long-enough"
taken: set[Block] = set()


@cache
def blocks(page: str) -> list[Block]:
    """Return a page's blocks, in their order."""
    path = ROOT / page if page == "README.md" else ROOT / "docs" / page
    text = path.read_text("utf-8")
    code = [match.span() for match in _FENCE.finditer(text)]
    headings = [
        (match.start(), match[1])
        for match in re.finditer(r"(?m)^#+ (.*)$", text)
        if not any(start <= match.start() < end for start, end in code)
    ]
    found = []
    for match in (_INDENTED if page == "README.md" else _FENCE).finditer(text):
        heading = [title for start, title in headings if start < match.start()][-1]
        shell = "python" if heading == "Use a session" else "sh"
        language = match.groupdict().get("language", shell)
        found.append(
            Block(page, heading, language, textwrap.dedent(match["code"]), match["reason"])
        )
    return found


def take(page: str, heading: str | None = None, language: str | None = None) -> list[Block]:
    """Return the blocks of a page that are to be run, under a heading, in a language.

    The caller runs them.
    """
    found = [
        block
        for block in blocks(page)
        if block.reason is None
        and block.language not in OUTPUT
        and heading in (None, block.heading)
        and language in (None, block.language)
    ]
    assert found, f"{page} has no {language} under {heading}"
    taken.update(found)
    return found


def take_one(page: str, heading: str, language: str) -> str:
    """Return the code of the one block of a language under a heading."""
    (block,) = take(page, heading, language)
    return block.code


OUTPUT = ("text", "{eval-rst}", "{toctree}")


def edited(ini: str, block: Block, section: str = "app:main") -> str:
    """Return the text of an .ini file with the lines of `block` at the end of a section."""
    lines = "\n".join(line for line in block.code.splitlines() if not line.startswith("#"))
    keys = re.findall(r"(?m)^([\w.]+) =", lines)
    head, start, rest = ini.partition(f"[{section}]\n")
    assert start
    body, _, rest = rest.partition("\n[")
    for key in keys:
        body = re.sub(rf"(?m)^{re.escape(key)} = .*\n?", "", body)
    return f"{head}{start}{body.rstrip()}\n{lines}\n\n" + (f"[{rest}" if rest else "")


def write(block: Block, folder: Path) -> Path:
    """Write a block into the file that it names, or its lines into that .ini file."""
    path = folder / block.file
    path.parent.mkdir(parents=True, exist_ok=True)
    if block.language == "ini":
        path.write_text(edited(path.read_text("utf-8"), block), "utf-8")
    else:
        path.write_text(block.code, "utf-8")
    return path


def settings_of(ini: str, **variables: str) -> dict[str, str]:
    """Return the settings that these lines of [app:main] make, with `variables` expanded."""
    parser = ConfigParser(interpolation=None)
    parser.read_string(f"[app:main]\n{ini}")
    return expand_environment(dict(parser["app:main"]), variables)
