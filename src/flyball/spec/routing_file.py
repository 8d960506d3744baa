"""The routing file of a gateway without a control plane: written by hand, and read with every fault of its keys told at once."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator

from flyball.errors import Fault, SpecError
from flyball.spec import tree, words
from flyball.spec.capture import SampleSpec
from flyball.spec.faults import did_you_mean
from flyball.spec.fields import Name, Section, Share, Span, parse_share
from flyball.spec.serve import LimitsSpec


class PackageSpec(Section):
    """One package and how it is served."""

    package: str = Field(min_length=1)
    """The directory; relative to the file that names it."""
    threshold: Share | None = None
    """Binary only; None: the model's."""
    version: int | None = Field(default=None, ge=0)
    """What clients are told as the model's version; None: as the package says."""

    @field_validator("package")
    @classmethod
    def _can_be_a_path(cls, package: str) -> str:
        if "\0" in package:
            raise ValueError("a directory's name, which holds no NUL")
        return package


class WeighedSpec(PackageSpec):
    """A canary, or an arm of an experiment."""

    weight: Share
    """Share of keys that it answers; of an arm: of the keys that the canary leaves."""


def _spelled_out(value: Any) -> Any:
    """`packages/shop-3` is short for `{package: packages/shop-3}`."""
    return {"package": value} if isinstance(value, str) else value


Package = Annotated[PackageSpec, BeforeValidator(_spelled_out)]


def _one_rule(value: Any) -> Any:
    """One fault for whatever is wrong with it, and not one for each form that it might have had."""
    share = parse_share(value["sample"]) if isinstance(value, Mapping) and set(value) == {"sample"} else None
    if isinstance(share, float) and 0.0 < share <= 1.0:
        return SampleSpec(sample=share)
    if value not in ("keep", "hash", "drop"):
        raise ValueError("keep, hash, drop or {sample: 10%}")
    return value


_CAPTURE = "a section with fields and keys, or for the whole file with keep"


def _said(wanted: str) -> BeforeValidator:
    """Of a key that may be left out: with nothing behind it, what it was to keep out of captures may have been forgotten."""

    def is_there(value: Any) -> Any:
        if value is None:
            raise ValueError(wanted)
        return value

    return BeforeValidator(is_there)


class RoutedCapture(Section):
    """What is kept of one model's requests where it differs from what its packages say."""

    fields: dict[str, Annotated[Literal["keep", "hash", "drop"] | SampleSpec, BeforeValidator(_one_rule)]] = {}
    """In place of the packages' rules for these features; for the others those hold."""
    keys: Annotated[Literal["keep", "hash", "drop"] | None, _said("keep, hash or drop")] = None
    """None: as the packages say."""


class ModelRouting(Section):
    """Who answers one model's requests."""

    champion: Package
    canary: WeighedSpec | None = None
    arms: list[WeighedSpec] = []
    """An A/B experiment; the champion answers the rest."""
    shadow: list[Package] = []
    fallback: Package | None = None
    """Answers where the champion cannot; None: its requests are refused then."""
    threshold: Share | None = None
    """Of every package that does not state its own; None: 0.5."""
    capture: Annotated[RoutedCapture | None, _said(_CAPTURE)] = None
    """None: as the packages say."""

    @model_validator(mode="after")
    def _arms_share_what_is_there(self) -> Self:
        total = sum(arm.weight for arm in self.arms)
        if total > 1.0 + 1e-9:  # ten arms of 0.1 are not exactly 1
            raise ValueError(f"arms whose weights are at most 1 together (they are {total:.4g})")
        return self


class SegmentsSpec(Section):
    """Of the records of all models, which lie in the same segments."""

    keep: Span
    """How long they stay on the disk."""


class RoutingSpec(Section):
    models: dict[Name, ModelRouting] = Field(min_length=1)
    capture: Annotated[SegmentsSpec | None, _said(_CAPTURE)] = None
    """None: segments stay for ever."""
    serve: LimitsSpec = LimitsSpec()
    """Of all models; taken when the gateway starts."""


_WANTED = {
    "models": "a section with one entry for each model",
    "champion": "the directory of a package, such as packages/shop-3",
    "package": "the directory of a package, such as packages/shop-3",
    "canary": "a section with package and weight",
    "fallback": "the directory of a package, such as packages/shop-3",
    "capture": _CAPTURE,
    "serve": "a section with max_body_mb, deadline and memory_mb",
    "keep": "how long segments stay, such as 30d",
    "weight": "the share of keys that it answers, such as 5% or 0.05",
}
_SECTIONS = (PackageSpec, WeighedSpec, ModelRouting, RoutedCapture, SampleSpec, SegmentsSpec, LimitsSpec, RoutingSpec)


def parse_routing(text: str, *, name: str) -> tuple[RoutingSpec, Mapping[tree.Path, int]]:
    """What `text` declares, and the line of each key. Raises SpecError with every fault in it."""
    read = tree.read_tree(text)
    if not isinstance(read.value, Mapping):
        missing = Fault("(whole file)", words.found(read.value), "models: with one entry for each model")
        raise SpecError(read.faults or (missing,), file=name)
    faults = list(read.faults)
    try:
        spec = RoutingSpec.model_validate(read.value)
    except ValidationError as error:
        refused = {fault.path for fault in faults}
        found = [_fault(item, read) for item in error.errors(include_url=False)]
        faults += [fault for fault in found if fault.path not in refused]
    if faults:
        raise SpecError(faults, file=name)
    return spec, read.lines


def keys() -> tuple[str, ...]:
    """Every key that a routing file may have."""
    return tuple(dict.fromkeys(key for section in _SECTIONS for key in section.model_fields))


def _fault(item: Mapping[str, Any], read: tree.Tree) -> Fault:
    path = tuple(part for part in item["loc"] if part != "[key]")
    place, line = tree.shown(path), _line(path, read.lines)
    if item["type"] == "missing":
        return Fault(place, f"nothing{line}", _WANTED[str(path[-1])])
    if item["type"] == "extra_forbidden":
        known = _known_beside(path)
        return Fault(place, f"an unknown key{line}", f"one of {', '.join(known)}", did_you_mean(path[-1], known))
    value = path[-1] if "[key]" in item["loc"] else item["input"]
    expected = _WANTED.get(str(path[-1])) if item["type"].startswith("model_") else None
    return Fault(place, f"{words.found(value)}{line}", expected or words.expected(item), words.hint_for_value(value, [item]))


def _known_beside(path: tree.Path) -> list[str]:
    """The keys of the section in which `path` stands."""
    if len(path) == 1:
        return list(RoutingSpec.model_fields)
    if path[0] == "capture":
        return list(SegmentsSpec.model_fields)
    if path[0] == "serve":
        return list(LimitsSpec.model_fields)
    if len(path) == 3:
        return list(ModelRouting.model_fields)
    if path[2] == "capture":
        return list(RoutedCapture.model_fields)
    return list((WeighedSpec if path[2] in ("canary", "arms") else PackageSpec).model_fields)


def _line(path: tree.Path, lines: Mapping[tree.Path, int]) -> str:
    while path and path not in lines:
        path = path[:-1]
    return f" (line {lines[path]})" if path else ""
