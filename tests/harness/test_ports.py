"""Ports: each is given once."""

import socket

from tests.harness import can_bind, free_port, listening


def test_a_free_port_is_given_once_and_can_be_listened_on() -> None:
    ports = [free_port() for _ in range(50)]

    assert len(set(ports)) == 50
    assert not listening(ports[0])
    with socket.create_server(("127.0.0.1", ports[0])):
        assert listening(ports[0])
        assert not can_bind(ports[0])
