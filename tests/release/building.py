"""Builds the sdist, and the wheel from it; makes the list of what the wheel brings along."""

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests import ROOT
from tests.release.installed import Installed

# What is large, or another build's.
_LEFT_OUT = (".git", ".venv*", ".*_cache", ".hypothesis", ".nox", "build", "dist", "*.egg-info",
             "node_modules", "test-output")  # fmt: skip


class ReleaseError(Exception):
    """A step of the release failed; the text is for whoever makes it."""


@dataclass(frozen=True)
class Distributions:
    sdist: Path
    wheel: Path


def run(command: Sequence[str | Path], cwd: Path) -> str:
    """Return what it prints. Raises `ReleaseError`, with all of it."""
    done = subprocess.run(
        command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        raise ReleaseError(f"{' '.join(map(str, command))} failed:\n{done.stdout}")
    return done.stdout


def build(source: Path, directory: Path) -> Distributions:
    """Build both from the project in `source`: the wheel from the sdist, as an index's users would.

    With the setuptools of this environment, whose hash is known. Raises `ReleaseError`.
    """
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir"]
    run([*command, directory, source], source)
    (sdist,) = directory.glob("*.tar.gz")
    (wheel,) = directory.glob("*.whl")
    return Distributions(sdist, wheel)


def build_copy(directory: Path) -> Distributions:
    """Build both from a copy of the project, in `directory`: several processes may build at once.

    Raises `ReleaseError`.
    """
    ignore = shutil.ignore_patterns(*_LEFT_OUT)
    copied = shutil.copytree(ROOT, directory / "project", ignore=ignore, symlinks=True)
    return build(copied, directory / "dist")


def check(made: Distributions) -> None:
    """Have twine check what an index would. Raises `ReleaseError`."""
    check = [sys.executable, "-m", "twine", "check", "--strict"]
    run([*check, made.sdist, made.wheel], made.wheel.parent)


def write_sbom(installed: Installed, path: Path) -> None:
    """Write to `path`, in CycloneDX's JSON, what a plain install of the wheel consists of.

    The versions are those of constraints.txt, which are tested together. Raises `ReleaseError`.
    """
    command = [sys.executable, "-m", "cyclonedx_py", "environment", "--output-reproducible"]
    made: dict[str, Any] = json.loads(run([*command, installed.python], path.parent))
    # cyclonedx-py takes the package itself for one of many, unless pyproject.toml describes it.
    (own,) = (each for each in made["components"] if each["name"] == "sessionsite")
    made["components"].remove(own)
    # where the wheel was on the machine that built it
    made["metadata"]["component"] = {k: v for k, v in own.items() if k != "externalReferences"}
    path.write_text(json.dumps(made, indent=2) + "\n", "utf-8")
