"""The distributions, built once."""

import tarfile
from pathlib import Path

import pytest

from tests import ROOT
from tests.release.building import Distributions, build


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Distributions:
    return build(ROOT, tmp_path_factory.mktemp("dist"))


@pytest.fixture
def unpacked(made: Distributions, tmp_path: Path) -> Path:
    """The project as the sdist has it."""
    with tarfile.open(made.sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (project,) = tmp_path.iterdir()
    return project
