import socket

import pytest
from bench import ports
from bench.ports import free_ports


def test_ports_that_are_drawn_are_never_those_of_who_binds_port_0():
    drawn = [*free_ports(3), *free_ports(2)]
    assert len(set(drawn)) == 5
    lowest = int(ports.HANDED_OUT.read_text().split()[0]) if ports.HANDED_OUT.exists() else 49_152
    assert all(1024 < port < max(lowest, 30_000) for port in drawn)


def test_a_port_that_somebody_listens_on_is_passed_over(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ports, "_drawn", iter(range(100)))
    (first,) = free_ports(1)
    monkeypatch.setattr(ports, "_drawn", iter(range(100)))
    with socket.create_server(("127.0.0.1", first)):
        assert free_ports(1) != [first]
