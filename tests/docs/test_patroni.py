"""docs/deployment.md, "Patroni": the environments of its hosts are those of the tests."""

import re

import yaml

from tests import ROOT
from tests.docs.blocks import blocks

HARNESS = (ROOT / "tests" / "harness" / "patroni.py").read_text("utf-8")
PATRONI, ETCD = (
    block.code for block in blocks("deployment.md")
    if block.heading == "Patroni" and block.language == "ini"
)  # fmt: skip


def names(text: str) -> set[str]:
    return {line.partition("=")[0] for line in text.splitlines() if line}


def test_patronis_environment_is_complete() -> None:
    assert names(PATRONI) == set(re.findall(r'"(PATRONI_\w+)"', HARNESS))


def test_etcds_environment_is_the_options_of_the_tests() -> None:
    options = {
        f"ETCD_{name.upper().replace('-', '_')}" for name in re.findall("--([a-z0-9-]+)", HARNESS)
    }
    own = {"ETCD_DATA_DIR", "ETCD_LOGGER", "ETCD_INITIAL_CLUSTER_STATE"}  # Debian's, and defaults
    assert names(ETCD) == options - own


def test_a_commit_is_on_two_hosts_and_the_times_fit() -> None:
    settings = yaml.safe_load((ROOT / "deploy" / "patroni.yml").read_text("utf-8"))
    common = settings["bootstrap"]["dcs"]
    assert common["synchronous_mode"] is True
    assert common["loop_wait"] + 2 * common["retry_timeout"] <= common["ttl"]
