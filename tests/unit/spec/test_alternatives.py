"""Policy files of a comparison: sections in place of flyball.yaml's, and faults told where a person finds them."""

from pathlib import Path

import pytest

from flyball.errors import Conflict, NotFound, SpecError
from flyball.spec.alternatives import alternatives

SPEC = """
project: shop
model: shop
task: binary
data:
  source: {files: rows.parquet}
  time: at
  key: id
  label: bad
  label_delay: 1d
  features: {price: number}
train: {entrypoint: "pipeline:train"}
release: {watch: 3d}
policies:
  - {name: worse, when: performance.alarm, do: retrain}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "flyball.yaml").write_text(SPEC)
    return tmp_path


def faults_of(project: Path, text: str, name: str = "other.yaml") -> tuple[str, list[str]]:
    (project / name).write_text(text)
    with pytest.raises(SpecError) as caught:
        alternatives(project, (name,), project)
    return caught.value.file, [str(fault) for fault in caught.value.faults]


def test_never_has_no_policies_and_current_is_the_project(project: Path) -> None:
    never, current = alternatives(project, ("never", "current"), project)
    assert (never.name, never.spec.policies) == ("never", [])
    assert [policy.name for policy in current.spec.policies] == ["worse"]
    assert never.spec.release == current.spec.release


def test_a_file_replaces_the_sections_that_it_holds_and_no_other(project: Path) -> None:
    (project / "monthly.yaml").write_text(
        "policies: [{name: monthly, when: champion.data_age_days > 30, do: retrain}]\nmonitor: {window: 12h}\n"
    )
    (one,) = alternatives(project, ("monthly.yaml",), project)
    assert (one.name, one.words) == ("monthly", "monthly.yaml")
    assert [policy.name for policy in one.spec.policies] == ["monthly"]
    assert one.spec.monitor.window.total_seconds() == 12 * 3600
    assert one.spec.release.watch.days == 3, "of flyball.yaml"


def test_faults_of_a_file_are_told_with_its_name_its_lines_and_what_was_meant(project: Path) -> None:
    file, faults = faults_of(
        project, "polices: []\nmonitor:\n  windw: 1d\npolicies:\n  - {name: a, when: drift.alrm, do: retrain}\n"
    )
    assert file == "other.yaml"
    assert "polices: found a section that a policy file has not (line 1)" in faults[0]
    assert "did you mean policies?" in faults[0]
    assert "(line 3)" in faults[1]
    assert "window" in faults[1]
    assert "(line 5)" in faults[2]
    assert "drift.alarm" in faults[2]


def test_what_is_trained_is_not_a_policys_to_say(project: Path) -> None:
    _, faults = faults_of(project, "policies: []\ntrain: {entrypoint: 'pipeline:train'}\n")
    assert len(faults) == 1
    assert "train: found a section that a policy file has not (line 2), expected one of policies, autopilot, monitor" in faults[0]


@pytest.mark.parametrize(
    ("text", "found"), [("", "nothing"), ("- a\n", "list"), ("a: [\n", "not YAML"), ("monitor: {}\nmonitor: {}\n", "twice")]
)
def test_a_file_that_holds_no_sections_is_refused(project: Path, text: str, found: str) -> None:
    _, faults = faults_of(project, text)
    assert found in faults[0]


def test_names_that_cannot_be_told_apart_or_do_not_exist_are_refused(project: Path) -> None:
    with pytest.raises(Conflict, match="two policies are called 'never'"):
        alternatives(project, ("never", "never"), project)
    with pytest.raises(Conflict, match="did you mean current"):
        alternatives(project, ("curent",), project)
    with pytest.raises(NotFound, match=r"there is no .*other\.yaml"):
        alternatives(project, ("other.yaml",), project)
    (project / "never.yaml").write_text("policies: []\n")
    with pytest.raises(Conflict, match="cannot be called 'never'"):
        alternatives(project, ("never.yaml",), project)


def test_a_policy_file_that_is_not_there_is_not_told_as_a_missing_project(project: Path) -> None:
    with pytest.raises(NotFound, match=r"there is no .*nowhere\.yaml") as refused:
        alternatives(project, ("nowhere.yaml",), project)
    assert refused.value.expected == "never or current, or a file with policies:, autopilot:, monitor:, cost:, release:"
