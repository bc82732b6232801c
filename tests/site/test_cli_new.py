"""`sessionsite new`, in a checkout; tests/release has it from the wheel."""

from pathlib import Path

import pytest

from tests import ROOT
from tests.harness.commands import Run, one_line


def test_new_lays_out_both_files_as_they_are_here(run: Run, tmp_path: Path) -> None:
    target = tmp_path / "my site" / "x"
    status, stdout, stderr = run("new", str(target))
    assert (status, stderr) == (0, "")
    assert f"cd '{target}'\n" in stdout
    for name in ("development.ini", "production.ini"):
        assert (target / name).read_bytes() == (ROOT / name).read_bytes()
        assert f"{target / name}: written\n" in stdout


@pytest.mark.parametrize("name", ["development.ini", "production.ini"])
def test_new_overwrites_nothing(run: Run, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    status, stdout, stderr = run("new", str(tmp_path))
    assert (status, stdout) == (1, "")
    assert f"{tmp_path / name} exists: nothing was written" in one_line(stderr)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


def test_new_says_where_it_can_write_nothing(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    status, stdout, stderr = run("new", str(tmp_path / "file" / "site"))
    assert (status, stdout) == (1, "")
    assert "Not a directory" in one_line(stderr)
    assert run("new", str(tmp_path / "file"))[0] == 2


@pytest.mark.parametrize("name", ["100%", "p%20q", "back\\slash"])
def test_new_refuses_a_path_in_which_no_ini_file_works(run: Run, tmp_path: Path, name: str) -> None:
    for target in (tmp_path / name, tmp_path / name / "site"):
        status, stdout, stderr = run("new", str(target))
        assert (status, stdout) == (1, "")
        assert "PasteDeploy reads no file in such a path" in one_line(stderr)
        assert not target.exists()


def test_new_writes_nothing_beside_a_link_that_leads_nowhere(run: Run, tmp_path: Path) -> None:
    (tmp_path / "production.ini").symlink_to("nowhere.ini")
    status, _, stderr = run("new", str(tmp_path))
    assert status == 1
    assert "production.ini exists: nothing was written" in one_line(stderr)
    assert not (tmp_path / "development.ini").exists()


def test_the_line_with_cd_can_be_pasted(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "    cd ./-site\n" in run("new", "--", "-site")[1]
    assert "    cd site\n" in run("new", "site")[1]
