"""Doors of a project whose ledger is empty."""

from pathlib import Path

from flyball.wiring.workspace import open_workspace

YAML = """
project: shop
model: MODEL
task: binary
data: {source: {files: rows.csv}, time: at, key: id, label: late, label_delay: 1h, features: {hour: number}}
train: {entrypoint: "pipeline:train"}
serve: {port: 0}
"""


def renamed(directory: Path, model: str) -> None:
    (directory / "flyball.yaml").write_text(YAML.replace("MODEL", model))


def test_where_nothing_was_run_yet_a_person_can_look_around(tmp_path: Path) -> None:
    renamed(tmp_path, "returns")
    workspace = open_workspace(tmp_path)
    assert workspace.status().trouble == ""
    assert {check.name: check.words for check in workspace.doctor()}["versions"] == "no version is registered yet"
