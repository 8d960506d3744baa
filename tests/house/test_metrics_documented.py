"""Every metric is in the reference, and dashboards and alerts ask only for metrics that a gateway or the control process has."""

import json
import re
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import prometheus_client
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from flyball.control.reports import StatusReport
from flyball.gateway.capture_writer import NoCapture
from flyball.gateway.keepers import Keepers
from flyball.gateway.metrics import Metrics
from flyball.gateway.runtimes.contract import CodeLimits
from flyball.gateway.scraping import exposition_of
from flyball.gateway.tables import Tables
from flyball.gateway.units import Shelf
from flyball.web import metrics as control

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference" / "metrics.md"
ALERTS = ROOT / "deploy" / "prometheus" / "flyball-alerts.yml"
DASHBOARDS = sorted((ROOT / "deploy" / "grafana").glob("*.json"))


STATUS = StatusReport(
    project="shop", model="shop", at=datetime(2026, 3, 1, tzinfo=UTC), controller_alive=True, champion_unit=None, champion_version=None,
    champion_since=None, release=None, gateways=(), windows=(), findings=(), approvals=(), jobs=(), ledger_seq=1, ledger_hash="", capture_lost=0,
)  # fmt: skip


def exposed() -> dict[str, str]:
    """Family → type, as a scrape tells them."""
    prometheus_client.disable_created_metrics()  # as the gateway itself does
    metrics = Metrics(NoCapture())
    metrics.watch_suspension(lambda: False)
    metrics.watch_shadows(lambda: 0)
    nowhere = Path("nowhere")
    metrics.watch_tables(Tables(nowhere, Shelf(CodeLimits()), 1, lambda _: None, Keepers(nowhere, bytes)))
    text = exposition_of({"0": metrics.exposition().decode()}).decode() + control.exposition(STATUS).decode()
    return {family.name: family.type for family in text_string_to_metric_families(text)}


FAMILIES = exposed()


def samples() -> set[str]:
    """What queries may name."""
    names = set()
    for name, kind in FAMILIES.items():
        if kind == "histogram":
            names |= {f"{name}_bucket", f"{name}_sum", f"{name}_count"}
        else:
            names.add(shown(name))
    return names


def shown(name: str) -> str:
    return f"{name}_total" if FAMILIES[name] == "counter" else name


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_every_metric_is_in_the_reference(name: str) -> None:
    assert shown(name) in listed()


def listed() -> list[str]:
    rows = re.findall(r"^\| (`(?:flyball|process)_.*?) \|", REFERENCE.read_text(encoding="utf-8"), re.MULTILINE)
    return [name for row in rows for name in re.findall(r"`(\w+)`", row)]


def test_the_reference_has_no_metric_that_does_not_exist() -> None:
    assert sorted(listed()) == sorted(shown(name) for name in FAMILIES)


def queries() -> list[str]:
    rules = [rule["expr"] for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
    dashboards = [json.loads(path.read_text()) for path in DASHBOARDS]
    panels = [target["expr"] for each in dashboards for panel in each["panels"] for target in panel.get("targets", ())]
    variables = [variable["query"] for each in dashboards for variable in each["templating"]["list"]]
    return [*rules, *panels, *variables]


def test_dashboard_and_alerts_ask_for_metrics_that_exist() -> None:
    asked = {name for query in queries() for name in re.findall(r"\b(?:flyball|process)_[a-z_]+", query)}
    assert len(asked) > 20
    assert asked - samples() == set()


def test_the_dashboard_shows_and_the_alerts_cover_what_an_operator_must_not_miss() -> None:
    rules = {rule["alert"] for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]}
    assert {"FlyballCaptureLost", "FlyballErrors", "FlyballCircuitOpen", "FlyballWorkerDown", "FlyballTableRefused"} <= rules
    assert {"FlyballControlUnreachable", "FlyballControlStands", "FlyballFinding", "FlyballQuestion", "FlyballBreaker"} <= rules
    asked = {name for query in queries() for name in re.findall(r"\bflyball_[a-z_]+", query)}
    assert {name for name in samples() if name.startswith("flyball_") and not name.endswith(("_sum", "_count"))} - asked == set()


def test_what_is_asked_of_predictions_is_asked_of_every_door_that_gives_some() -> None:
    doors = {each for query in queries() for each in re.findall(r'door=~"([^"]+)"', query)}
    assert doors == {"predict|infer|grpc_infer"}


def test_dashboard_and_alerts_come_with_an_installed_package_where_the_docs_say() -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["shared-data"] == {"deploy": "share/flyball"}
    assert "sys.prefix + '/share/flyball'" in (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def test_names_follow_the_conventions_of_prometheus() -> None:
    for name, kind in FAMILIES.items():
        assert not name.endswith(("_total", "_ms", "_minutes", "_kb", "_mb")), (
            f"{name}: base units, and no suffix of the library's own"
        )
        assert kind in ("counter", "gauge", "histogram"), name
