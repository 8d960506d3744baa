"""Who of a tournament goes on: the standings that a job has measured → a unit to release, a version to be gated, or nobody. Pure."""

from datetime import datetime

import msgspec

from flyball.autopilot.tournament import PastTournament, Standing, is_better
from flyball.records.decisions import Action, Plan
from flyball.records.evidence import Evidence, Outcome, Verdict
from flyball.records.tournaments import Entrant, Standings, Tournament

LOSS_GAIN, COST_GAIN = "loss_gain", "cost_gain"
"""Names of evidence: of the answers themselves, and of where a threshold divides them."""


class ContestPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing is the user's to set: who wins follows from the standings and the error rate that they were measured at."""


class ContestSituation(msgspec.Struct, frozen=True, kw_only=True):
    job: str
    champion: str | None
    """Who answers now."""
    standings: Standings
    taken_back: str = ""
    """Why the winner, who needed no training, is not released by itself: a release took it back; empty: none did."""


def winner(standings: Standings) -> Entrant | None:
    """Whose gain is above 0 by its whole interval and worth a change of champion, the highest lower end first. A threshold wins only where no answers do: it
    mends less."""
    level = standings.champion_loss
    better = [each for each in standings.entrants if each.gain and is_better(each.gain.value or 0.0, _lower(each), level)]
    return min(better, key=lambda each: (_name(each) != LOSS_GAIN, -_lower(each), each.name), default=None)


def past_of(held: Tournament) -> PastTournament:
    """As what says which strategies help here, and what a tournament gains."""
    measured = [(each, each.gain) for each in held.standings.entrants if each.gain is not None]
    found = [
        Standing(
            entrant=each.name, estimate=gain.value or 0.0, lower=gain.lower or 0.0, upper=gain.upper or 0.0, alpha=gain.alpha or 0.0,
            relative=each.relative, error=each.error, windows=each.windows, rows=gain.n, minutes=each.minutes,
        )
        for each, gain in measured
    ]  # fmt: skip
    return PastTournament(
        at=held.at,
        kind=held.kind,
        growth=held.growth,
        excess=held.excess,
        standings=tuple(found),
        winner=held.winner,
        rows_since_change=held.rows_since,
        realised=held.realised,
        in_vain=held.in_vain,
    )


def decide(situation: ContestSituation, policy: ContestPolicy, now: datetime) -> Plan:  # noqa: ARG001 - every room's function has this shape
    """One action: `release` a unit of a version that is there, `register` one that was trained, or `refuse`."""
    standings, subject = situation.standings, f"job:{situation.job}"
    verdicts = tuple(_verdict(each) for each in standings.entrants)
    won = winner(standings)
    if situation.champion != standings.champion:
        told = f"{standings.champion}, beside which everybody was judged, is champion no more: nobody goes on."
        return _refused(subject, told, verdicts)
    if won is None:
        told = f"Nobody is shown to be better than {standings.champion}: {_listed(standings)}."
        return _refused(subject, told, verdicts)
    others = [each for each in standings.entrants if each.name != won.name]
    rest = f" The others: {'; '.join(map(_told, others))}." if others else ""
    if situation.taken_back:
        return _refused(subject, f"{_told(won)}, and is not released by itself: {situation.taken_back}.{rest}", verdicts)
    action = Action(kind="register" if won.fitted else "release", subject=subject, arguments={"entrant": won.name})
    told = f"{_told(won)}: better than {standings.champion}{_among(standings, won)}.{rest}"
    return Plan(actions=(action,), rule="tournament", rationale=told, outcome=Outcome.PASS, verdicts=verdicts)


def _refused(subject: str, told: str, verdicts: tuple[Verdict, ...]) -> Plan:
    action = Action(kind="refuse", subject=subject)
    return Plan(actions=(action,), rule="tournament", rationale=told, outcome=Outcome.FAIL, verdicts=verdicts)


def _verdict(entrant: Entrant) -> Verdict:
    gain = entrant.gain
    if gain is None or gain.value is None or gain.lower is None or gain.upper is None:
        unknown = Evidence(name=LOSS_GAIN, value=None, note=entrant.words)
        return Verdict(rule=entrant.name, outcome=Outcome.ERROR, evidence=unknown, words=_told(entrant))
    outcome = Outcome.PASS if gain.lower > 0.0 else Outcome.FAIL if gain.upper < 0.0 else Outcome.INCONCLUSIVE
    return Verdict(rule=entrant.name, outcome=outcome, evidence=gain, words=_told(entrant))


def _told(entrant: Entrant) -> str:
    gain = entrant.gain
    if gain is None or gain.value is None:
        return f"{entrant.name} did not compete ({entrant.words or 'no reason was given'})"
    what = "loses" if gain.name == LOSS_GAIN else "errs for"
    size = f"{abs(gain.value):.3g} {'less' if gain.value >= 0.0 else 'more'}"
    return f"{entrant.name} {what} {size} a row (less by {gain.lower:.3g} to {gain.upper:.3g}) on {gain.n} rows"


def _listed(standings: Standings) -> str:
    ranked = sorted(standings.entrants, key=lambda each: (-_lower(each), each.name))
    return "; ".join(map(_told, ranked)) or "nobody competed"


def _among(standings: Standings, won: Entrant) -> str:
    """The error rate in words; none where nothing is known of how days differ, since it is of the next rows as well."""
    among = f"of {len([each for each in standings.entrants if each.gain is not None])} who competed"
    if won.spread_of == 0:
        on = f"{won.windows} window" + ("" if won.windows == 1 else "s")
        return f" on those rows ({among}; judged on {on}: what differs from day to day is not in the interval, nor in any error rate)"
    known = "" if won.spread_of is None else "where it is known how windows differ, "
    return f" ({among}; {known}anybody is called so in at most {standings.alpha:.0%} of tournaments in which nobody is)"


def _lower(entrant: Entrant) -> float:
    return -1.0 if entrant.gain is None or entrant.gain.lower is None else entrant.gain.lower


def _name(entrant: Entrant) -> str:
    return "" if entrant.gain is None else entrant.gain.name
