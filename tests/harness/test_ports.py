"""Ports: no two test processes get the same one."""

import socket
import subprocess
import sys

import pytest

from tests import ROOT, harness
from tests.harness import can_bind, free_port, listening


def test_a_free_port_is_given_once_and_can_be_listened_on() -> None:
    ports = [free_port() for _ in range(50)]

    assert len(set(ports)) == 50
    assert not listening(ports[0])
    with socket.create_server(("127.0.0.1", ports[0])):
        assert listening(ports[0])
        assert not can_bind(ports[0])


def test_a_port_that_another_process_has_been_given_is_not_given_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    code = (
        "import sys; from tests.harness import free_port; print(free_port(), flush=True); input()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdout is not None
    port = int(other.stdout.readline())
    assert can_bind(port)
    assert not harness._claim(port)

    other.communicate("\n")
    monkeypatch.setattr(harness, "PORTS", range(port, port + 1))
    assert free_port() == port
