"""What drift means: which fault of the pipe it is, whether features no longer go together, and what it does to the model."""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from flyball.control.counted import Counted
from flyball.control.watched_files import WatchedFiles
from flyball.monitoring import drift, harm, joint_words, quality
from flyball.monitoring.policy import MonitorPolicy
from flyball.monitoring.quality import Diagnosis, Watched
from flyball.monitoring.window import Window
from flyball.records.evidence import Evidence
from flyball.records.findings import Finding, FindingKind

OF_STREAMS = (FindingKind.FEATURE_DRIFT, FindingKind.DATA_QUALITY, FindingKind.PREDICTION_DRIFT, FindingKind.JOINT_DRIFT)
NEARER = 0.5
"""Of the distance that was told: what is left of it then is the smaller part."""
OF_FEATURES = (FindingKind.FEATURE_DRIFT, FindingKind.DATA_QUALITY)


def is_of_stream(finding: Finding) -> bool:
    """Whether rows that were captured show it: a column for which requests are refused is another matter, under the same name."""
    return finding.kind in OF_STREAMS and finding.fault != quality.Fault.SCHEMA


class Seen(NamedTuple):
    """A window as far as it is judged."""

    window: Window
    counted: Counted
    findings: tuple[Finding, ...]
    """Of drift."""
    standing: tuple[Finding, ...]
    """Of earlier windows."""
    before: tuple[Finding, ...]
    """All of the unit's since it became champion, seen by somebody or not, in the order in which they were told."""
    distances: Mapping[str, float]
    """Stream → distance of this window to the reference."""
    normal: frozenset[str] = frozenset()
    """Of `before`, by id: those that a person took as normal."""

    @property
    def faulty(self) -> frozenset[str]:
        """Columns of which a fault of the pipe was told before: one that is counted and not tested is told once."""
        return frozenset(each.subject for each in self.before if each.kind is FindingKind.DATA_QUALITY and is_of_stream(each))

    def returns(self, finding: Finding) -> bool:
        """Whether it is a move back: a shift was told of the stream before, and this window is nearer to the reference by half."""
        last = next((each for each in reversed(self.before) if each.subject == finding.subject and is_of_stream(each)), None)
        return last is not None and last.id not in self.normal and self.distances.get(finding.subject, 1.0) < NEARER * last.effect


def told(files: WatchedFiles, seen: Seen, partly: frozenset[str], policy: MonitorPolicy) -> tuple[Finding, ...]:
    """The window's findings in the words of what happened, with harm, what harms most first. `partly`: columns that are not captured in full."""
    unit, profile = seen.window.unit, seen.counted.profile
    directions, norms, table, reference = files.directions(unit), files.norms(unit), files.harm(unit), files.reference(unit)
    back = tuple(finding for finding in seen.findings if seen.returns(finding))
    moved = tuple(finding for finding in seen.findings if finding not in back)
    alarmed = {finding.subject for finding in moved if finding.kind is FindingKind.FEATURE_DRIFT}
    still = {finding.subject for finding in seen.standing if finding.kind in OF_FEATURES and is_of_stream(finding)}
    findings = moved
    if directions is not None and seen.counted.pairs is not None:
        findings = joint_words.tell(directions, seen.counted.pairs, findings, alarmed | still)
    if norms is not None and seen.counted.traits is not None:
        features = {stream.name: stream for stream in reference.streams if stream.name in norms.columns}
        watched = Watched(norms=norms, streams=features, counts=profile.counts, traits=seen.counted.traits)
        diagnoses = quality.diagnose(watched, alarmed, norms.columns.keys() - partly if profile.rows >= policy.min_rows else None)
        findings = quality.retell(findings, diagnoses)
        known = {finding.subject for finding in findings} | seen.faulty
        findings += tuple(
            _counted(each, seen) for each in diagnoses if each.fault in quality.COUNTED and each.column not in known
        )
    if table is not None:
        findings = harm.weigh(findings, table, drift.streams_of(reference, seen.window), profile.counts, policy.tolerance)
    return findings + tuple(
        msgspec.structs.replace(each, words=f"back towards the reference: {each.words}", pages=False) for each in back
    )


def _counted(diagnosis: Diagnosis, seen: Seen) -> Finding:
    window = seen.window
    evidence = Evidence(
        name=f"share_{diagnosis.fault.value}", value=diagnosis.share, n=seen.counted.profile.rows, since=window.start, until=window.end, method="counted"
    )  # fmt: skip
    return Finding(
        id=drift.finding_id(FindingKind.DATA_QUALITY, window, diagnosis.column), kind=FindingKind.DATA_QUALITY, model=window.model,
        unit=window.unit, subject=diagnosis.column, window_start=window.start, window_end=window.end, effect=diagnosis.share,
        effect_unit="share of rows", evidence=evidence, share_of_budget=None, words=diagnosis.words,
        fault=diagnosis.fault.value,
    )  # fmt: skip
