"""What flyball.yaml says of capture, as a record of the route."""

from flyball.records.keeping import Keeping
from flyball.records.routing import RoutingTable
from flyball.spec import ProjectSpec, SampleSpec


def keeping_of(spec: ProjectSpec, standing: Keeping | None) -> Keeping | None:
    """None: everything is kept.

    A column that is no feature any more keeps the rule that it had: older units still take it, and a rollback brings them back.
    """
    rules = spec.capture.fields
    features = frozenset(spec.data.feature_names)
    before = standing or Keeping()
    drop = {name for name, rule in rules.items() if rule == "drop"} | {name for name in before.drop if name not in features}
    hashed = {name for name, rule in rules.items() if rule == "hash"} | {name for name in before.hash if name not in features}
    sample = {name: rule.sample for name, rule in rules.items() if isinstance(rule, SampleSpec) and rule.sample < 1.0}
    sample |= {name: share for name, share in before.sample.items() if name not in features}
    keeping = Keeping(
        drop=tuple(sorted(drop)), hash=tuple(sorted(hashed)), sample=dict(sorted(sample.items())), keys=spec.capture.keys
    )
    return None if keeping == Keeping() else keeping


def kept_by(table: RoutingTable | None) -> Keeping | None:
    """The rules of a project's table; None: everything is kept."""
    return table.routes[0].keeping if table is not None and table.routes else None


def kept_in_part(table: RoutingTable | None) -> frozenset[str]:
    """Columns of which some values at most are captured as they came. It goes by what gateways are told: also of those that are features no more."""
    keeping = kept_by(table)
    return frozenset() if keeping is None else frozenset((*keeping.drop, *keeping.hash, *keeping.sample))
