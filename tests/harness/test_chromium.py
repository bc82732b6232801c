"""Which Chromium is found."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness.chromium import find_chromium


@pytest.fixture
def make_program(tmp_path: Path) -> Callable[[str, str], Path]:
    def make(name: str, text: str = "") -> Path:
        program = tmp_path / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(text)
        program.chmod(0o755)
        return program

    return make


def test_a_browser_of_the_system_comes_before_a_download(
    make_program: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path / "browsers"))
    assert find_chromium(str(tmp_path)) is None
    make_program("browsers/chromium-1300/chrome-linux64/chrome")  # and no word that it is all
    assert find_chromium(str(tmp_path)) is None
    old = make_program("browsers/chromium-999/chrome-linux64/chrome")
    make_program("browsers/chromium-999/INSTALLATION_COMPLETE")
    assert find_chromium(str(tmp_path)) == old
    shells = "browsers/chromium_headless_shell-1255"
    shell = make_program(f"{shells}/chrome-headless-shell-linux64/chrome-headless-shell")
    make_program(f"{shells}/INSTALLATION_COMPLETE")
    assert find_chromium(str(tmp_path)) == shell
    chrome = make_program("google-chrome")
    assert find_chromium(str(tmp_path)) == chrome


def test_the_script_that_asks_for_a_snap_is_no_browser(
    make_program: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path / "none"))
    make_program("chromium-browser", "#!/bin/sh\nif ! [ -x /snap/bin/chromium ]; then exit 1; fi\n")
    assert find_chromium(str(tmp_path)) is None
    chrome = make_program("google-chrome", "#!/bin/sh\nexec chrome\n")
    assert find_chromium(str(tmp_path)) == chrome
