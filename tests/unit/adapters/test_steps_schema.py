"""What schema.yaml says, and what becomes of it from run to run."""

from pathlib import Path

import numpy as np
import polars as pl
from projects import Told, project, request, rows, spec

from flyball.adapters.steps import run_steps
from flyball.records import codec
from flyball.records.jobs import StepResult
from flyball.records.signature import Signature

FRAME = rows().with_columns(humidity=pl.Series(np.linspace(0.2, 0.9, 600)))
WITH_HUMIDITY = spec(data={"features": ["hour", "wind", "carrier", "humidity"]})


def validated(results: tuple[StepResult, ...]) -> StepResult:
    return next(result for result in results if result.step == "validate")


def test_one_dirty_value_of_a_feature_that_came_later_is_one_row_set_aside(tmp_path: Path) -> None:
    directory = project(tmp_path / "p", frame=FRAME)
    run_steps(request(directory), Told())
    told = Told()
    run_steps(request(directory, WITH_HUMIDITY), told)
    assert "schema.yaml now has 'humidity' (number), as the rows look: it is yours to edit" in [line.words for line in told]
    texts = pl.when(pl.int_range(pl.len()) == 7).then(pl.lit("NA")).otherwise(pl.col("humidity").cast(pl.String))
    FRAME.with_columns(humidity=texts).write_parquet(directory / "rows.parquet")
    found = validated(run_steps(request(directory, WITH_HUMIDITY), Told())).values
    assert found["failures"] == ["id 'f7': humidity is not of type number ('NA')"]
    assert codec.revive(found["signature"], Signature).columns[3].type == "number"


def test_a_number_beyond_float32_is_one_row_set_aside_and_the_run_succeeds(tmp_path: Path) -> None:
    large = pl.when(pl.int_range(pl.len()) == 7).then(pl.lit(1e300)).otherwise("wind")
    results = run_steps(request(project(tmp_path / "p", frame=FRAME.with_columns(wind=large))), Told())
    assert results[-1].step == "package"
    assert validated(results).values["failures"] == ["id 'f7': wind is not a finite float32 (1e+300)"]


def test_codes_that_a_person_calls_a_category_in_schema_yaml_get_their_zeros_back(tmp_path: Path) -> None:
    directory = project(tmp_path / "p")
    codes = FRAME.with_columns(pl.col("carrier").replace({"AA": "01234", "B6": "12345", "UA": "00501"}))
    codes.with_columns(pl.col("at").dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")).write_csv(directory / "rows.csv", quote_style="never")
    declared = spec(data={"source": {"files": "rows.csv"}})
    run_steps(request(directory, declared), Told())
    file = directory / "schema.yaml"
    assert "carrier: {type: integer}" in file.read_text()
    file.write_text(file.read_text().replace("carrier: {type: integer}", "carrier: {type: category}"))
    found = validated(run_steps(request(directory, declared), Told())).values["signature"]
    assert codec.revive(found, Signature).columns[2].categories == ("00501", "01234", "12345")
