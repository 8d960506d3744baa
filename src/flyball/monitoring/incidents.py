"""Findings → incidents: what began together is one thing that went wrong, and needs one person."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from flyball.records.findings import Acknowledgement, Finding, FindingKind, Incident


class Tenure(NamedTuple):
    """For how long a unit was champion: (since, until]."""

    unit: str
    since: datetime
    until: datetime | None
    """None: it is champion."""


def incidents(
    findings: Iterable[Finding],
    acknowledgements: Mapping[str, Acknowledgement],
    tenures: Sequence[Tenure],
    lasting: Collection[str] = (),
) -> tuple[Incident, ...]:
    """By number. Benign findings need nobody and are in none. `acknowledgements`: by the finding's id; `lasting`: ids of what no take-over has ended."""
    groups: list[_Group] = []
    for finding in sorted((each for each in findings if each.pages), key=lambda each: each.number):
        tenure = next((each for each in tenures if _is_of(finding, each)), None)
        if tenure is None:
            continue
        mine = [group for group in groups if group.tenure == tenure and group.takes(finding)]
        groups = [group for group in groups if group not in mine]
        together = (*(each for group in mine for each in group.findings), finding)
        groups.append(_Group(tenure, together, acknowledgements, lasting))
    return tuple(sorted((group.incident() for group in groups), key=lambda each: each.number))


def _is_of(finding: Finding, tenure: Tenure) -> bool:
    """What is not served concerns whoever is champion, whatever unit it was said of."""
    mine = finding.unit == tenure.unit or finding.kind is FindingKind.SERVING
    return mine and finding.window_end > tenure.since and (tenure.until is None or finding.window_end <= tenure.until)


def began(finding: Finding) -> datetime:
    """As far back as its change may lie."""
    if finding.changed_between is not None:
        return min(finding.changed_between[0], finding.window_start)
    return min(finding.changed_since or finding.window_start, finding.window_start)


class _Group(NamedTuple):
    tenure: Tenure
    findings: tuple[Finding, ...]
    acknowledgements: Mapping[str, Acknowledgement]
    lasting: Collection[str]

    def takes(self, finding: Finding) -> bool:
        """Whether a finding of the same tenure belongs here: it touches, or says again what stands; and this was not over before it was seen."""
        over = self.acknowledged()
        if over is not None and finding.window_end > over:
            return False
        touches = any(began(each) <= finding.window_end and began(finding) <= each.window_end for each in self.findings)
        return touches or any((each.kind, each.subject) == (finding.kind, finding.subject) for each in self._standing_at(finding))

    def _standing_at(self, later: Finding) -> tuple[Finding, ...]:
        said = self.acknowledgements
        return tuple(each for each in self.findings if each.id not in said or said[each.id].first[1] >= later.window_end)

    def began(self) -> datetime:
        return min(map(began, self.findings))

    def unseen(self) -> tuple[Finding, ...]:
        return tuple(each for each in self.findings if each.id not in self.acknowledgements)

    def standing(self) -> tuple[Finding, ...]:
        """Of a champion that was replaced: what lasts beyond it."""
        return tuple(each for each in self.unseen() if self.tenure.until is None or each.id in self.lasting)

    def acknowledged(self) -> datetime | None:
        """When the last finding was; None: one was not."""
        return None if self.unseen() else max(self.acknowledgements[each.id].first[1] for each in self.findings)

    def incident(self) -> Incident:
        said = sorted(
            (self.acknowledgements[each.id].first for each in self.findings if each.id in self.acknowledgements),
            key=lambda first: first[1],
        )
        ends = [end for end in (self.acknowledged(), self.tenure.until) if end is not None and not self.standing()]
        worst = max(self.findings, key=lambda each: (each.harm is not None, each.harm or 0.0, -each.number))
        return Incident(
            number=min(each.number for each in self.findings), model=worst.model, unit=self.tenure.unit, began=self.began(),
            ended=min(ends, default=None), owner=said[0][0] if said else "", findings=tuple(sorted(each.number for each in self.findings)),
            standing=tuple(sorted({each.kind for each in self.standing()})),
            subjects=tuple(dict.fromkeys(each.subject for each in self.findings)), harm=worst.harm, words=worst.words,
        )  # fmt: skip
