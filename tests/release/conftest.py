"""The distributions, built once."""

import tarfile
from pathlib import Path

import pytest

from tests.release.building import Distributions, build_copy


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Distributions:
    return build_copy(tmp_path_factory.mktemp("release"))


@pytest.fixture
def unpacked(made: Distributions, tmp_path: Path) -> Path:
    """The project as the sdist has it."""
    with tarfile.open(made.sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (project,) = tmp_path.iterdir()
    return project
