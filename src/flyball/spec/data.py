"""`data:` where the rows come from and what their columns mean."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from flyball.spec.fields import Duration, EntryPoint, Files, Section


class SqlSpec(Section):
    url_env: str = Field(pattern=r"^[A-Z][A-Z0-9_]*$")
    """Name of the environment variable that holds the SQLAlchemy URL: secrets do not stand in this file."""
    query: str = Field(min_length=1)


class SourceSpec(Section):
    """Exactly one of them."""

    files: Files | None = None
    """Glob below the project's directory: CSV or Parquet, told from content."""
    delta: str | None = None
    """A Delta table's directory below the project's directory; neither a `%` nor a backslash in its path."""
    sql: SqlSpec | None = None
    loader: EntryPoint | None = None
    """`module:function`; called as `function(until: datetime) -> polars.DataFrame`."""

    @model_validator(mode="after")
    def exactly_one(self) -> Self:
        given = [name for name in ("files", "delta", "sql", "loader") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"exactly one of files, delta, sql, loader (found {', '.join(given) or 'none'})")
        return self


class FeatureSpec(Section):
    type: Literal["number", "integer", "boolean", "category"] | None = None
    """None: inferred from the reference snapshot."""
    missing: bool | None = None
    """None: allowed when the reference has missing values."""
    minimum: float | None = None
    maximum: float | None = None


class DataSpec(Section):
    source: SourceSpec
    time: str
    """Column: when the prediction would have been made (event time)."""
    key: str
    """Column: what a row is about; canaries are sticky by it, and it is unique per row."""
    label: str
    label_time: str | None = None
    """Column: when the label became known. Rows whose label was not yet known are not trained on."""
    label_delay: Duration | None = None
    """Without `label_time`: the label is taken as known this long after `time`. Also the age from which a window and the rows of a release count as mature."""
    positive: str | None = None
    """Binary: the label value that counts as positive; None: the larger one of two (1, true)."""
    features: dict[str, FeatureSpec] | list[str] = Field(min_length=1)

    @property
    def feature_names(self) -> tuple[str, ...]:
        return tuple(self.features)

    def feature(self, name: str) -> FeatureSpec:
        if isinstance(self.features, dict):
            return self.features[name]
        return FeatureSpec()

    @model_validator(mode="before")
    @classmethod
    def bare_feature_means_inferred(cls, value: Any) -> Any:
        """`features: {hour: , carrier: category}` are short forms of `{hour: {}, carrier: {type: category}}`."""
        if isinstance(value, dict) and isinstance(value.get("features"), dict):
            full = {k: ({} if v is None else {"type": v} if isinstance(v, str) else v) for k, v in value["features"].items()}
            return {**value, "features": full}
        return value
