"""What the packages of a routing file say of themselves, and what the file says in its place."""

from datetime import timedelta
from pathlib import Path

import pytest

from flyball.adapters.export import export_package
from flyball.adapters.packages import LINEAGE, MANIFEST, make_manifest
from flyball.adapters.standalone.routing_file import Compiled, RoutingFile
from flyball.errors import SpecError
from flyball.records import codec
from flyball.records.keeping import Keeping
from flyball.records.routing import Route
from flyball.records.signature import Column, ColumnType, Signature
from flyball.records.unit import Lineage, SnapshotRef

SIGNATURE = Signature(
    task="binary",
    columns=(Column(name="email", type=ColumnType.CATEGORY), Column(name="anzahl", type=ColumnType.NUMBER)),
    classes=("no", "yes"),
)


class Place:
    """A directory with packages and a routing file."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def package(self, name: str, content: str = "", lineage: Lineage | None = None) -> Path:
        """As it lies in a registry: with nothing beside its manifest. Without a lineage it does not say what was declared of capture."""
        root = self.directory / name
        (root / "model").mkdir(parents=True)
        (root / "model" / "model.onnx").write_text(content or name)
        (root / "signature.json").write_bytes(codec.encode(SIGNATURE))
        if lineage is not None:
            (root / LINEAGE).write_bytes(codec.encode(lineage))
        (root / MANIFEST).write_bytes(codec.encode(make_manifest(root, "onnx")))
        return root

    def exported(self, name: str, version: int, keeping: Keeping | None = None, content: str = "", keep: str = "") -> None:
        export_package(self.package(f"of-{name}", content or name), self.directory / name, version, keeping or Keeping(), keep)

    def compiled(self, text: str, more: str = "") -> Compiled:
        (self.directory / "routing.yaml").write_text(f"models:\n  shop: {text}\n{more}")
        return RoutingFile(self.directory / "routing.yaml").compiled()

    def route(self, text: str) -> Route:
        (route,) = self.compiled(text).routes
        return route

    def faults(self, text: str) -> list[str]:
        with pytest.raises(SpecError) as refused:
            self.compiled(text)
        return [str(fault) for fault in refused.value.faults]


def lineage(capture: Keeping | None) -> Lineage:
    snapshot = SnapshotRef(table="rows", version=0, content_digest="c", schema_digest="s", rows=9, since=None, until=None)
    return Lineage(
        run_key="r", mlflow_run="", git_commit=None, git_dirty=False, code_digest="c", environment_digest="e", snapshot=snapshot,
        parameters={}, seed=0, capture=capture,
    )  # fmt: skip


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


RULES = Keeping(drop=("anzahl",), hash=("email",), keys="hash")


def test_the_rules_of_a_package_are_those_of_its_route(place: Place) -> None:
    place.exported("one", 1, RULES)
    compiled = place.compiled("{champion: one}")
    assert compiled.routes[0].keeping == RULES
    assert compiled.notes == ()


def test_a_package_without_rules_costs_nothing(place: Place) -> None:
    place.exported("one", 1)
    assert place.route("{champion: one}").keeping is None


@pytest.mark.parametrize(
    "beside", ["canary: {package: two, weight: 5%}", "arms: [{package: two, weight: 5%}]", "shadow: [two]", "fallback: two"]
)
def test_the_rules_of_all_packages_of_a_model_are_united(place: Place, beside: str) -> None:
    place.exported("one", 1, Keeping(sample={"email": 0.5}, hash=("anzahl",)))
    place.exported("two", 2, RULES)
    assert place.route(f"{{champion: one, {beside}}}").keeping == RULES
    assert place.route("{champion: one}").keeping == Keeping(sample={"email": 0.5}, hash=("anzahl",))


def test_the_file_replaces_what_it_names_and_is_told_where_it_keeps_more(place: Place) -> None:
    place.exported("one", 1, RULES)
    stricter = place.compiled("{champion: one, capture: {fields: {email: drop}, keys: drop}}")
    assert stricter.routes[0].keeping == Keeping(drop=("anzahl", "email"), keys="drop")
    assert stricter.notes == ()
    looser = place.compiled("{champion: one, capture: {fields: {anzahl: {sample: 10%}}, keys: keep}}")
    assert looser.routes[0].keeping == Keeping(hash=("email",), sample={"anzahl": 0.1})
    assert looser.notes == ("shop: by this file more is captured of anzahl, the requests' keys than its packages say.",)


def test_a_rule_for_a_column_that_no_package_takes_is_refused(place: Place) -> None:
    place.exported("one", 1)
    (fault,) = place.faults("{champion: one, capture: {fields: {emial: drop}}}")
    assert fault.startswith(
        "models.shop.capture.fields.emial: found 'emial', which no package takes (line 2), expected one of email"
    )
    assert "did you mean email?" in fault


def test_a_package_of_an_earlier_release_is_told_unless_the_file_says_what_is_captured(place: Place) -> None:
    place.package("old")
    place.exported("new", 2, RULES)
    (note,) = place.compiled("{champion: old}").notes
    assert note.startswith(
        "shop: nothing is known of what is to be left out of what is captured by old, which an earlier release"
    )
    both = place.compiled("{champion: new, shadow: [old]}")
    assert both.routes[0].keeping == RULES
    assert len(both.notes) == 1
    assert place.compiled("{champion: old, capture: {}}").notes == ()


def test_a_package_that_was_never_exported_brings_the_rules_of_when_it_was_made(place: Place) -> None:
    place.package("kept", lineage=lineage(RULES))
    place.package("older", lineage=lineage(None))
    compiled = place.compiled("{champion: kept}")
    assert (compiled.routes[0].keeping, compiled.notes) == (RULES, ())
    (note,) = place.compiled("{champion: older}").notes
    assert note.startswith("shop: nothing is known of what is to be left out")


def test_segments_stay_as_long_as_the_file_says_and_a_project_that_says_otherwise_is_told(place: Place) -> None:
    place.exported("one", 1, keep="30d")
    silent = place.compiled("{champion: one}")
    assert silent.keep is None
    assert silent.notes == (
        "shop: its project keeps what is captured for 30d, here it stays for ever. Say capture: {keep: …} beside models:",
    )
    bounded = place.compiled("{champion: one}", "capture: {keep: 2w}\n")
    assert (bounded.keep, bounded.notes) == (timedelta(weeks=2), ())


def test_the_number_of_a_version_is_the_packages_unless_the_file_says_another(place: Place) -> None:
    place.exported("one", 7)
    place.package("old")
    assert place.route("{champion: one}").champion.unit.version == 7
    assert place.route("{champion: {package: one, version: 8}}").champion.unit.version == 8
    assert place.route("{champion: {package: one, version: 0}}").champion.unit.version == 0
    assert place.route("{champion: old}").champion.unit.version == 0
    assert place.route("{champion: {package: old, version: 3}}").champion.unit.version == 3


def test_two_packages_with_one_number_are_refused(place: Place) -> None:
    place.exported("one", 3)
    place.exported("other", 3)
    place.exported("same", 3, content="one")
    place.package("old")
    place.package("older")
    (fault,) = place.faults("{champion: one, canary: {package: other, weight: 5%}}")
    assert fault.startswith("models.shop.canary: found version 3, as models.shop.champion, which is another package (line 2)")
    assert "expected a number of its own: {package: …, version: N}" in fault
    assert len(place.faults("{champion: one, shadow: [{package: old, version: 3}]}")) == 1
    route = place.route("{champion: one, canary: {package: other, weight: 5%, version: 4}, shadow: [old, older], fallback: same}")
    assert [each.unit.version for each in route.units] == [3, 4, 0, 0]


def test_what_was_changed_beside_a_package_is_a_fault_of_the_file(place: Place) -> None:
    place.exported("one", 1, RULES)
    said = place.directory / "one" / "exported.json"
    said.write_bytes(said.read_bytes().replace(b"email", b"emial"))
    (fault,) = place.faults("{champion: one}")
    assert "exported.json was changed (line 2), expected what flyball export wrote" in fault
