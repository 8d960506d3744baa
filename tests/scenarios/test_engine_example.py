"""What `flyball up` shows a person to try: a row that the champion takes, whatever its reference has of the columns."""

import json
import os
from pathlib import Path

import msgspec
import pytest
from engine_models import SIGNATURE
from engine_world import AT_ONCE, Project, spec_of

from flyball.adapters import supervisor
from flyball.control.reports import UpReport
from flyball.gateway.validation import RowReader
from flyball.records.signature import Column, ColumnType
from flyball.wiring import health
from flyball.wiring.workspace import open_workspace

HIDDEN = tuple(Column(name=f"hidden_{kind}", type=kind, minimum=None if kind == "category" else 0.5) for kind in ColumnType)


def test_columns_whose_values_nobody_keeps_are_shown_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    signature = msgspec.structs.replace(SIGNATURE, columns=(*SIGNATURE.columns, *HIDDEN))
    project = Project(tmp_path, spec_of(AT_ONCE))
    project.workshop.signatures["j-0001"] = signature  # its reference knows `x` only, as where capture.fields drops the others
    project.version()

    (tmp_path / "flyball.yaml").write_text(json.dumps(project.spec.model_dump(mode="json", exclude_unset=True)))
    workspace = open_workspace(tmp_path)
    up = supervisor.RunFile(pid=os.getpid(), started=0.0, gateway_url="http://127.0.0.1:1", control_url=None)
    monkeypatch.setattr(supervisor, "running", lambda _: up)
    monkeypatch.setattr(health, "await_serving", lambda _: "")
    monkeypatch.setattr(health, "ledger_trouble", lambda _: "")
    monkeypatch.setattr(workspace, "_world", lambda _: project.door)
    told: list[UpReport] = []
    workspace.up(detach=True, say=lambda *_: None, ready=told.append)

    row = told[0].example_row
    assert list(row) == ["x", *(column.name for column in HIDDEN)]
    assert RowReader(signature, 1).read(json.dumps({"rows": [row]}).encode()).n == 1
    assert told[0].example_label == "yes"
