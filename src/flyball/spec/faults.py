"""Faults that concern several fields together. They are looked for in the raw tree, so that a wrong field elsewhere hides none of them."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from difflib import get_close_matches
from typing import Any

from flyball.spec.conditions import check_condition
from flyball.spec.fields import format_duration
from flyball.spec.limit_faults import limit_faults
from flyball.spec.phases import phase_faults
from flyball.spec.policies import BINARY_ALONE, FITS
from flyball.spec.project import CLASSIFICATION, REGRESSION
from flyball.spec.raw import Cross, Raw, duration_of, items_of, section_of, share_of
from flyball.spec.slice_conditions import compile_slice
from flyball.spec.train_faults import train_faults
from flyball.spec.tree import Path

_METRICS = CLASSIFICATION | REGRESSION
_SOURCES = ("files", "delta", "sql", "loader")
HIGHER = frozenset({"roc_auc", "pr_auc", "accuracy", "f1"})
"""Metrics of which more is better."""


def cross_faults(tree: Raw) -> tuple[Cross, ...]:
    """All of them, in the order of the file's sections."""
    checks = (
        _source, _columns, _tuning, _metrics, _gates, _release, _strategy, _guards, phase_faults, _slices, _capture, _keep, _policies,
        _threshold, limit_faults,
    )  # fmt: skip
    return tuple(fault for check in checks for fault in check(tree))


def _source(tree: Raw) -> Iterator[Cross]:
    source, path = section_of(tree, "data", "source"), ("data", "source")
    given = [name for name in _SOURCES if source.get(name) is not None]
    if isinstance(section_of(tree, "data").get("source"), Mapping) and len(given) != 1:
        yield Cross(path, " and ".join(given) or "none of them", f"exactly one of {', '.join(_SOURCES)}")
    for name in ("files", "delta"):
        place = source.get(name)
        if isinstance(place, str) and (place.startswith(("/", "~", "\\")) or ".." in place.replace("\\", "/").split("/")):
            yield Cross((*path, name), repr(place), "a place below the project's directory", "Use a loader to read elsewhere.")


def _columns(tree: Raw) -> Iterator[Cross]:
    data = section_of(tree, "data")
    features = data.get("features")
    if not isinstance(features, Mapping | list):
        return
    known = "columns known when the prediction is made"
    for role, expected in (("label", known), ("label_time", known), ("time", "numbers derived from it, such as the hour")):
        name = data.get(role)
        if isinstance(name, str) and name in features:
            place: str | int = features.index(name) if isinstance(features, list) else name
            yield Cross(("data", "features", place), f"{name!r}, which is the {role}", expected)
    for index, name in enumerate(items_of(features)):
        if name in features[:index]:
            yield Cross(("data", "features", index), f"{name!r} again", "each feature once")


def _tuning(tree: Raw) -> Iterator[Cross]:
    train = section_of(tree, "train")
    return train_faults(section_of(train, "parameters"), section_of(train, "tuning", "space"))


def _metrics(tree: Raw) -> Iterator[Cross]:
    task = tree.get("task")
    if task not in ("binary", "multiclass", "regression"):
        return
    allowed = REGRESSION if task == "regression" else CLASSIFICATION
    for path, metric in _named_metrics(tree):
        # A metric that does not exist at all is a fault of the field itself.
        if isinstance(metric, str) and metric in _METRICS - allowed:
            yield Cross(path, repr(metric), f"a metric that fits the task {task}: {', '.join(sorted(allowed))}")


def _named_metrics(tree: Raw) -> Iterator[tuple[Path, Any]]:
    evaluate, gates = section_of(tree, "evaluate"), section_of(tree, "gates")
    yield ("train", "tuning", "metric"), section_of(tree, "train", "tuning").get("metric")
    yield ("evaluate", "primary"), evaluate.get("primary")
    for index, metric in enumerate(items_of(evaluate.get("metrics"))):
        yield ("evaluate", "metrics", index), metric
    for index, gate in enumerate(items_of(gates.get("absolute"))):
        yield ("gates", "absolute", index, "metric"), section_of(gate).get("metric")
    yield ("gates", "champion", "metric"), section_of(gates, "champion").get("metric")


def _gates(tree: Raw) -> Iterator[Cross]:
    gates = items_of(section_of(tree, "gates").get("absolute"))
    bounded = {
        (str(section_of(gate).get("metric")), name)
        for gate in gates
        for name, bound in section_of(gate).items()
        if bound is not None
    }
    for index, gate in enumerate(gates):
        bounds = [name for name in ("at_least", "at_most") if section_of(gate).get(name) is not None]
        if not isinstance(gate, Mapping):
            continue
        if len(bounds) != 1:
            yield Cross(("gates", "absolute", index), " and ".join(bounds) or "no bound", "exactly one of at_least, at_most")
        elif isinstance(metric := section_of(gate).get("metric"), str) and metric in _METRICS:
            meant = "at_least" if metric in HIGHER else "at_most"
            # Beside the one that is meant the other is a check for what is too good to be true, such as a label among the features.
            if bounds != [meant] and (metric, meant) not in bounded:
                found = f"{bounds[0]} with {metric}, of which {'more' if metric in HIGHER else 'less'} is better"
                yield Cross(("gates", "absolute", index, bounds[0]), found, meant, f"did you mean {meant}?")


def _release(tree: Raw) -> Iterator[Cross]:
    release = section_of(tree, "release")
    before = 0.0
    for index, step in enumerate(items_of(release.get("steps"))):
        path: Path = ("release", "steps", index)
        share = share_of(section_of(step).get("traffic"))
        if share is None:
            continue
        if not before < share < 1.0:
            limits = f"more than {before:.4g} (the step before) and less than 1" if index else "more than 0 and less than 1"
            yield Cross((*path, "traffic"), repr(step["traffic"]), limits, "Canary steps grow; full traffic follows by itself.")
        before = max(before, share)


def _strategy(tree: Raw) -> Iterator[Cross]:
    """What a strategy asks of the rest of its section."""
    release = section_of(tree, "release")
    strategy, steps, guards = (release.get(key) for key in ("strategy", "steps", "guards"))
    count = len(items_of(steps))
    if strategy == "blue_green" and count:
        yield Cross(("release", "steps"), f"{count} with strategy blue_green", "no steps", "All traffic moves at once.")
    if strategy in ("ab", "bandit"):
        if steps is not None and count != 1:
            yield Cross(("release", "steps"), f"{count} with strategy {strategy}", "one step")
        if not any(section_of(each).get("metric") == "reward" for each in items_of(guards)):
            hint = "Add to release.guards: {metric: reward, between: [0, 25]}, with what one prediction can earn."
            yield Cross(
                ("release", "strategy"), f"{strategy!r} without a guard of the metric reward", "a reward to decide by", hint
            )
    if release.get("bandit") is not None and strategy != "bandit":
        yield Cross(
            ("release", "bandit"),
            f"a section, with strategy {strategy or 'canary'}",
            "strategy: bandit",
            "Leave it out, or change the strategy.",
        )
    no_step = strategy == "blue_green" or steps == []
    if "shadow" in release and release["shadow"] is None and no_step and release.get("labels", "before_full") == "before_full":
        expected = "a shadow or a step, or labels: while_watching or never"
        yield Cross(("release", "shadow"), "none, and no step", expected, "Otherwise nothing is judged before all traffic.")
    watch, longest = (duration_of(release.get(key)) for key in ("watch", "watch_at_most"))
    watch = timedelta(days=7) if watch is None else watch
    if longest is not None and longest < watch:
        found = f"{format_duration(longest)}, shorter than watch ({format_duration(watch)})"
        yield Cross(("release", "watch_at_most"), found, "watch ≤ watch_at_most")


def _guards(tree: Raw) -> Iterator[Cross]:
    """A guard whose parts do not fit its metric, that is declared twice, or whose slice nobody declares, so that it would wait for ever."""
    declared = [section_of(each).get("name") for each in items_of(section_of(tree, "monitor").get("slices"))]
    seen: list[tuple[Any, Any]] = []
    for index, guard in enumerate(items_of(section_of(tree, "release").get("guards"))):
        path: Path = ("release", "guards", index)
        metric, name, margin = (section_of(guard).get(key) for key in ("metric", "slice", "margin"))
        always = {"loss": "release.margin", "failure_rate": "release.max_error_rate_increase"}.get(str(metric))
        if always and name is None:
            yield Cross(
                (*path, "metric"),
                f"{metric!r}, which is always judged",
                "a further metric, or a slice",
                f"Its margin is {always}.",
            )
        elif metric is not None and (metric, name) in seen:
            yield Cross((*path, "metric"), f"{metric!r} again", "each guard once")
        seen.append((metric, name))
        yield from _between(section_of(guard), path)
        if section_of(guard).get("must") == "pass" and str(metric).endswith("_shape"):
            yield Cross(
                (*path, "must"), f"'pass' with {metric}", "not_fail", "That two distributions are the same cannot be shown."
            )
        share = share_of(margin)
        if share is not None and share < 0.0:
            yield Cross((*path, "margin"), repr(margin), "0 or more")
        if isinstance(name, str) and metric not in ("loss", None):
            yield Cross((*path, "slice"), f"{name!r} with {metric}", "a slice with the metric loss alone")
        elif isinstance(name, str) and name not in declared:
            known = ", ".join(str(each) for each in declared) or "none is declared"
            yield Cross((*path, "slice"), repr(name), f"a name of monitor.slices ({known})", did_you_mean(name, declared))


def _between(guard: Raw, path: Path) -> Iterator[Cross]:
    between, metric = guard.get("between"), guard.get("metric")
    place, expected = (*path, "between"), "[least, most] of what one prediction can earn, the lesser first"
    if metric == "reward" and between is None:
        yield Cross(place, "nothing", expected, "Such as between: [0, 25].")
    elif between is not None and metric not in ("reward", None):
        yield Cross(place, f"{between!r} with {metric}", "no between: it belongs to the metric reward")
    elif isinstance(between, list) and len(between) != 2:
        yield Cross(place, f"{len(between)} numbers", expected)
    elif isinstance(between, list):
        low, high = between
        if all(isinstance(end, int | float) for end in between) and low >= high:
            yield Cross(place, repr(between), expected)


def _slices(tree: Raw) -> Iterator[Cross]:
    """A condition over columns that do not exist, or that capture keeps out, would choose nothing for ever."""
    features, rules = section_of(tree, "data").get("features"), section_of(tree, "capture", "fields")
    seen: dict[Any, int] = {}
    for index, each in enumerate(items_of(section_of(tree, "monitor").get("slices"))):
        path: Path = ("monitor", "slices", index)
        name, where = (section_of(each).get(key) for key in ("name", "where"))
        if isinstance(name, str) and name in seen:
            yield Cross((*path, "name"), f"{name!r}, as monitor.slices[{seen[name]}]", "slices with different names")
        elif isinstance(name, str):
            seen[name] = index
        if isinstance(where, str) and where and isinstance(features, Mapping | list):
            yield from _slice(where, _types(features), rules, (*path, "where"))


def _slice(where: str, types: Mapping[str, str | None], rules: Raw, path: Path) -> Iterator[Cross]:
    try:
        used = compile_slice(where, types).features
    except ValueError as error:
        yield Cross(path, repr(where), str(error).rstrip("."))
        return
    hidden = [name for name in used if rules.get(name, "keep") != "keep"]
    if hidden:
        found = f"{', '.join(hidden)}, of which capture.fields keeps not every value"
        yield Cross(path, found, "features that are captured as they are")


def _types(features: Any) -> dict[str, str | None]:
    """Feature → the type that is declared, as text; None: it is not."""
    if not isinstance(features, Mapping):
        return {str(name): None for name in features}
    said = {str(name): each.get("type") if isinstance(each, Mapping) else each for name, each in features.items()}
    return {name: kind if isinstance(kind, str) else None for name, kind in said.items()}


def _capture(tree: Raw) -> Iterator[Cross]:
    """A rule for a column that does not exist would keep what it was meant to keep out."""
    features = section_of(tree, "data").get("features")
    if not isinstance(features, Mapping | list):
        return
    known = [str(name) for name in features]
    for name in section_of(tree, "capture", "fields"):
        if name not in known:
            path: Path = ("capture", "fields", str(name))
            is_key = name == section_of(tree, "data").get("key")
            hint = "What is kept of keys is said by capture.keys." if is_key else _did_you_mean_column(name, known)
            yield Cross(path, f"{name!r}, which is no feature", f"one of {', '.join(known)}", hint)


def _keep(tree: Raw) -> Iterator[Cross]:
    """A window must be held until it is judged: what is forgotten before could only be given up, and its labels join nothing."""
    keep, delay = duration_of(section_of(tree, "capture").get("keep")), duration_of(section_of(tree, "data").get("label_delay"))
    window = duration_of(section_of(tree, "monitor").get("window")) or timedelta(days=1)
    least = (delay or timedelta()) + 2 * window
    if keep is None or not keep or keep >= least:
        return
    waits = f"data.label_delay ({format_duration(delay)}) and " if delay else ""
    found = f"{format_duration(keep)}, shorter than {waits}two of monitor.window ({format_duration(window)})"
    hint = "" if delay else "And longer than your labels take: later ones join nothing."
    yield Cross(("capture", "keep"), found, f"{format_duration(least)} or longer", hint)


def _did_you_mean_column(word: Any, known: list[str]) -> str:
    close = get_close_matches(str(word), known, n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else ""


def _policies(tree: Raw) -> Iterator[Cross]:
    seen: dict[Any, int] = {}
    for index, policy in enumerate(items_of(tree.get("policies"))):
        path: Path = ("policies", index)
        name, when, do = (section_of(policy).get(key) for key in ("name", "when", "do"))
        if isinstance(name, str) and name in seen:
            yield Cross((*path, "name"), f"{name!r}, as policies[{seen[name]}]", "policies with different names")
        elif isinstance(name, str):
            seen[name] = index
        if isinstance(when, str) and when:
            yield from _condition(when, (*path, "when"))
        if isinstance(do, Mapping) and do.get("history") is not None and do.get("action") not in ("retrain", None):
            yield Cross((*path, "do", "history"), f"history with action {do['action']}", "history only with action: retrain")
        if isinstance(do, list):
            yield Cross(
                (*path, "do"), f"a list of {len(do)}", "one action, or a section such as {action: retrain, history: 60d}",
                "Two actions are two policies.",
            )  # fmt: skip
        yield from _action(tree, do if isinstance(do, Mapping) else {"action": do}, (*path, "do"))


def _action(tree: Raw, do: Raw, path: Path) -> Iterator[Cross]:
    """What an action needs of the rest of the file."""
    action, entrants = do.get("action"), do.get("entrants")
    if not isinstance(action, str):
        return  # told as what it is: no action
    if entrants is not None and action != "improve":
        yield Cross((*path, "entrants"), f"entrants with action {action}", "entrants only with action: improve")
    if do.get("on_faults") is True and action not in FITS:
        yield Cross(
            (*path, "on_faults"), f"on_faults with action {action}", f"one that fits something: {', '.join(sorted(FITS))}"
        )
    task, asked = tree.get("task"), [action, *(each for each in items_of(entrants) if isinstance(each, str))]
    wrong = [name for name in asked if name in BINARY_ALONE]
    if task in ("multiclass", "regression") and wrong:
        yield Cross(path, f"{wrong[0]} with task {task}", "task: binary, whose one score has a threshold to be mended",
                    "Such as do: retrain.")  # fmt: skip
    if "retune" in asked and not section_of(tree, "train").get("tuning"):
        yield Cross(path, "retune without train.tuning", "train.tuning, which says what is sought")


def _threshold(tree: Raw) -> Iterator[Cross]:
    threshold, task = section_of(tree, "serve").get("threshold"), tree.get("task")
    if threshold is not None and task in ("multiclass", "regression"):
        yield Cross(
            ("serve", "threshold"), f"{threshold!r} with task {task}", "no threshold: it divides the score of task: binary"
        )


def _condition(text: str, path: Path) -> Iterator[Cross]:
    try:
        check_condition(text)
    except ValueError as error:
        yield Cross(path, repr(text), str(error).rstrip("."))


def did_you_mean(word: Any, known: Any) -> str:
    """`did you mean …` for the closest of `known`; empty when nothing is near."""
    close = get_close_matches(str(word).strip().lower(), [str(item) for item in known], n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else ""
