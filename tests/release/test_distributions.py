"""What would be uploaded works where there is no checkout."""

import json
import os
import re
import subprocess
import sys
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tests import ROOT
from tests.harness.postgres import Postgres
from tests.release import __main__ as release
from tests.release.building import Distributions, build, check
from tests.release.installed import Installed, try_development, try_production

pytestmark = pytest.mark.all
MADE_BY_BUILDING = re.compile(r"PKG-INFO|setup\.cfg|sessionsite\.egg-info/.*")
URL = "https://github.com/someone/sessionsite"


def ready(project: Path) -> Path:
    """Write into `project` what is written at a release."""
    path = project / "setup.py"
    text = re.sub(r'(?m)^VERSION = ".*"', 'VERSION = "1.0"', path.read_text("utf-8"))
    path.write_text(text.replace('PROJECT_URL = ""', f'PROJECT_URL = "{URL}"'), "utf-8")
    path = project / "CHANGES.txt"
    text = path.read_text("utf-8")
    path.write_text(re.sub(r"\A.*", "1.0 (2027-01-15)", text), "utf-8")
    return project


@pytest.mark.servers
def test_the_site_runs_from_the_wheel_alone(
    made: Distributions, postgres: Postgres, tmp_path: Path
) -> None:
    installed = Installed(made.wheel, tmp_path)
    asked = "import sessionsite; print(sessionsite.__version__, sessionsite.__file__)"
    version, place = installed.run("python", "-c", asked, cwd=tmp_path).split()
    assert version == release.constant(ROOT, "VERSION")
    assert Path(place).is_relative_to(tmp_path)
    assert installed.run("sessionsite", "--version", cwd=tmp_path) == f"sessionsite {version}\n"
    try_development(installed, tmp_path)
    try_production(installed, tmp_path, postgres.create_database("wheel"))


def test_the_wheel_has_the_site_and_no_tests(made: Distributions) -> None:
    with zipfile.ZipFile(made.wheel) as wheel:
        names = wheel.namelist()
        for name in ("development.ini", "production.ini"):
            assert wheel.read(f"sessionsite/ini/{name}") == (ROOT / name).read_bytes()
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"sessionsite"}
    ours = [path for path in (ROOT / "sessionsite").rglob("*.*") if path.suffix != ".pyc"]
    assert {str(path.relative_to(ROOT)) for path in ours} <= set(names)
    assert not [name for name in names if "secret" in name and not name.endswith(".py")]


def test_the_sdist_has_what_git_has(unpacked: Path) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("this is no checkout")
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    asked = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True)
    tracked = {name for name in asked.stdout.splitlines() if (ROOT / name).exists()}
    files = {str(p.relative_to(unpacked)) for p in unpacked.rglob("*") if p.is_file()}
    assert {name for name in files if not MADE_BY_BUILDING.fullmatch(name)} == tracked


def test_the_sdists_tests_pass_in_it(unpacked: Path) -> None:
    def run(*arguments: str) -> str:
        env = {**os.environ, "PYTHONPATH": str(unpacked)}
        command = [sys.executable, *arguments]
        done = subprocess.run(
            command, cwd=unpacked, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    asked = "import sessionsite, tests; print(sessionsite.__file__, tests.__file__, sep='\\n')"
    assert all(Path(each).is_relative_to(unpacked) for each in run("-c", asked).splitlines())
    ran = run(
        *["-m", "pytest", "-q", "-p", "no:cacheprovider", "--hypothesis-profile=fast"],
        *["-m", "not servers and not slow and not all"],
        *["tests/docs", "tests/contract/test_stores.py", "tests/contract/test_server_tokens.py"],
        *["tests/contract/test_factories.py", "tests/site/test_cli.py"],
    )
    assert int(re.findall(r"(\d+) passed", ran)[0]) > 300
    assert "skipped" not in ran


def test_on_an_index_the_readmes_links_lead_to_the_project(unpacked: Path) -> None:
    made = build(ready(unpacked), unpacked.parent / "dist")
    check(made)
    with zipfile.ZipFile(made.wheel) as wheel:
        text = wheel.read("sessionsite-1.0.dist-info/METADATA").decode()
    head = HeaderParser().parsestr(text)
    assert f"Changes, {URL}/blob/1.0/CHANGES.txt" in head.get_all("Project-URL", [])
    links = re.findall(r"\]\(([^)]*)\)", text.partition("\n\n")[2])
    assert [link for link in links if not link.startswith("https://")] == []
    assert f"{URL}/raw/1.0/docs/screenshot.png" in links
    assert f"{URL}/blob/1.0/README.md#run-it" in links
    for link in links:
        if path := re.match(rf"{URL}/(?:raw|blob)/1\.0/([^#]*)", link):
            assert (ROOT / path[1]).exists(), link


@pytest.mark.servers
def test_a_release_is_made_up_to_the_upload(
    unpacked: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    command = [sys.executable, "-m", "tests.release"]
    subprocess.run(command, cwd=ready(unpacked), check=True)
    assert "Nothing was uploaded" in capfd.readouterr().out
    made = {path.name: path for path in (unpacked / "dist").iterdir()}
    sbom = made.pop("sessionsite-1.0.cdx.json").read_text("utf-8")
    assert made.keys() == {"sessionsite-1.0.tar.gz", "sessionsite-1.0-py3-none-any.whl"}
    data = json.loads(sbom)
    version = SchemaVersion.from_version(data["specVersion"])
    assert JsonStrictValidator(version).validate_str(sbom) is None
    own = data["metadata"]["component"]
    assert (own["name"], own["version"]) == ("sessionsite", "1.0")
    (needs,) = (each["dependsOn"] for each in data["dependencies"] if each["ref"] == own["bom-ref"])
    assert {need.partition("==")[0].lower() for need in needs} >= {"pyramid", "sqlalchemy"}
    names = {each["name"].lower() for each in data["components"]}
    assert {"pyramid", "sqlalchemy", "psycopg-binary"} <= names
    assert not {"pip", "pytest"} & names


def test_a_readme_that_no_index_can_show_stops_the_release(
    unpacked: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = ready(unpacked) / "setup.py"
    text = path.read_text("utf-8")
    path.write_text(text.replace("long_description=readme()", 'long_description=""'), "utf-8")
    assert release.main(unpacked) == 1
    assert "long_description" in capsys.readouterr().out
