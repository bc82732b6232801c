"""What GitHub runs and shows: its files can be read, and ask for nothing that is not there."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import ROOT

FOLDER = ROOT / ".github"
FILES = sorted(FOLDER.rglob("*.yml"))
WORKFLOWS = sorted((FOLDER / "workflows").iterdir())
FORMS = [path for path in (FOLDER / "ISSUE_TEMPLATE").iterdir() if path.name != "config.yml"]
FIELDS = {"markdown", "input", "textarea", "dropdown", "checkboxes"}


def name(path: Path) -> str:
    return path.name


def read(path: Path) -> dict[str, Any]:
    """YAML 1.1 takes the key `on` for a truth value."""
    loaded = yaml.safe_load(path.read_text("utf-8"))
    return {"on" if key is True else key: value for key, value in loaded.items()}


def steps(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("path", FILES, ids=name)
def test_a_file_can_be_read(path: Path) -> None:
    assert read(path)


@pytest.mark.parametrize("path", WORKFLOWS, ids=name)
def test_a_workflow_has_few_rights_and_an_end(path: Path) -> None:
    workflow = read(path)
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert 0 < job["timeout-minutes"] <= 180
        assert "latest" not in job["runs-on"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=name)
def test_an_action_is_pinned_by_its_version(path: Path) -> None:
    used = [step["uses"] for step in steps(read(path)) if "uses" in step]
    assert used
    for action in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@v\d+(\.\d+\.\d+)?", action), action


@pytest.mark.parametrize("path", WORKFLOWS, ids=name)
def test_what_a_step_runs_is_there(path: Path) -> None:
    targets = re.findall(r"(?m)^([\w-]+)(?= ?[\w -]*:)", (ROOT / "Makefile").read_text("utf-8"))
    noxfile = (ROOT / "noxfile.py").read_text("utf-8")
    runs = [step["run"] for step in steps(read(path)) if "run" in step]
    for line in runs:
        if line.startswith("make "):
            assert set(line.split()[1:]) <= set(targets), line
        if line.startswith("nox "):
            for session in re.sub(r"-\$\{\{.*?\}\}", "", line.partition(" -s ")[2]).split():
                assert f"def {session}(session: nox.Session" in noxfile
        if line.startswith("."):
            assert (ROOT / line).stat().st_mode & 0o100


def test_ci_runs_everything_and_each_python_of_the_matrix() -> None:
    workflow = read(FOLDER / "workflows" / "ci.yml")
    assert ".ci/run" in [step.get("run") for step in workflow["jobs"]["all"]["steps"]]
    noxfile = (ROOT / "noxfile.py").read_text("utf-8")
    (pythons,) = re.findall(r"(?m)^PYTHONS = (.*)$", noxfile)
    assert workflow["jobs"]["libraries"]["strategy"]["matrix"]["python"] == yaml.safe_load(pythons)


def test_nothing_is_uploaded_unless_it_is_asked_for_and_approved() -> None:
    workflow = read(FOLDER / "workflows" / "release.yml")
    assert workflow["on"] == {"workflow_dispatch": None}
    build, publish = workflow["jobs"]["build"], workflow["jobs"]["publish"]
    assert build["if"] == "github.ref_type == 'tag'"
    assert "permissions" not in build
    assert (publish["needs"], publish["environment"]) == ("build", "release")
    assert publish["permissions"] == {"id-token": "write"}
    assert "id-token" not in (FOLDER / "workflows" / "ci.yml").read_text("utf-8")
    text = (FOLDER / "workflows" / "release.yml").read_text("utf-8")
    assert "secrets." not in text
    assert "password:" not in text


@pytest.mark.parametrize("path", FORMS, ids=name)
def test_a_form_asks_for_what_an_answer_needs(path: Path) -> None:
    form = read(path)
    assert {"name", "description", "body"} <= form.keys()
    asked = [field for field in form["body"] if field["type"] != "markdown"]
    assert {field["type"] for field in form["body"]} <= FIELDS
    assert len({field["id"] for field in asked}) == len(asked)
    assert all(field["attributes"]["label"] for field in asked)
    assert any(field["validations"]["required"] for field in asked if "validations" in field)


def test_no_vulnerability_is_reported_in_an_empty_form() -> None:
    assert read(FOLDER / "ISSUE_TEMPLATE" / "config.yml") == {"blank_issues_enabled": False}
    assert "SECURITY.md" in (FOLDER / "ISSUE_TEMPLATE" / "bug.yml").read_text("utf-8")
