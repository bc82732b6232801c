"""What `python -m tests.harness.install` runs, on machines that are not this one."""

import subprocess
import sys
from collections.abc import Sequence

import pytest

from tests import ROOT
from tests.harness.install import install, main, missing_programs, run_command


class Machine:
    """A machine that lacks `lacking`; `obtainable` has what each command can install."""

    def __init__(self, *lacking: str, obtainable: Sequence[str] = ()) -> None:
        self.lacking = list(lacking)
        self.obtainable = obtainable
        self.commands: list[str] = []

    def missing(self) -> list[str]:
        return list(self.lacking)

    def run(self, command: Sequence[str]) -> None:
        self.commands.append(" ".join(command))
        brought = [word for word in command if word in self.obtainable]
        self.lacking = [n for n in self.lacking if not any(n in word for word in brought)]

    def install(self, *, apt: bool) -> list[str]:
        return install(self.missing, self.run, apt=apt)


def words(command: str) -> str:
    """What a command does, without its options."""
    named = (word for word in command.split()[1:] if not word.startswith("-") and "::" not in word)
    return " ".join(named)


def test_nothing_is_run_where_nothing_is_missing() -> None:
    for apt in (True, False):
        machine = Machine()
        assert machine.install(apt=apt) == []
        assert machine.commands == []


def test_apt_gets_what_is_missing_and_nothing_else() -> None:
    machine = Machine("nginx", "chromium", obtainable=["nginx-light", "chromium"])
    assert machine.install(apt=True) == []
    assert [words(command) for command in machine.commands] == [
        "update", "install nginx-light", "install chromium",
    ]  # fmt: skip
    assert all("--no-install-recommends" in command for command in machine.commands[1:])


def test_a_package_that_apt_does_not_have_keeps_no_other_from_being_installed() -> None:
    machine = Machine("nginx", "redis-server", obtainable=["redis-server"])
    assert machine.install(apt=True) == ["nginx"]


def test_a_browser_that_apt_does_not_have_is_downloaded_with_its_libraries() -> None:
    machine = Machine("chromium")
    machine.install(apt=True)
    assert machine.commands[-1] == (
        f"{sys.executable} -m playwright install --with-deps --only-shell chromium"
    )


def test_without_apt_only_a_browser_is_downloaded() -> None:
    machine = Machine("nginx", "redis-server", "openssl", "chromium", obtainable=["chromium"])
    assert machine.install(apt=False) == ["nginx", "redis-server", "openssl"]
    assert machine.commands == [f"{sys.executable} -m playwright install --only-shell chromium"]


@pytest.mark.parametrize(("ci", "status"), [("true", 1), ("", 0), ("false", 0)])
def test_what_can_not_be_had_is_named_and_fails_in_ci_alone(
    ci: str, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CI", ci)
    machine = Machine("nginx", "openssl")
    assert main(machine.missing, machine.run) == status
    lines = capsys.readouterr().out.splitlines()
    assert ["nginx" in lines[0], "openssl" in lines[1], len(lines)] == [True, True, 2]
    assert main(Machine().missing, machine.run) == 0


def test_a_command_that_fails_says_what_it_said_last(capsys: pytest.CaptureFixture[str]) -> None:
    run_command([sys.executable, "-c", "print('fine')"])
    run_command([sys.executable, "-c", "import sys; print('no'); sys.exit('network')"])
    run_command(["/no/such/program"])
    output = capsys.readouterr().out
    assert "\nfine" not in output
    assert "  no\n" in output
    assert "  network\n" in output
    assert "  [Errno 2] No such file or directory: '/no/such/program'\n" in output


def test_looking_for_what_is_missing_does_not_load_playwright() -> None:
    code = (
        "import sys, tests.harness.install as i; i.missing_programs();"
        " print('playwright' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


def test_only_programs_that_are_known_can_be_missing() -> None:
    assert set(missing_programs()) <= {"nginx", "redis-server", "openssl", "chromium"}
