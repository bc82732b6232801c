"""The old release that is kept in a file is what its commit had."""

import tarfile
from pathlib import Path

from tests.harness.old_release import ARCHIVE, OldRelease


def test_the_archive_says_its_commit() -> None:
    with tarfile.open(ARCHIVE) as archive:
        assert archive.pax_headers["comment"] == "4a4b256c0e4ddce342b206db685b66563a8c98ad"


def test_it_knows_no_owners(tmp_path: Path) -> None:
    home = OldRelease(tmp_path).home
    assert "owner: str" not in (home / "sessionsite" / "sessions" / "store.py").read_text("utf-8")
