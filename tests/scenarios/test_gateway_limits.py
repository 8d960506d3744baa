"""What an answer of a code model may cost is said by whoever serves it: in `serve:`, of a project and of a routing file."""

import re
from pathlib import Path

import pytest
from gateway_rig import code_package
from test_gateway_standalone import Standalone, flyball

from flyball.gateway.__main__ import _options, _parser
from flyball.wiring.workspace import open_workspace

SLOW = "models: {shop: {champion: slow}}\n"
"""It takes 1.2 s a call."""


@pytest.fixture
def slow(tmp_path) -> Path:
    code_package(tmp_path / "slow", "always slow")
    (tmp_path / "routing.yaml").write_text(SLOW + "serve: {deadline: 0.5s}\n")
    return tmp_path / "routing.yaml"


def test_a_slow_model_is_served_by_the_deadline_of_its_routing_file(slow):
    refused = flyball("gateway", "--routing", slow, "--check")
    assert refused.returncode == 2
    assert "deadline of 0.5 s passed" in refused.stdout + refused.stderr
    gateway = Standalone(slow.parent, SLOW + "serve: {deadline: 8s, memory_mb: 6144}\n")
    try:
        assert gateway.predict().status_code == 200
        (worker,) = gateway.workers()
        assert " --deadline-seconds 8 --memory-mb 6144" in " ".join(worker.cmdline())
        (model,) = worker.children()
        limits = Path(f"/proc/{model.pid}/limits").read_text()
        assert re.search(r"Max address space +6442450944 ", limits)
        gateway.file.write_text(SLOW + "serve: {deadline: 7s, memory_mb: 6144}\n")
        gateway.wait_for("what it says is served already")
        assert "serve: of routing.yaml is not what this gateway was started with: stop it and start it again." in gateway.said()
        gateway.file.write_text(SLOW + "serve: {memory_mb: 6144, deadline: 8s}\n")
        gateway.wait_for("what it says is served already", times=2)
        assert gateway.said().count("is not what this gateway was started with") == 1
    finally:
        gateway.close()


def test_the_least_memory_that_may_be_said_loads_a_small_model(slow):
    slow.write_text(SLOW + "serve: {memory_mb: 1024}\n")
    assert flyball("gateway", "--routing", slow, "--check").returncode == 0


def test_a_projects_gateways_are_started_with_its_limits(tmp_path):
    assert flyball("init", "shop", cwd=tmp_path).returncode == 0
    written = tmp_path / "shop" / "flyball.yaml"
    written.write_text(written.read_text().replace("serve: {", "serve: {deadline: 7.5s, memory_mb: 8192, max_body_mb: 32, "))
    layout = open_workspace(tmp_path / "shop")._layout()
    given = _options(_parser().parse_args(["--state-dir", ".", "--worker", "0", *layout.gateway_arguments]))
    assert (given.limits.deadline_seconds, given.limits.memory_bytes, given.max_body_bytes) == (7.5, 8 * 1024**3, 32 * 1024**2)
