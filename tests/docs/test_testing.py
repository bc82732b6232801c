"""docs/testing.md: its tests run on its app; its tables name what there is."""

import os
import re
import subprocess
import sys
from pathlib import Path

from sessionsite import testing
from tests import ROOT
from tests.docs.blocks import take

DOCUMENT = (ROOT / "docs" / "testing.md").read_text("utf-8")
BLOCKS = [block.code for block in take("testing.md", language="python")]
FILES = ("myapp.py", "test_views.py", "conftest.py", "test_app.py", "test_time.py")


def test_its_tests_pass_on_its_app(tmp_path: Path) -> None:
    for name, block in zip(FILES, BLOCKS, strict=True):
        (tmp_path / name).write_text(block, "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir=."],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([".", str(ROOT)]), "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    tests = sum(block.count("\ndef test_") for block in BLOCKS)
    assert f"{tests} passed" in done.stdout


def test_it_names_every_fixture() -> None:
    code = (ROOT / "sessionsite" / "testing" / "plugin.py").read_text("utf-8")
    fixtures = re.findall(r"@pytest.fixture\ndef (\w+)", code)
    assert len(fixtures) == 3
    for name in fixtures:
        assert f"| `{name}` |" in DOCUMENT


def test_every_public_name_of_the_kit_is_documented() -> None:
    pages = DOCUMENT + (ROOT / "docs" / "writing-a-store.md").read_text("utf-8")
    of_contracts = {"START", "in_parallel", "record"}
    for name in testing.__all__:
        assert getattr(testing, name).__doc__
        assert name in of_contracts or re.search(rf"\b{name}\b", pages)
