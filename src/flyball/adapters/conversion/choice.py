"""From the trained estimator to the form that is served: the fastest data format that is proven equal; code where there is none, or where it is clearly faster."""

from typing import Any, NamedTuple

from flyball.adapters.conversion.candidates import Variant, candidates
from flyball.adapters.conversion.comparison import Compared, difference
from flyball.adapters.conversion.input_names import readable
from flyball.adapters.conversion.timing import MANY_ROWS, Timing, faster_as_trained, fastest, timed
from flyball.adapters.runtimes import Model, model_of, open_model
from flyball.records.signature import Signature
from flyball.records.unit import Format

_PART = 120
"""Characters of a long reason that are told from its beginning, and as many from its end."""


class Served(NamedTuple):
    """The model in the form that is served."""

    format: Format
    content: bytes
    run: Model
    parity: float
    """Largest difference of any score to the estimator; regression: as a share of the label's scale."""
    rows: int
    """That were compared."""
    words: tuple[str, ...]
    """Why not the forms before it, how fast it and the others are, and what the estimator itself refuses."""
    timing: Timing | None = None
    """None: code, which is served as it was trained."""
    trained: Timing | None = None
    """Of the estimator in this process, without a worker's pipe."""
    compared_speeds: str = ""
    """What was timed, in words."""
    otherwise: "Served | None" = None
    """Of code that is served because it is faster: the data format that is proven, for where the code turns out to need its project."""


class _Bound(NamedTuple):
    compared: Compared
    tolerance: float
    scale: float


class _Proven(NamedTuple):
    format: Format
    name: str
    content: bytes
    model: Model
    parity: float


def convert(estimator: Any, pickled: bytes, signature: Signature, compared: Compared, tolerance: float, scale: float) -> Served:
    """Of each data format the first variant that answers like `estimator` within `tolerance` on all of `compared`; of those the fastest.

    Code, where none does, and where it is faster than that one: it is its own proof, measured all the same.
    """
    reasons: list[str] = []
    found = [
        _first_proven(kind, variants, signature, _Bound(compared, tolerance, scale), reasons)
        for kind, variants in candidates(estimator, signature)
    ]
    proven = [each for each in found if each is not None]
    if not proven:
        return _as_trained(pickled, signature, compared, scale, tuple(reasons))
    timings, trained = timed({each.name: each.model for each in proven}, model_of(estimator, signature), compared.frame)
    chosen = proven[fastest([timings[each.name] for each in proven])]
    speeds = _words(chosen.name, timings, trained)
    data = Served(
        chosen.format,
        chosen.content,
        chosen.model,
        chosen.parity,
        compared.frame.height,
        (*reasons, speeds, *compared.refused),
        timings[chosen.name],
        trained,
        speeds,
    )
    if not faster_as_trained(timings[chosen.name], trained):
        return data
    why = f"{speeds}: served as code, which is faster at both"
    return _as_trained(pickled, signature, compared, scale, (*reasons, why))._replace(otherwise=data)


def _as_trained(pickled: bytes, signature: Signature, compared: Compared, scale: float, reasons: tuple[str, ...]) -> Served:
    model = open_model(Format.CODE, pickled, signature)
    parity = compared.apart(model(compared.frame), scale)
    return Served(Format.CODE, pickled, model, parity, compared.frame.height, (*reasons, *compared.refused))


def _first_proven(
    kind: Format, variants: tuple[Variant, ...], signature: Signature, bound: _Bound, reasons: list[str]
) -> _Proven | None:
    """Why not the ones before it goes into `reasons`."""
    differed = False
    for name, make, finer in variants:
        if finer and not differed:
            continue
        try:
            content = make()
            model = open_model(kind, content, signature)
            parity = difference(model, bound.compared, bound.scale)
        except Exception as error:  # noqa: BLE001 - converters and runtimes raise whatever they like; the next form is tried and the reason told
            reasons.append(f"{name}: {type(error).__name__}: {_shortened(readable(' '.join(str(error).split())))}")
            continue
        if parity <= bound.tolerance:
            return _Proven(kind, name, content, model, parity)
        differed = True
        reasons.append(f"{name}: differs by {parity:.2g} from the trained model, more than {bound.tolerance:g}")
    return None


def _shortened(words: str) -> str:
    """Converters begin with what they tried and end with why not."""
    return words if len(words) <= 2 * _PART + 3 else f"{words[:_PART].rstrip()} … {words[-_PART:].lstrip()}"


def _words(chosen: str, timings: dict[str, Timing], trained: Timing) -> str:
    def both(timing: Timing) -> str:
        return f"{_us(timing.one_row_us)} and {_us(timing.many_rows_us)}"

    others = "".join(f", {name} {both(timing)}" for name, timing in timings.items() if name != chosen)
    return f"one row and {MANY_ROWS} take {chosen} {both(timings[chosen])}{others}, the trained model {both(trained)}"


def _us(value: float) -> str:
    return f"{value:,.0f} µs" if value < 10_000 else f"{value / 1000:,.0f} ms"
