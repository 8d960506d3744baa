"""The supervisor with real processes: real gateways, and small programs in their place."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil
import pytest
from bench.ports import free_ports

from flyball.adapters.entropy import fresh_token
from flyball.adapters.known_process import known
from flyball.adapters.supervisor import GatewayProcess, Layout, live, model_ready, running, start_detached, stop, supervise
from flyball.adapters.supervisor.child import BUDGET, LOG_BYTES, Child, Recipe
from flyball.adapters.supervisor.listening import listen, reserve
from flyball.adapters.token import owner_token
from flyball.errors import Conflict, OperatorError, StoreUnavailable, UserError

UP = """
import sys
from pathlib import Path
from flyball.adapters.supervisor import Layout, supervise
directory = Path(sys.argv[1])
control = (sys.executable, "-c", "import time; time.sleep(600)")
supervise(Layout(directory, directory, port=int(sys.argv[2]), control_command=control), lambda style, words: print(words, flush=True))
"""


def up(directory: Path, port: int = 0) -> list[str]:
    return [sys.executable, "-c", UP, str(directory), str(port)]


def wait_until(holds: Callable[[], object], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        threading.Event().wait(0.02)


def test_a_supervisor_that_could_not_be_found_again_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "run" / "supervisor.json").mkdir(parents=True)
    said: list[str] = []
    with pytest.raises(StoreUnavailable, match=r"supervisor\.json: Is a directory"):
        supervise(Layout(tmp_path, tmp_path, port=0), lambda _, words: said.append(words))
    assert said == []
    assert not (tmp_path / "logs").exists()


def test_a_log_that_cannot_be_opened_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "logs" / "supervisor.log").mkdir(parents=True)
    with pytest.raises(StoreUnavailable, match=r"supervisor\.log: Is a directory\. Next: "):
        start_detached(up(tmp_path), tmp_path, tmp_path)


def test_a_gateway_process_lives_is_killed_and_comes_back_on_the_same_url(tmp_path: Path) -> None:
    owner_token(tmp_path, fresh_token)
    with GatewayProcess(tmp_path) as gateway:
        assert live(gateway.url)
        assert not model_ready(gateway.url)  # nothing is routed yet
        first = gateway.pid
        gateway.kill()
        assert gateway.pid is None
        gateway.restart()
        assert gateway.pid not in (None, first)
        assert httpx.get(f"{gateway.url}/v2/health/live", trust_env=False).status_code == 200
    assert gateway.pid is None
    assert not list((tmp_path / "gateways").glob("*.json"))


def test_grpc_keeps_its_port_while_its_workers_come_and_go(tmp_path: Path) -> None:
    owner_token(tmp_path, fresh_token)
    end = threading.Event()
    layout = Layout(tmp_path, tmp_path, port=0, workers=2, grpc_port=0)
    thread = threading.Thread(target=supervise, args=(layout, lambda _style, _words: None, end))
    thread.start()
    cards = tmp_path / "gateways"

    def told() -> list[dict[str, int]]:
        return [json.loads(card.read_text()) for card in sorted(cards.glob("*.json"))]

    try:
        wait_until(lambda: len(told()) == 2)
        run = running(tmp_path)
        assert run is not None
        assert run.workers == 2
        assert {f"127.0.0.1:{card['grpc_port']}" for card in told()} == {run.grpc_target}
        first = told()[0]
        os.kill(first["pid"], signal.SIGKILL)
        wait_until(lambda: told()[0]["pid"] != first["pid"])
        assert told()[0]["grpc_port"] == first["grpc_port"]
        again = rf"is taken by process \d+ \(.*flyball.gateway.*, which process {os.getpid()} started and starts again"
        with pytest.raises(OperatorError, match=again):
            reserve("127.0.0.1", first["grpc_port"])
    finally:
        end.set()
        thread.join()
    reserve("127.0.0.1", first["grpc_port"]).close()


def test_a_gateway_that_cannot_start_says_why(tmp_path: Path) -> None:
    with (
        pytest.raises(OperatorError, match=r"did not come up:[\s\S]*no-such-flag"),
        GatewayProcess(tmp_path, arguments=("--no-such-flag",)),
    ):
        pass


def test_up_detached_serves_restarts_the_dead_and_goes_down(tmp_path: Path) -> None:
    owner_token(tmp_path, fresh_token)
    (tmp_path / "uvicorn.py").write_text("raise SystemExit('a file of the project is imported by the gateway')")
    run = start_detached(up(tmp_path), tmp_path, tmp_path)
    try:
        assert live(run.gateway_url)
        with pytest.raises(Conflict, match=f"up already .process {run.pid}"):
            start_detached(up(tmp_path), tmp_path, tmp_path)
        wait_until(lambda: set(running(tmp_path).children) == {"gateway-0", "control"})  # type: ignore[union-attr]
        before = running(tmp_path)
        assert before is not None
        for child in before.children.values():
            os.kill(child.pid, signal.SIGKILL)
        wait_until(lambda: (now := running(tmp_path)) is not None and all(
            now.children.get(name) not in (None, child) for name, child in before.children.items()))  # fmt: skip
        wait_until(lambda: live(run.gateway_url))
        after = running(tmp_path)
        assert after is not None
    finally:
        assert stop(tmp_path)
    assert running(tmp_path) is None
    assert not any(psutil.pid_exists(child.pid) for child in after.children.values())
    assert not stop(tmp_path)


def test_what_a_killed_supervisor_left_is_ended(tmp_path: Path) -> None:
    owner_token(tmp_path, fresh_token)
    run = start_detached(up(tmp_path), tmp_path, tmp_path)
    wait_until(lambda: len(running(tmp_path).children) == 2)  # type: ignore[union-attr]
    left = running(tmp_path)
    assert left is not None
    os.kill(run.pid, signal.SIGKILL)
    wait_until(lambda: running(tmp_path) is None)
    assert all(child.lives for child in left.children.values())
    assert stop(tmp_path)
    wait_until(lambda: not any(child.lives for child in left.children.values()))


def test_after_a_kill_of_the_supervisor_the_next_start_takes_the_same_port_at_once(tmp_path: Path) -> None:
    owner_token(tmp_path, fresh_token)
    (port,) = free_ports(1)
    first = start_detached(up(tmp_path, port), tmp_path, tmp_path)
    wait_until(lambda: len(running(tmp_path).children) == 2)  # type: ignore[union-attr]
    os.kill(first.pid, signal.SIGKILL)
    wait_until(lambda: running(tmp_path) is None)
    again = start_detached(up(tmp_path, port), tmp_path, tmp_path)
    assert again.gateway_url == first.gateway_url
    assert live(again.gateway_url)
    assert stop(tmp_path)


def test_a_taken_port_names_its_holder(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OperatorError, match=rf"port {port} of 127.0.0.1 is taken by process {os.getpid()} \("):
            supervise(Layout(tmp_path, tmp_path, port=port), lambda _style, _words: None)
        with pytest.raises(OperatorError, match=rf"did not come up:[\s\S]*port {port}"):
            start_detached(up(tmp_path, port), tmp_path, tmp_path)
        with pytest.raises(OperatorError, match=rf"port {port} of 127.0.0.1 is taken by process {os.getpid()} \("):
            supervise(
                Layout(tmp_path, tmp_path, port=0, control_command=("true",), control_port=port), lambda _style, _words: None
            )


def test_one_port_for_two_doors_is_told_before_anything_is_started(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    layout = Layout(tmp_path, tmp_path, port=port, control_command=("true",), control_port=port)
    with pytest.raises(OperatorError, match=rf"port {port} of 127.0.0.1 is taken by process {os.getpid()} \("):
        supervise(layout, lambda _style, _words: None)
    assert not (tmp_path / "logs").exists()


def test_what_a_detached_supervisor_said_is_said_once_and_of_its_own_kind(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "supervisor.log").write_text("✗ the day before something else. Next: nothing.\n")
    speaks = "import sys; print('✗ port 1 is taken. Next: end it, or choose another port.'); sys.exit({})"
    with pytest.raises(OperatorError) as told:
        start_detached([sys.executable, "-c", speaks.format(3)], tmp_path, tmp_path)
    assert told.value.message == "port 1 is taken. Next: end it, or choose another port."
    with pytest.raises(UserError, match=r"^port 1 is taken\."):
        start_detached([sys.executable, "-c", speaks.format(2)], tmp_path, tmp_path)
    with pytest.raises(OperatorError, match=r"^it did not come up:\nsilent"):
        start_detached([sys.executable, "-c", "print('silent')"], tmp_path, tmp_path)


LISTENS = """
import socket, sys, time
bound = socket.socket(fileno=int(sys.argv[-1]))
while True:
    connection, _ = bound.accept()
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n")
    connection.close()
"""


def test_a_killed_control_process_keeps_its_port_and_refuses_no_connection(tmp_path: Path) -> None:
    owner_token(tmp_path, fresh_token)
    end, layout = threading.Event(), Layout(tmp_path, tmp_path, port=0, control_command=(sys.executable, "-c", LISTENS))
    thread = threading.Thread(target=supervise, args=(layout, lambda _style, _words: None, end))
    thread.start()
    try:
        wait_until(lambda: running(tmp_path) is not None and len(running(tmp_path).children) == 2)  # type: ignore[union-attr]
        run = running(tmp_path)
        assert run is not None
        assert run.control_url is not None
        assert httpx.get(run.control_url, trust_env=False).status_code == 200
        os.kill(run.children["control"].pid, signal.SIGKILL)
        assert httpx.get(run.control_url, trust_env=False, timeout=120).status_code == 200
    finally:
        end.set()
        thread.join()


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(OperatorError, match=r"cannot listen on 203\.0\.113\.1"):
        listen("203.0.113.1", 0)


def test_waits_grow_with_quick_deaths_and_a_burnt_budget_still_starts_again(tmp_path: Path) -> None:
    child = Child(Recipe("short", (sys.executable, "-S", "-c", ""), tmp_path / "log"))
    waits = []
    for _ in range(6):
        child.start(0.0)
        assert child.process is not None
        child.process.wait()
        assert child.died(0.05)
        waits.append(child.due - 0.05)
    assert waits == pytest.approx([0.1, 0.15, 0.35, 0.75, 1.55, 1.95])
    child.start(3.0)
    assert child.process is not None
    child.process.wait()
    assert child.died(6.0)
    assert child.due == pytest.approx(6.1)  # it had lived longer than starts are apart
    child.start(10.0)
    assert child.process is not None
    child.process.wait()
    assert child.died(100.0)
    assert child.due == pytest.approx(100.1)  # it had been healthy: the waits begin anew
    child.deaths = [100.0] * BUDGET
    child.start(100.2)
    child.process.wait()
    assert child.died(100.3)
    assert child.burning
    assert child.due == pytest.approx(130.3)


def test_a_log_that_has_grown_large_is_put_aside_at_a_start_and_two_are_kept(tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = Child(Recipe("short", (sys.executable, "-S", "-c", "print('a line')"), log))
    for size, kept in ((LOG_BYTES, None), (LOG_BYTES + 1, b"1"), (LOG_BYTES + 2, b"2")):
        log.write_bytes((kept or b"0") + b"\0" * (size - 1))
        child.start(0.0)
        assert child.process is not None
        child.process.wait()
        aside = tmp_path / "log.1"
        assert (aside.read_bytes()[:1] if aside.exists() else None) == kept
        assert log.read_bytes().endswith(b"a line\n")
    assert log.read_bytes() == b"a line\n"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["log", "log.1"]


def test_a_child_gets_the_signal_and_the_descriptor(tmp_path: Path) -> None:
    code = (
        "import signal,sys,time,os; signal.signal(15, lambda *_: sys.exit(0)); os.write(int(sys.argv[1]), b'x'); time.sleep(600)"
    )
    reader, writer = os.pipe()
    child = Child(Recipe("c", (sys.executable, "-c", code, str(writer)), tmp_path / "log", (writer,)))
    child.start(0.0)
    assert os.read(reader, 1) == b"x"
    child.ask_to_end()
    assert child.process is not None
    assert child.process.wait(timeout=120) == 0
    os.close(reader)
    os.close(writer)


def test_the_run_file_of_another_life_is_not_believed(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    stale = {"pid": os.getpid(), "started": 1.0, "gateway_url": "http://x", "control_url": None}
    (tmp_path / "run" / "supervisor.json").write_text(json.dumps(stale))
    assert running(tmp_path) is None
    assert not stop(tmp_path)  # would end this test otherwise
    assert subprocess.run(["true"], check=False).returncode == 0


def test_a_copy_of_a_running_project_knows_nothing_of_its_processes_and_ends_none_of_them(tmp_path: Path) -> None:
    """`cp -r shop trial && cd trial && flyball down`: what ran was the other one."""
    original, copy = tmp_path / "shop", tmp_path / "trial"
    original.mkdir()
    owner_token(original, fresh_token)
    process = subprocess.Popen(up(original))
    wait_until(lambda: (now := running(original)) is not None and live(now.gateway_url))
    known = running(original)
    shutil.copytree(original, copy)
    assert running(copy) is None
    assert not stop(copy)
    trial = subprocess.Popen(up(copy))  # which ends what an earlier supervisor of its own has left
    wait_until(lambda: (now := running(copy)) is not None and live(now.gateway_url))
    assert known is not None
    assert all(child.lives for child in known.children.values())
    moved = copy.rename(tmp_path / "renamed")
    assert stop(moved)  # its own, wherever the directory has gone
    assert trial.wait(timeout=120) == 0
    assert running(original) == known
    assert stop(original)
    assert process.wait(timeout=120) == 0


IN_A_TERMINAL = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
"""Makes stdin the terminal of this session, as a shell's is."""


def test_a_supervisor_ends_with_the_terminal_that_it_was_started_in(tmp_path: Path) -> None:
    """A closed terminal sends SIGHUP as `kill -HUP` does; only the latter asks for fresh workers."""
    owner_token(tmp_path, fresh_token)
    ours, theirs = os.openpty()
    command = [sys.executable, "-c", IN_A_TERMINAL, *up(tmp_path)]
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    wait_until(lambda: (now := running(tmp_path)) is not None and live(now.gateway_url))
    left = running(tmp_path)
    assert left is not None
    os.close(ours)
    process.wait(timeout=120)
    wait_until(lambda: not any(child.lives for child in left.children.values()))


REPLAY = """
import sys, time
from pathlib import Path
from flyball.adapters.supervisor import GatewayProcess
with GatewayProcess(Path(sys.argv[1])) as gateway:
    print(gateway.pid, flush=True)
    time.sleep(600)
"""


def test_a_killed_replay_leaves_no_gateway_behind(tmp_path: Path) -> None:
    owner_token(tmp_path, fresh_token)
    replay = subprocess.Popen([sys.executable, "-c", REPLAY, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert replay.stdout is not None
    with replay, replay.stdout:
        gateway = known(int(replay.stdout.readline()))
        assert gateway is not None
        replay.kill()
    wait_until(lambda: not gateway.lives)
