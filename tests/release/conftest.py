"""The distributions, built once."""

import shutil
import tarfile
from pathlib import Path

import pytest

from tests import ROOT
from tests.release.building import Distributions, build

# What is large, or another build's.
LEFT_OUT = (".git", ".venv*", ".*_cache", ".hypothesis", ".nox", "build", "dist", "*.egg-info",
            "node_modules", "test-output")  # fmt: skip


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Distributions:
    """Built from a copy: several processes may build at once."""
    directory = tmp_path_factory.mktemp("release")
    copied = shutil.copytree(
        ROOT, directory / "project", ignore=shutil.ignore_patterns(*LEFT_OUT), symlinks=True
    )
    return build(copied, directory / "dist")


@pytest.fixture
def unpacked(made: Distributions, tmp_path: Path) -> Path:
    """The project as the sdist has it."""
    with tarfile.open(made.sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (project,) = tmp_path.iterdir()
    return project
