"""constraints-hashed.txt is constraints.txt with the hash of each file."""

import re

from tests import ROOT


def versions(name: str) -> dict[str, str]:
    """Return each package's version, by the package's name in its normal form (PEP 503)."""
    text = (ROOT / name).read_text("utf-8")
    found = re.findall(r"(?m)^([\w.-]+)==([^\s;\\]+)", text)
    return {re.sub(r"[-_.]+", "-", package).lower(): version for package, version in found}


def test_both_files_have_the_same_versions() -> None:
    assert versions("constraints-hashed.txt") == versions("constraints.txt")
    assert len(versions("constraints.txt")) > 50


def test_every_package_has_hashes_and_no_place_it_came_from() -> None:
    text = (ROOT / "constraints-hashed.txt").read_text("utf-8")
    for entry in re.split(r"(?m)^(?=[\w.-]+==)", text)[1:]:
        assert "--hash=sha256:" in entry, entry.partition("\n")[0]
    assert "://" not in text
