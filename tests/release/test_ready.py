"""What `make release` refuses to release."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests import ROOT
from tests.release.__main__ import main, not_ready

SETUP = 'VERSION = "1.0"\nPROJECT_URL = "https://example.org"\n'


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """One that is ready."""
    (tmp_path / "setup.py").write_text(SETUP)
    (tmp_path / "CHANGES.txt").write_text("1.0 (2027-01-15)\n================\n")
    return tmp_path


def test_a_project_with_a_version_a_date_and_a_home_is_ready(project: Path) -> None:
    assert not_ready(project) == []


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("setup.py", SETUP.replace("1.0", "1.0.dev0"), "'1.0.dev0' is no version to release"),
        ("setup.py", SETUP.replace("https://example.org", ""), "PROJECT_URL is empty"),
        ("setup.py", SETUP.replace("1.0", "1.1"), "not with '1.1 (YYYY-MM-DD)'"),
        ("CHANGES.txt", "1.0 (unreleased)\n", "begins with '1.0 (unreleased)'"),
    ],
)
def test_a_project_that_lacks_one_of_them_is_not(
    project: Path, name: str, text: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / name).write_text(text)
    assert reason in "\n".join(not_ready(project))
    assert main(project) == 1
    assert reason in capsys.readouterr().out
    assert not (project / "dist").exists()


def test_what_is_not_committed_is_not_released(project: Path) -> None:
    subprocess.run(["git", "init", "-q"], cwd=project, check=True)
    assert "not committed" in "\n".join(not_ready(project))


def test_this_project_names_its_version_and_has_a_head_for_it(tmp_path: Path) -> None:
    for name in ("setup.py", "CHANGES.txt"):
        shutil.copy(ROOT / name, tmp_path)
    assert all("setup.py" in line or "CHANGES.txt" in line for line in not_ready(tmp_path))
    assert (ROOT / "CHANGES.txt").read_text("utf-8").startswith("1.0 (")
