"""The contracts are tested themselves: they fail for all that is broken on purpose."""

import os
import re
import subprocess
import sys
from typing import Any

import pytest

from sessionsite.testing import StoreContract
from tests import ROOT
from tests.contract.broken import FAULTS, SoundContract, SoundStore, factories

CONTRACT = [name for name in dir(StoreContract) if name.startswith("test_")]


def fails(test: str, store: Any) -> bool:
    try:
        getattr(SoundContract(), test)(store)
    except Exception:
        return True
    return False


@pytest.mark.parametrize("what", FAULTS)
def test_the_contract_finds_it(what: str) -> None:
    assert any(fails(test, FAULTS[what]()) for test in CONTRACT)


@pytest.mark.parametrize("test", CONTRACT)
def test_a_sound_store_passes(test: str) -> None:
    getattr(SoundContract(), test)(SoundStore())


@pytest.mark.all
@pytest.mark.parametrize("test", CONTRACT)
def test_each_test_of_the_contract_finds_something(test: str) -> None:
    assert any(fails(test, broken()) for broken in FAULTS.values())


@pytest.mark.all
def test_the_tests_of_the_server_factory_find_every_broken_one() -> None:
    done = subprocess.run(
        [
            sys.executable, "-m", "pytest", "-q", "-rf", "--no-header", "--tb=no",
            "-p", "no:cacheprovider", "-p", factories.__name__, "-k", "memory",
            *(f"tests/contract/test_{name}.py" for name in
              ("server_tokens", "server_sessions", "server_concurrency", "several_cookies")),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    failed = "\n".join(re.findall("(?m)^FAILED .*", done.stdout))
    assert {what for what in factories.FAULTS if what in failed} == (
        factories.FAULTS.keys() - {factories.SOUND}
    ), done.stdout
