"""What flyball.yaml says of capture, as a record of the route."""

from collections.abc import Sequence

from flyball.capture.strictest import of_columns, strictest
from flyball.records.keeping import Keeping
from flyball.records.routing import RoutingTable
from flyball.spec import ProjectSpec, SampleSpec


def keeping_of(spec: ProjectSpec, standing: Keeping | None = None, packaged: Sequence[Keeping] = ()) -> Keeping | None:
    """None: everything is kept. `standing`: the rules that gateways were told last; `packaged`: those that packages bring along.

    A column that is no feature any more keeps the rule that it had: older units still take it, and a rollback brings them back. Also where no gateway was
    ever told the rule, since it left flyball.yaml before the project was first served.
    """
    rules = spec.capture.fields
    said = Keeping(
        drop=tuple(name for name, rule in rules.items() if rule == "drop"),
        hash=tuple(name for name, rule in rules.items() if rule == "hash"),
        sample={name: rule.sample for name, rule in rules.items() if isinstance(rule, SampleSpec) and rule.sample < 1.0},
        keys=spec.capture.keys,
    )
    features = frozenset(spec.data.feature_names)
    before = [of_columns(each, frozenset(each.columns) - features) for each in (standing, *packaged) if each is not None]
    keeping = strictest((said, *before))
    return None if keeping == Keeping() else keeping


def kept_by(table: RoutingTable | None) -> Keeping | None:
    """The rules of a project's table; None: everything is kept."""
    return table.routes[0].keeping if table is not None and table.routes else None


def kept_in_part(table: RoutingTable | None) -> frozenset[str]:
    """Columns of which some values at most are captured as they came. It goes by what gateways are told: also of those that are features no more."""
    keeping = kept_by(table)
    return frozenset() if keeping is None else frozenset((*keeping.drop, *keeping.hash, *keeping.sample))
