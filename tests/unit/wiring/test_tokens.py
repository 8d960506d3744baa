"""Whom the control API knows: the owner, and those for whom the owner has put a file."""

import socket
from pathlib import Path

import pytest

from flyball.adapters.doctor import project as project_checks
from flyball.cli.init import start_project
from flyball.records.permissions import Role
from flyball.spec.load import load_project
from flyball.wiring.workspace import Workspace, open_workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    start_project(tmp_path / "shop")
    return open_workspace(tmp_path / "shop")


def put(directory: Path, name: str, token: str, mode: int = 0o600) -> None:
    path = directory / "shop" / ".flyball" / name
    path.write_text(f"{token}\n")
    path.chmod(mode)


def test_the_owner_may_let_others_in_by_files_and_out_by_deleting_them(workspace: Workspace, tmp_path: Path) -> None:
    (owner,) = workspace.tokens()
    put(tmp_path, "token.client", "c" * 40)
    put(tmp_path, "token.viewer", "v" * 40)
    assert workspace.tokens() == {owner: Role.OWNER, "c" * 40: Role.CLIENT, "v" * 40: Role.VIEWER}
    (tmp_path / "shop" / ".flyball" / "token.viewer").unlink()
    assert workspace.tokens() == {owner: Role.OWNER, "c" * 40: Role.CLIENT}


def test_a_token_that_others_can_read_counts_for_nothing_and_doctor_names_it(workspace: Workspace, tmp_path: Path) -> None:
    (owner,) = workspace.tokens()
    put(tmp_path, "token.client", "c" * 40, 0o640)
    put(tmp_path, "token.viewer", "")
    assert workspace.tokens() == {owner: Role.OWNER}
    checks = project_checks(load_project(tmp_path / "shop"), tmp_path / "shop" / ".flyball", lambda: True)
    assert [check.name for check in checks if check.ok is False] == ["token.client"]


def test_a_copy_of_the_owners_token_takes_no_right_from_it(workspace: Workspace, tmp_path: Path) -> None:
    (owner,) = workspace.tokens()
    put(tmp_path, "token.client", owner)
    assert workspace.tokens() == {owner: Role.OWNER}


def test_ports_of_an_ipv6_address_are_looked_at_there(workspace: Workspace, tmp_path: Path) -> None:
    if not socket.has_ipv6 or not Path("/proc/net/if_inet6").exists():
        pytest.skip("this machine has no IPv6")
    path = tmp_path / "shop" / "flyball.yaml"
    path.write_text(path.read_text().replace("port: 8400, control_port: 8401", 'host: "::1", port: 0, control_port: 0'))
    checks = project_checks(load_project(tmp_path / "shop"), tmp_path / "shop" / ".flyball", lambda: False)
    assert [(check.ok, check.words) for check in checks if check.name == "gateway port"] == [(True, "::1:0 is free")]
