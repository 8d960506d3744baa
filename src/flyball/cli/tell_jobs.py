"""What `explain job` prints."""

from typing import TYPE_CHECKING

from flyball.cli import draw
from flyball.control.job_story import JobStory, Trial
from flyball.records.tournaments import Entrant, Tournament

if TYPE_CHECKING:
    from rich.console import RenderableType


def job_story(told: JobStory, plain: bool) -> "RenderableType":  # noqa: FBT001 - Screen.answer's shape
    job = told.job
    facts: list[tuple[str, draw.Cell]] = [
        ("job", job.id), ("status", job.status.value), ("asked for", f"by {job.cause} at {draw.when(job.requested_at)}"),
        ("children", str(job.attempt)),
    ]  # fmt: skip
    if job.version is not None:
        facts.append(("version", str(job.version)))
    if job.unit is not None:
        facts.append(("unit", job.unit))
    if job.error and (told.tournament is None or job.error != told.tournament.words):  # a winner that its gates refused
        facts.append(("why", job.error))
    parts: list[RenderableType] = [draw.facts(tuple(facts))]
    if told.tournament is not None:
        parts += _tournament(told.tournament, plain=plain)
    if told.parameters:
        parts.append(draw.facts((("parameters", draw.assigned(told.parameters)),)))
    if told.trials:
        parts.append(_trials(told, plain=plain))
    if told.afterwards:
        parts += [draw.heading("Afterwards"), *(draw.text(f"· {line}") for line in told.afterwards)]
    return draw.page(parts)


def _trials(told: JobStory, *, plain: bool) -> "RenderableType":
    chosen = next((at for at, each in enumerate(told.trials) if each.value is not None and _is_of(each, told)), None)
    rows: list[tuple[draw.Cell, ...]] = [
        (str(at + 1), draw.number(each.value) if each.value is not None else "", draw.assigned(each.parameters),
         ("chosen", "bold green") if at == chosen else (each.words, "red" if each.words else ""))
        for at, each in enumerate(told.trials)
    ]  # fmt: skip
    return draw.table(("trial", told.metric, "parameters", ""), rows, plain=plain, title="Trials", right=("trial", told.metric))


def _is_of(trial: Trial, told: JobStory) -> bool:
    return trial.parameters.items() <= (told.parameters or {}).items()


def _tournament(over: Tournament, *, plain: bool) -> "list[RenderableType]":
    held = over.standings
    rows = [_row(each, won=each.name == over.winner) for each in _ranked(held.entrants)]
    longer = any(each.gain is not None and each.gain.n > held.rows for each in held.entrants)
    whom = "them (earlier units by older ones, too)" if longer else "them"
    judged = (
        f"{held.rows:,} rows from {draw.when(held.since)} to {draw.when(held.until)} judged {whom} beside {held.champion}, "
        f"which lost {held.champion_loss:.4f} a row on the newest window."
    )
    table = draw.table(
        ("entrant", "gain a row", "interval", "rows", "minutes", ""), rows, plain=plain, right=("gain a row", "rows", "minutes")
    )
    return [draw.heading("Tournament"), draw.text(judged), table, draw.text(over.words)]


def _ranked(entrants: tuple[Entrant, ...]) -> list[Entrant]:
    """The highest lower end first; who did not compete comes last."""
    return sorted(entrants, key=lambda each: (each.gain is None, -(each.gain.lower or 0.0) if each.gain else 0.0, each.name))


def _row(entrant: Entrant, *, won: bool) -> tuple[draw.Cell, ...]:
    gain, minutes = entrant.gain, draw.number(entrant.minutes) if entrant.fitted else ""
    if gain is None or gain.value is None:
        return entrant.name, "", "", "", minutes, entrant.words
    told = (
        *(("by its threshold alone",) if gain.name == "cost_gain" else ()),
        *(("of these rows alone",) if entrant.spread_of == 0 else ()),
    )
    said = (", ".join(("wins", *told)), "bold green") if won else ", ".join(told)
    interval = f"{draw.number(gain.lower)} to {draw.number(gain.upper)}"
    return entrant.name, draw.number(gain.value), interval, f"{gain.n:,}", minutes, said
