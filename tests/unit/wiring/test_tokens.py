"""Whom the control API knows: the owner, and those for whom the owner has put a file."""

import socket
import stat
from pathlib import Path

import pytest

from flyball.adapters.doctor import project as project_checks
from flyball.cli.init import start_project
from flyball.errors import Conflict, NotFound, RequestError
from flyball.records.permissions import Holder, Role
from flyball.spec.load import load_project
from flyball.wiring.workspace import Workspace, open_workspace
from flyball.wiring.worlds import say_nothing


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
    assert workspace.tokens() == {owner: Holder(Role.OWNER), "c" * 40: Holder(Role.CLIENT), "v" * 40: Holder(Role.VIEWER)}
    (tmp_path / "shop" / ".flyball" / "token.viewer").unlink()
    assert workspace.tokens() == {owner: Holder(Role.OWNER), "c" * 40: Holder(Role.CLIENT)}


def test_a_person_has_a_token_of_a_name_which_the_ledger_knows_until_it_is_taken_away(workspace: Workspace) -> None:
    (owner,) = workspace.tokens()
    made = workspace.people.add("anna", "approver", "user:ben")
    token = Path(made.file).read_text().strip()
    assert stat.S_IMODE(Path(made.file).stat().st_mode) == 0o600
    assert workspace.tokens() == {owner: Holder(Role.OWNER), token: Holder(Role.APPROVER, "anna")}
    assert workspace.people.rows() == (made,)
    with pytest.raises(Conflict, match="anna has a token, as approver"):
        workspace.people.add("anna", "viewer", "user:ben")
    workspace.people.remove("anna", "user:ben")
    assert (workspace.tokens(), workspace.people.rows()) == ({owner: Holder(Role.OWNER)}, ())
    with pytest.raises(NotFound):
        workspace.people.remove("anna", "user:ben")
    told = workspace._world(say_nothing).ports.ledger.events(subject="person:anna")
    assert [(each.kind, each.actor, each.payload) for each in told] == [
        (kind, "user:ben", {"role": "approver"}) for kind in ("token.given", "token.taken")
    ]


@pytest.mark.parametrize("name", ["owner", "client", "Anna", "../x", "a b", "", "a" * 33])
def test_nobody_is_called_as_a_role_or_a_path_is(workspace: Workspace, tmp_path: Path, name: str) -> None:
    put_before = sorted((tmp_path / "shop").rglob("token*"))
    with pytest.raises(RequestError, match="a person's name"):
        workspace.people.add(name, "viewer", "user:ben")
    assert sorted((tmp_path / "shop").rglob("token*")) == put_before


@pytest.mark.parametrize("role", ["client", "anonymous", "king"])
def test_a_person_has_a_role_of_a_person(workspace: Workspace, role: str) -> None:
    with pytest.raises(RequestError, match="approver or owner or viewer"):
        workspace.people.add("anna", role, "user:ben")


def test_a_token_that_others_can_read_counts_for_nothing_and_doctor_names_it(workspace: Workspace, tmp_path: Path) -> None:
    (owner,) = workspace.tokens()
    put(tmp_path, "token.client", "c" * 40, 0o640)
    put(tmp_path, "token.viewer", "")
    assert workspace.tokens() == {owner: Holder(Role.OWNER)}
    checks = project_checks(load_project(tmp_path / "shop"), tmp_path / "shop" / ".flyball", lambda: True)
    assert [check.name for check in checks if check.ok is False] == ["token.client"]


def test_a_copy_of_the_owners_token_takes_no_right_from_it(workspace: Workspace, tmp_path: Path) -> None:
    (owner,) = workspace.tokens()
    put(tmp_path, "token.client", owner)
    assert workspace.tokens() == {owner: Holder(Role.OWNER)}


def test_ports_of_an_ipv6_address_are_looked_at_there(workspace: Workspace, tmp_path: Path) -> None:
    if not socket.has_ipv6 or not Path("/proc/net/if_inet6").exists():
        pytest.skip("this machine has no IPv6")
    path = tmp_path / "shop" / "flyball.yaml"
    path.write_text(path.read_text().replace("port: 8400, control_port: 8401", 'host: "::1", port: 0, control_port: 0'))
    checks = project_checks(load_project(tmp_path / "shop"), tmp_path / "shop" / ".flyball", lambda: False)
    assert [(check.ok, check.words) for check in checks if check.name == "gateway port"] == [(True, "::1:0 is free")]
