"""What departed, in words that name both numbers."""

from flyball.monitoring.calibration import Calibration


def told(reference: Calibration, effects: dict[str, float], losses: tuple[float, float], *, back: bool = False) -> str:
    """`effects`: stream → mean departure since the change, strongest first. `losses`: mean loss since then, and what such answers brought on the holdout.
    `back`: the change is the end of an earlier one."""
    found, expected = losses
    said = [
        f"mean loss {found:.3f} where such answers brought {expected:.3f} on the holdout"
        if name == "loss"
        else _departed(reference, name, effect)
        for name, effect in effects.items()
    ]
    if "loss" not in effects:
        said.append(f"mean loss {found:.3f}, on the holdout {expected:.3f}")
    begin = (
        "labels follow the answers again as on the holdout, or nearly so"
        if back
        else "labels do not follow the answers as they did"
    )
    return f"{begin}: " + "; ".join(said)


def _departed(reference: Calibration, name: str, effect: float) -> str:
    where = _where(reference, int(name.removeprefix("score "))) if name.startswith("score ") else ""
    if reference.task == "regression":
        side = "above" if effect > 0 else "below"
        return f"{where}labels lie {abs(effect) * reference.scale:.4g} further {side} the answers than on the holdout"
    often = f"{100 * abs(effect):.1f} points {'more' if effect > 0 else 'less'} often than such answers were on the holdout"
    if name.startswith("class "):
        return f"{name} comes {100 * abs(effect):.1f} points {'more' if effect > 0 else 'less'} often than its probabilities say"
    if reference.task == "multiclass":
        return f"{where}the most probable class is right {often}"
    return f"{where}labels are positive {often}"


def _where(reference: Calibration, number: int) -> str:
    edges = reference.edges
    what = "confidences" if reference.task == "multiclass" else "answers"
    if len(edges) == 0:
        return ""
    if number == 1:
        return f"at {what} up to {edges[0]:.3g} "
    if number > len(edges):
        return f"at {what} above {edges[-1]:.3g} "
    return f"at {what} from {edges[number - 2]:.3g} to {edges[number - 1]:.3g} "
