"""Claims about who comes in: names, tokens, routes, the dead-man rule."""

import os

import pytest

from flyball.adapters.token import other_tokens, owner_token
from flyball.errors import Denied, HttpRefused, OperatorError
from flyball.gateway.access import Neighbours, Tokens
from flyball.gateway.ids import FreshIds
from flyball.gateway.lease import Lease
from flyball.gateway.routes import DOORS, Door, find
from flyball.records.permissions import Permission, Role


def test_only_the_two_probes_are_open():
    assert {door.name for door in DOORS.values() if door.permission is Permission.PROBE} == {"live", "ready"}
    assert all(door.permission is Permission.SERVE for door in DOORS.values() if door.admin)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "",
        "/v2/",
        "/v3",
        "/models",
        "/models/x",
        "/models/x/predict/",
        "/v2/models/x/versions/1/config",
        "/flyball/served",
        "//v2",
    ],
)
def test_what_is_not_listed_is_not_there(path):
    with pytest.raises(HttpRefused) as caught:
        find("GET", path, admin=False)
    assert caught.value.http_status == 404


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE"])
def test_another_method_is_told_what_is_allowed(method):
    with pytest.raises(HttpRefused) as caught:
        find(method, "/models/x/predict", admin=False)
    assert caught.value.http_status == 405
    assert ("allow", "POST") in caught.value.headers


def test_a_probe_may_ask_with_head_and_change_nothing():
    read = [path for verb, path in DOORS if verb == "GET"]
    assert read
    for path in read:
        spelled = "/" + "/".join(segment or "x" for segment in path)
        assert find("HEAD", spelled, admin=True) == find("GET", spelled, admin=True)
    with pytest.raises(HttpRefused) as caught:
        find("POST", "/v2/health/ready", admin=False)
    assert ("allow", "GET, HEAD") in caught.value.headers


def test_a_model_may_be_called_models():
    assert find("POST", "/models/models/predict", admin=False)[1] == "models"
    assert find("GET", "/v2/models/v2", admin=False)[1] == "v2"


@pytest.mark.parametrize(
    "host",
    [
        b"evil.test",
        b"127.0.0.1.evil.test",
        b"",
        b"localhost.evil.test:80",
        b"127.0.0.2",
        b"[::2]",
        b"localhost@evil.test",
        b"[::1",
    ],
)
def test_a_foreign_host_is_refused(host):
    with pytest.raises(HttpRefused) as caught:
        Neighbours([]).check([(b"host", host)])
    assert caught.value.http_status == 421


@pytest.mark.parametrize("headers", [[], [(b"host", b"localhost"), (b"host", b"localhost")]])
def test_exactly_one_host_header_is_wanted(headers):
    with pytest.raises(HttpRefused) as caught:
        Neighbours([]).check(headers)
    assert caught.value.http_status == 400


@pytest.mark.parametrize(
    "origin",
    [b"https://evil.test", b"null", b"http://localhost.evil.test", b"http://localhost:9999", b"", b"http://127.0.0.1:8400"],
)
def test_a_foreign_origin_is_refused(origin):
    with pytest.raises(HttpRefused) as caught:
        Neighbours([]).check([(b"host", b"localhost:8400"), (b"origin", origin)])
    assert caught.value.http_status == 403


def test_own_names_are_welcome():
    neighbours = Neighbours(["gateway.example"])
    for host in (b"localhost:8400", b"127.0.0.1", b"[::1]:8400", b"GATEWAY.example:80"):
        assert neighbours.check([(b"host", host), (b"origin", b"http://" + host), (b"authorization", b"Bearer x")]) == b"Bearer x"


def put(path, token, mode=0o600):
    path.write_text(token)
    path.chmod(mode)


def test_tokens_follow_their_files(tmp_path):
    tokens = Tokens(tmp_path, tell_path=True)
    assert tokens.role(b"Bearer ") is Role.ANONYMOUS
    put(tmp_path / "token", "the-owners-token\n")
    put(tmp_path / "token.client", "a-clients-token-\n")
    tokens.look()
    assert tokens.role(b"Bearer the-owners-token") is Role.OWNER
    assert tokens.role(b"bearer a-clients-token-") is Role.CLIENT
    for wrong in (
        b"the-owners-token",
        b"Basic the-owners-token",
        b"Bearer",
        b"Bearer ",
        b"Bearer the-owners-toke",
        b"Bearer the-owners-token x",
        b"",
    ):
        assert tokens.role(wrong) is Role.ANONYMOUS
    put(tmp_path / "new", "another-owners-token")
    os.replace(tmp_path / "new", tmp_path / "token")
    (tmp_path / "token.client").unlink()
    tokens.look()
    assert tokens.role(b"Bearer the-owners-token") is tokens.role(b"Bearer a-clients-token-") is Role.ANONYMOUS


def test_a_disk_that_fails_takes_nobodys_right_away(tmp_path, caplog):
    token = tmp_path / "token"
    put(token, "the-owners-token")
    tokens = Tokens(tmp_path, tell_path=True)
    token.unlink()
    token.symlink_to(token)  # ELOOP at each look
    for _ in range(3):
        tokens.look()
    assert tokens.role(b"Bearer the-owners-token") is Role.OWNER
    assert len(caplog.records) == 1
    token.unlink()
    tokens.look()
    assert tokens.role(b"Bearer the-owners-token") is Role.ANONYMOUS


def test_a_token_that_was_replaced_is_valid_no_more_though_its_successor_cannot_be_read(tmp_path):
    token = tmp_path / "token"
    put(token, "the-leaked-token")
    tokens = Tokens(tmp_path, tell_path=True)
    token.unlink()
    token.mkdir()  # reading it is an OSError for root, too
    for _ in range(3):
        tokens.look()
        assert tokens.role(b"Bearer the-leaked-token") is Role.ANONYMOUS
    token.rmdir()
    put(token, "the-newest-token")
    tokens.look()
    assert tokens.role(b"Bearer the-newest-token") is Role.OWNER


def test_an_empty_token_file_lets_nobody_in(tmp_path):
    put(tmp_path / "token", "\n")
    assert Tokens(tmp_path, tell_path=True).role(b"Bearer ") is Role.ANONYMOUS


def test_without_a_token_one_is_told_where_it_lies_and_with_a_weak_one_that_it_does_not_suffice(tmp_path):
    put(tmp_path / "token.client", "a-clients-token-")
    tokens = Tokens(tmp_path, tell_path=True)
    with pytest.raises(HttpRefused, match=str(tmp_path / "token")):
        tokens.permit(Door("metrics", Permission.METRICS), b"")
    with pytest.raises(Denied):
        tokens.permit(Door("metrics", Permission.METRICS), b"Bearer a-clients-token-")
    tokens.permit(Door("predict", Permission.PREDICT), b"Bearer a-clients-token-")
    tokens.permit(Door("live", Permission.PROBE), b"")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_token_that_others_can_read_counts_for_nothing_and_is_told_once(tmp_path, caplog, mode):
    token = tmp_path / "token.client"
    put(token, "a-clients-token-")
    tokens = Tokens(tmp_path, tell_path=True)
    assert tokens.role(b"Bearer a-clients-token-") is Role.CLIENT
    token.chmod(mode)  # it keeps its time and its number
    for _ in range(3):
        tokens.look()
        assert tokens.role(b"Bearer a-clients-token-") is Role.ANONYMOUS
    assert [record.message for record in caplog.records] == [
        f"{token} can be read by others (mode {mode:04o}): nobody gets in by it"
    ]
    token.chmod(0o600)
    tokens.look()
    assert tokens.role(b"Bearer a-clients-token-") is Role.CLIENT


@pytest.mark.parametrize("text", [b"x", b"fifteen-letters", b"two-lines-are-no-token\nsecond", b"\xff" * 40])
def test_what_the_control_process_takes_for_no_token_no_gateway_takes(tmp_path, caplog, text):
    for name in ("token", "token.client"):
        (tmp_path / name).write_bytes(text)
        (tmp_path / name).chmod(0o600)
    assert Tokens(tmp_path, tell_path=True).role(b"Bearer " + text) is Role.ANONYMOUS
    assert len(caplog.records) == 2
    assert other_tokens(tmp_path) == {}
    with pytest.raises(OperatorError):
        owner_token(tmp_path, lambda: "")


def test_the_lease_is_held_only_while_it_is_fresh(tmp_path):
    now = 1_700_000_000_000_000
    path = tmp_path / "lease"
    lease = Lease(path, 30, lambda: now)
    assert not lease.held
    path.touch()
    os.utime(path, (0, now / 1e6))
    assert lease.held
    now += 30_500_000
    assert not lease.held
    os.utime(path, (0, now / 1e6))
    assert lease.held


def test_a_lease_that_nobody_renews_ends_also_when_the_clock_is_set_back(tmp_path):
    now, running = 1_700_000_000_000_000, 1000.0
    path = tmp_path / "lease"
    path.touch()
    os.utime(path, (0, now / 1e6))
    lease = Lease(path, 30, lambda: now, lambda: running)
    assert lease.held
    now -= 3_600_000_000
    running += 29
    assert lease.held
    running += 2
    assert not lease.held
    path.rename(tmp_path / "elsewhere")
    assert not lease.held
    (tmp_path / "elsewhere").rename(path)
    assert not lease.held  # the same word as before, however often it is read
    os.utime(path, (0, now / 1e6))
    assert lease.held


def test_a_worker_that_starts_beside_an_old_lease_holds_nothing(tmp_path):
    now = 1_700_000_000_000_000
    path = tmp_path / "lease"
    path.touch()
    os.utime(path, (0, now / 1e6 - 31))
    assert not Lease(path, 30, lambda: now, lambda: 1000.0).held


def test_fresh_ids_differ_and_come_from_the_source_alone():
    drawn = []

    def source(n):
        drawn.append(n)
        return os.urandom(n)

    ids = FreshIds(source)
    taken = ids.take(1) + ids.take(5) + ids.take(1000)
    assert len(set(taken)) == len(taken) == 1006
    assert all(len(each) == 24 for each in taken)
    assert FreshIds(bytes).take(1) == ["0" * 24]
