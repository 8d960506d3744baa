"""A Delta table of others is read whole, and what they deleted is not, whatever its directory is called."""

import json
import struct
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import write_deltalake

from flyball.adapters import delta_files

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
FRAME = pl.DataFrame({"x": range(40), "town": ["Oslo"] * 20 + ["New York"] * 10 + ["é%1"] * 10})


def z85(raw: bytes) -> str:
    words = struct.unpack(f">{len(raw) // 4}I", raw)
    return "".join(DIGITS[word // 85**place % 85] for word in words for place in (4, 3, 2, 1, 0))


def delete(table: Path, rows: tuple[int, int, int, int]) -> None:
    """As Spark does: the rows stay in their file, and a deletion vector (a roaring bitmap, inline) names them."""
    vector = z85(struct.pack("<IQIIIHHI4H", 1681511377, 1, 0, 12346, 1, 0, len(rows) - 1, 16, *rows))
    log = table / "_delta_log" / f"{0:020d}.json"
    actions: list[dict[str, Any]] = [json.loads(line) for line in log.read_text().splitlines()]
    (added,) = (each["add"] for each in actions if "add" in each)
    removed = {"path": added["path"], "dataChange": True, "deletionTimestamp": added["modificationTime"], "size": added["size"]}
    described = {"storageType": "i", "pathOrInlineDv": vector, "sizeInBytes": 40, "cardinality": len(rows)}
    features = {"readerFeatures": ["deletionVectors"], "writerFeatures": ["deletionVectors"]}
    for each in actions:
        if "protocol" in each:
            each["protocol"] = {"minReaderVersion": 3, "minWriterVersion": 7, **features}
    log.write_text("\n".join(map(json.dumps, actions)))
    later = [{"remove": removed}, {"add": {**added, "deletionVector": described}}]
    log.with_name(f"{1:020d}.json").write_text("\n".join(map(json.dumps, later)))


@pytest.mark.parametrize("name", ["table", "my tables é"])
def test_partitions_and_deleted_rows_are_as_their_writer_meant_them(tmp_path: Path, name: str) -> None:
    write_deltalake(str(tmp_path / name / "by town"), FRAME, partition_by=["town"])
    assert delta_files.read(tmp_path / name / "by town").sort("x").select(FRAME.columns).equals(FRAME)
    write_deltalake(str(tmp_path / name / "whole"), FRAME)
    delete(tmp_path / name / "whole", (3, 4, 7, 11))
    assert delta_files.read(tmp_path / name / "whole")["x"].to_list() == [x for x in range(40) if x not in {3, 4, 7, 11}]
    assert delta_files.read(tmp_path / name / "whole", 0).equals(FRAME)
