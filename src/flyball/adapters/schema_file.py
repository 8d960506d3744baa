"""schema.yaml: what the features look like, read with every fault in it, and added to."""

from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml

from flyball.adapters.durable import project_mode, replace_file
from flyball.adapters.schema_text import begun, content_of, with_features
from flyball.errors import DataError
from flyball.records.signature import ColumnType, Extra, Unknown

T = TypeVar("T", bound=msgspec.Struct)


class Outside(StrEnum):
    """What becomes of a number outside of what training saw."""

    AS_TRAINED = "as_trained"
    """The model takes it as it is; it counts as drift."""
    REFUSE = "refuse"
    """The request is refused."""
    FLAG = "flag"
    """As trained, and the answer says so."""


class ColumnSchema(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One feature in schema.yaml."""

    type: ColumnType
    missing: bool = False
    minimum: float | None = None
    maximum: float | None = None
    categories: tuple[str, ...] | None = None
    unknown: Unknown | None = None
    """None: as the file says for all."""
    outside: Outside | None = None
    """Likewise."""


Columns = dict[str, ColumnSchema]
"""Feature → what it looks like, in the order of the signature."""


class Schema(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The whole of schema.yaml."""

    features: Columns
    unknown: Unknown = Unknown.AS_TRAINED
    outside: Outside = Outside.AS_TRAINED
    extra: Extra = "refuse"

    @property
    def of_data(self) -> Columns:
        """What training depends on: without the rules that only requests meet."""
        return {name: msgspec.structs.replace(column, unknown=None, outside=None) for name, column in self.features.items()}

    @property
    def of_requests(self) -> list[Any]:
        """What only requests meet: changing it makes another package of the same trained model."""
        outside = [self.outside, {name: column.outside for name, column in self.features.items() if column.outside}]
        ranges = [] if outside == [Outside.AS_TRAINED, {}] else [outside]  # what says nothing of it stays as it was packaged
        return [
            self.extra,
            self.unknown,
            {name: column.unknown for name, column in self.features.items() if column.unknown},
            *ranges,
        ]


def types_in(path: Path) -> dict[str, ColumnType]:
    """Feature → its type, by the schema in `path`; empty without the file. Raises DataError."""
    return {name: column.type for name, column in read_schema(path).features.items()} if path.exists() else {}


def read_schema(path: Path) -> Schema:
    """Raises DataError with the first fault of each section."""
    unreadable = {
        "expected": "features: with a type for each",
        "next_step": f"mend it, or delete {path.name} and let it be inferred anew",
    }
    try:
        content = content_of(path.read_bytes().decode("utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        words = " ".join(str(error).split())[:200]
        raise DataError(f"{path.name} cannot be read: {words}", **unreadable) from error
    columns: Any = content.get("features") if isinstance(content, dict) else None
    if not isinstance(columns, dict):
        raise DataError(f"{path.name} cannot be read: it has no section features", **unreadable)
    faults: list[DataError] = []
    whole = _kept(faults, "", {**content, "features": {}}, Schema)
    features = {str(name): _kept(faults, f"features.{name}: ", value, ColumnSchema) for name, value in columns.items()}
    if whole is None or faults:
        raise _together(path.name, faults)
    return msgspec.structs.replace(whole, features=features)


def add_features(path: Path, added: Columns) -> None:
    """To the file, or begin it; it is replaced as a whole or not at all. Raises DataError, StoreUnavailable."""
    features = msgspec.to_builtins(added)
    text: str | None
    if path.exists():
        text = with_features(path.read_bytes().decode("utf-8"), features)
    else:
        empty = Schema(features={})
        text = begun({"unknown": str(empty.unknown), "extra": empty.extra, "features": features})
    if text is None:
        raise DataError(f"{path.name} lacks the features {', '.join(added)}, and is written so that they cannot be added to it",
                        expected="features: with a line for each", next_step="add them by hand")  # fmt: skip
    # Where it is a link, what it leads to.
    replace_file(path.resolve(), text.encode(), project_mode(path.parent))


def _together(name: str, faults: list[DataError]) -> DataError:
    if len(faults) == 1:
        return faults[0]
    lines = (f"  {fault.message.removeprefix(f'{name}: ')}" for fault in faults)
    return DataError(f"{name} has {len(faults)} faults:\n" + "\n".join(lines))


def _kept(faults: list[DataError], place: str, value: Any, kind: type[T]) -> T | None:
    """A section of the file; one that is none goes to `faults`."""
    try:
        return _part(place, value, kind)
    except DataError as fault:
        faults.append(fault)
        return None


def _part(place: str, value: Any, kind: type[T]) -> T:
    """A section of the file; what is not one is named with its place. Raises DataError."""
    try:
        return msgspec.convert(value, type=kind, strict=False)
    except msgspec.ValidationError as error:
        known = [field.name for field in msgspec.structs.fields(kind)]
        near = (
            [hit for key in value for hit in get_close_matches(str(key), known, n=1) if hit != key]
            if isinstance(value, dict)
            else []
        )
        raise DataError(
            f"schema.yaml: {place}{error}", expected=_choices(str(error)), next_step=f"did you mean {near[0]!r}?" if near else ""
        ) from error


def _choices(fault: str) -> str:
    """The values that a key takes, where msgspec only says that it does not take this one."""
    known = (
        (("$.type", ColumnType), ("$.unknown", Unknown), ("$.outside", Outside)) if fault.startswith("Invalid enum value") else ()
    )
    return next((", ".join(kind) for place, kind in known if place in fault), "")
