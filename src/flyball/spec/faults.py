"""Faults that concern several fields together. They are looked for in the raw tree, so that a wrong field elsewhere hides none of them."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from difflib import get_close_matches
from typing import Any

from flyball.spec.conditions import check_condition
from flyball.spec.cross import Cross
from flyball.spec.fields import format_duration, parse_duration, parse_share
from flyball.spec.policies import BINARY_ALONE, FITS
from flyball.spec.project import CLASSIFICATION, REGRESSION
from flyball.spec.release import PATIENCE
from flyball.spec.slice_conditions import compile_slice
from flyball.spec.train_faults import train_faults
from flyball.spec.tree import Path

Raw = Mapping[str, Any]

_METRICS = CLASSIFICATION | REGRESSION
_SOURCES = ("files", "delta", "sql", "loader")
HIGHER = frozenset({"roc_auc", "pr_auc", "accuracy", "f1"})
"""Metrics of which more is better."""


def cross_faults(tree: Raw) -> tuple[Cross, ...]:
    """All of them, in the order of the file's sections."""
    checks = (
        _source, _columns, _tuning, _metrics, _gates, _release, _strategy, _guards, _labels_in_time, _slices, _capture, _keep, _policies,
        _threshold,
    )  # fmt: skip
    return tuple(fault for check in checks for fault in check(tree))


def _section(value: Any, *path: str) -> Raw:
    for part in path:
        value = value.get(part) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _source(tree: Raw) -> Iterator[Cross]:
    source, path = _section(tree, "data", "source"), ("data", "source")
    given = [name for name in _SOURCES if source.get(name) is not None]
    if isinstance(_section(tree, "data").get("source"), Mapping) and len(given) != 1:
        yield Cross(path, " and ".join(given) or "none of them", f"exactly one of {', '.join(_SOURCES)}")
    for name in ("files", "delta"):
        place = source.get(name)
        if isinstance(place, str) and (place.startswith(("/", "~", "\\")) or ".." in place.replace("\\", "/").split("/")):
            yield Cross((*path, name), repr(place), "a place below the project's directory", "Use a loader to read elsewhere.")


def _columns(tree: Raw) -> Iterator[Cross]:
    data = _section(tree, "data")
    features = data.get("features")
    if not isinstance(features, Mapping | list):
        return
    known = "columns known when the prediction is made"
    for role, expected in (("label", known), ("label_time", known), ("time", "numbers derived from it, such as the hour")):
        name = data.get(role)
        if isinstance(name, str) and name in features:
            place: str | int = features.index(name) if isinstance(features, list) else name
            yield Cross(("data", "features", place), f"{name!r}, which is the {role}", expected)
    for index, name in enumerate(_items(features)):
        if name in features[:index]:
            yield Cross(("data", "features", index), f"{name!r} again", "each feature once")


def _tuning(tree: Raw) -> Iterator[Cross]:
    train = _section(tree, "train")
    return train_faults(_section(train, "parameters"), _section(train, "tuning", "space"))


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
    evaluate, gates = _section(tree, "evaluate"), _section(tree, "gates")
    yield ("train", "tuning", "metric"), _section(tree, "train", "tuning").get("metric")
    yield ("evaluate", "primary"), evaluate.get("primary")
    for index, metric in enumerate(_items(evaluate.get("metrics"))):
        yield ("evaluate", "metrics", index), metric
    for index, gate in enumerate(_items(gates.get("absolute"))):
        yield ("gates", "absolute", index, "metric"), _section(gate).get("metric")
    yield ("gates", "champion", "metric"), _section(gates, "champion").get("metric")


def _gates(tree: Raw) -> Iterator[Cross]:
    gates = _items(_section(tree, "gates").get("absolute"))
    bounded = {
        (str(_section(gate).get("metric")), name) for gate in gates for name, bound in _section(gate).items() if bound is not None
    }
    for index, gate in enumerate(gates):
        bounds = [name for name in ("at_least", "at_most") if _section(gate).get(name) is not None]
        if not isinstance(gate, Mapping):
            continue
        if len(bounds) != 1:
            yield Cross(("gates", "absolute", index), " and ".join(bounds) or "no bound", "exactly one of at_least, at_most")
        elif isinstance(metric := _section(gate).get("metric"), str) and metric in _METRICS:
            meant = "at_least" if metric in HIGHER else "at_most"
            # Beside the one that is meant the other is a check for what is too good to be true, such as a label among the features.
            if bounds != [meant] and (metric, meant) not in bounded:
                found = f"{bounds[0]} with {metric}, of which {'more' if metric in HIGHER else 'less'} is better"
                yield Cross(("gates", "absolute", index, bounds[0]), found, meant, f"did you mean {meant}?")


def _release(tree: Raw) -> Iterator[Cross]:
    release = _section(tree, "release")
    patience = PATIENCE + (_duration(_section(tree, "data").get("label_delay")) or timedelta())
    yield from _order(release.get("shadow"), ("release", "shadow"), patience)
    before = 0.0
    for index, step in enumerate(_items(release.get("steps"))):
        path: Path = ("release", "steps", index)
        yield from _order(step, path, patience)
        share = _share(_section(step).get("traffic"))
        if share is None:
            continue
        if not before < share < 1.0:
            limits = f"more than {before:.4g} (the step before) and less than 1" if index else "more than 0 and less than 1"
            yield Cross((*path, "traffic"), repr(step["traffic"]), limits, "Canary steps grow; full traffic follows by itself.")
        before = max(before, share)


def _strategy(tree: Raw) -> Iterator[Cross]:
    """What a strategy asks of the rest of its section."""
    release = _section(tree, "release")
    strategy, steps, guards = (release.get(key) for key in ("strategy", "steps", "guards"))
    count = len(_items(steps))
    if strategy == "blue_green" and count:
        yield Cross(("release", "steps"), f"{count} with strategy blue_green", "no steps", "All traffic moves at once.")
    if strategy in ("ab", "bandit"):
        if steps is not None and count != 1:
            yield Cross(("release", "steps"), f"{count} with strategy {strategy}", "one step")
        if not any(_section(each).get("metric") == "reward" for each in _items(guards)):
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
    watch, longest = (_duration(release.get(key)) for key in ("watch", "watch_at_most"))
    watch = watch or timedelta(days=7)
    if longest is not None and longest < watch:
        found = f"{format_duration(longest)}, shorter than watch ({format_duration(watch)})"
        yield Cross(("release", "watch_at_most"), found, "watch ≤ watch_at_most")


def _guards(tree: Raw) -> Iterator[Cross]:
    """A guard whose parts do not fit its metric, that is declared twice, or whose slice nobody declares, so that it would wait for ever."""
    declared = [_section(each).get("name") for each in _items(_section(tree, "monitor").get("slices"))]
    seen: list[tuple[Any, Any]] = []
    for index, guard in enumerate(_items(_section(tree, "release").get("guards"))):
        path: Path = ("release", "guards", index)
        metric, name, margin = (_section(guard).get(key) for key in ("metric", "slice", "margin"))
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
        yield from _between(_section(guard), path)
        if _section(guard).get("must") == "pass" and str(metric).endswith("_shape"):
            yield Cross(
                (*path, "must"), f"'pass' with {metric}", "not_fail", "That two distributions are the same cannot be shown."
            )
        share = _share(margin)
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


def _labels_in_time(tree: Raw) -> Iterator[Cross]:
    """A phase that must end before the first label counts could only be given up."""
    release, delay = _section(tree, "release"), _duration(_section(tree, "data").get("label_delay"))
    if not delay or release.get("labels", "before_full") != "before_full":
        return
    steps = [_duration(_section(step).get("at_most")) for step in _items(release.get("steps"))]
    if "shadow" not in release or release["shadow"] is not None:
        allowed = _duration(_section(release, "shadow").get("at_most"))
        path: Path = ("release", "shadow", "at_most")
    else:
        given = [each for each in steps if each is not None]
        allowed = sum(given, timedelta()) if given and len(given) == len(steps) else None
        path = ("release", "steps", len(steps) - 1, "at_most")
    if allowed is not None and allowed <= delay:
        found = f"{format_duration(allowed)}, when no label counts before data.label_delay ({format_duration(delay)})"
        yield Cross(
            path,
            found,
            "longer than data.label_delay",
            "Or release.labels: while_watching, and labels are waited for in the watch.",
        )


def _order(section: Any, path: Path, patience: timedelta) -> Iterator[Cross]:
    """`at_least` is not longer than `at_most` (with the default, `patience`, for what is not said)."""
    shortest, longest = (_duration(_section(section).get(name)) for name in ("at_least", "at_most"))
    longest = longest or patience
    if shortest is not None and shortest > longest:
        found = f"{format_duration(shortest)}, longer than at_most ({format_duration(longest)})"
        yield Cross((*path, "at_least"), found, "at_least ≤ at_most")


def _slices(tree: Raw) -> Iterator[Cross]:
    """A condition over columns that do not exist, or that capture keeps out, would choose nothing for ever."""
    features, rules = _section(tree, "data").get("features"), _section(tree, "capture", "fields")
    seen: dict[Any, int] = {}
    for index, each in enumerate(_items(_section(tree, "monitor").get("slices"))):
        path: Path = ("monitor", "slices", index)
        name, where = (_section(each).get(key) for key in ("name", "where"))
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
    features = _section(tree, "data").get("features")
    if not isinstance(features, Mapping | list):
        return
    known = [str(name) for name in features]
    for name in _section(tree, "capture", "fields"):
        if name not in known:
            path: Path = ("capture", "fields", str(name))
            is_key = name == _section(tree, "data").get("key")
            hint = "What is kept of keys is said by capture.keys." if is_key else _did_you_mean_column(name, known)
            yield Cross(path, f"{name!r}, which is no feature", f"one of {', '.join(known)}", hint)


def _keep(tree: Raw) -> Iterator[Cross]:
    """A window must be held until it is judged: what is forgotten before could only be given up, and its labels join nothing."""
    keep, delay = _duration(_section(tree, "capture").get("keep")), _duration(_section(tree, "data").get("label_delay"))
    window = _duration(_section(tree, "monitor").get("window")) or timedelta(days=1)
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
    for index, policy in enumerate(_items(tree.get("policies"))):
        path: Path = ("policies", index)
        name, when, do = (_section(policy).get(key) for key in ("name", "when", "do"))
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
    task, asked = tree.get("task"), [action, *(each for each in _items(entrants) if isinstance(each, str))]
    wrong = [name for name in asked if name in BINARY_ALONE]
    if task in ("multiclass", "regression") and wrong:
        yield Cross(path, f"{wrong[0]} with task {task}", "task: binary, whose one score has a threshold to be mended",
                    "Such as do: retrain.")  # fmt: skip
    if "retune" in asked and not _section(tree, "train").get("tuning"):
        yield Cross(path, "retune without train.tuning", "train.tuning, which says what is sought")


def _threshold(tree: Raw) -> Iterator[Cross]:
    threshold, task = _section(tree, "serve").get("threshold"), tree.get("task")
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


def _share(value: Any) -> float | None:
    try:
        share = parse_share(value)
    except ValueError:
        return None
    return share if isinstance(share, float) else None


def _duration(value: Any) -> timedelta | None:
    try:
        duration: timedelta = parse_duration(value)
    except (ValueError, OverflowError):
        return None
    return duration
