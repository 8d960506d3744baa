"""Whom the control API knows: the owner, and those for whom the owner has put a file."""

import socket
import stat
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path

import msgspec
import pytest

from flyball.adapters.doctor import project as project_checks
from flyball.cli.init import start_project
from flyball.errors import Conflict, NotFound, OperatorError, RequestError
from flyball.records.permissions import Holder, Role
from flyball.spec.load import load_project
from flyball.wiring import people
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
    assert workspace.people.remove("anna", "user:ben") == (msgspec.structs.replace(made, file=""),)
    assert (workspace.tokens(), workspace.people.rows()) == ({owner: Holder(Role.OWNER)}, ())
    with pytest.raises(NotFound):
        workspace.people.remove("anna", "user:ben")
    told = workspace._world(say_nothing).ports.ledger.events(subject="person:anna")
    assert [(each.kind, each.actor, each.payload) for each in told] == [
        (kind, "user:ben", {"role": "approver"}) for kind in ("token.given", "token.taken")
    ]


def test_of_a_person_nothing_is_left_whatever_was_put_there_by_hand(workspace: Workspace, tmp_path: Path) -> None:
    (owner,) = workspace.tokens()
    workspace.people.add("anna", "approver", "user:ben")
    put(tmp_path, "token.owner.anna", "o" * 40)
    put(tmp_path, "token.viewer.Anna", "v" * 40)
    put(tmp_path, "token.viewer.annabel", "b" * 40)
    taken = workspace.people.remove("anna", "user:ben")
    assert [(each.name, each.role) for each in taken] == [("anna", "approver"), ("anna", "owner"), ("Anna", "viewer")]
    assert workspace.tokens() == {owner: Holder(Role.OWNER), "b" * 40: Holder(Role.VIEWER, "annabel")}
    told = workspace._world(say_nothing).ports.ledger.events(kinds=("token.taken",))
    assert [(each.subject, each.payload["role"]) for each in told] == [
        ("person:anna", "approver"), ("person:anna", "owner"), ("person:Anna", "viewer"),
    ]  # fmt: skip


def test_of_two_who_give_a_person_a_token_at_the_same_moment_one_is_told_that_there_is_one(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse, others = people.refuse_name, list[Future[object]]()
    with ThreadPoolExecutor() as pool:

        def looked_up(state_dir: Path, holder: Holder) -> None:
            refuse(state_dir, holder)
            if not others:  # the other one comes when this one has found that there is none
                others.append(pool.submit(workspace.people.add, "anna", "owner", "user:ben"))
                wait(others, timeout=0.5)

        monkeypatch.setattr(people, "refuse_name", looked_up)
        made = workspace.people.add("anna", "approver", "user:ben")
    assert isinstance(others[0].exception(), Conflict)
    assert workspace.people.rows() == (made,)


def test_a_person_may_be_called_as_an_account_is_and_is_the_same_in_capitals(workspace: Workspace) -> None:
    for name in ("anna.smith", "Ben@corp.example.com", "_svc-7", "a" * 64):
        made = workspace.people.add(name, "viewer", "user:ben")
        assert Path(made.file).parent == Path(workspace.people.rows()[0].file).parent
        assert Holder(Role.VIEWER, name) in workspace.tokens().values()
    with pytest.raises(Conflict, match=r"anna\.smith has a token"):
        workspace.people.add("Anna.Smith", "owner", "user:ben")
    assert [each.name for each in workspace.people.remove("ANNA.SMITH", "user:ben")] == ["anna.smith"]


@pytest.mark.parametrize(
    "name", ["owner", "client", "Owner", "../x", "a/b", "a\\b", "a..b", ".a", "-a", "7a", "a b", "a\n", "änna", "", "a" * 65]
)
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
    put(tmp_path, "token.viewer.anna", "two\nlines")
    assert workspace.tokens() == {owner: Holder(Role.OWNER)}
    checks = project_checks(load_project(tmp_path / "shop"), tmp_path / "shop" / ".flyball", lambda: True)
    assert [check.name for check in checks if check.ok is False] == ["token.client", "token.viewer", "token.viewer.anna"]


@pytest.mark.parametrize(
    ("written", "wrong"),
    [(b" \n", "is empty"), (b"\xff\xfe", "is no text"), (b"two\nlines\n", "is not one line"), (b"x\n", "is shorter than 16")],
)
def test_an_owners_token_that_keeps_flyball_from_starting_is_not_well(
    workspace: Workspace, tmp_path: Path, written: bytes, wrong: str
) -> None:
    workspace.tokens()
    (tmp_path / "shop" / ".flyball" / "token").write_bytes(written)
    with pytest.raises(OperatorError, match=wrong):
        workspace.tokens()
    token = project_checks(load_project(tmp_path / "shop"), tmp_path / "shop" / ".flyball", lambda: True)[0]
    assert (token.name, token.ok, wrong in token.words) == ("token", False, True)
    assert "delete it and start again" in token.next_step


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
