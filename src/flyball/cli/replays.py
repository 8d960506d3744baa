"""Replays: one of the project as it is, or one of each of several policies."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from flyball.cli.doors import TIMES, Json, Project, utc
from flyball.cli.session import session_of
from flyball.errors import OperatorError, UserError

Since = Annotated[datetime | None, typer.Option("--since", formats=TIMES, help="First day of the replay (UTC).")]
Until = Annotated[datetime | None, typer.Option("--until", formats=TIMES, help="End of the replay (UTC), not included.")]
Output = Annotated[
    Path | None, typer.Option("--output", metavar="DIR", help="Where reports go; the project's directory if not given.")
]
Policy = Annotated[
    list[str] | None,
    typer.Option("--policy", metavar="FILE", help="Compare: a file of policies, `never` (none) or `current` (flyball.yaml's)."),
]
More = Annotated[list[str] | None, typer.Argument(metavar="[FILE]...", help="Further ones, after --policy.", show_default=False)]
Jobs = Annotated[int | None, typer.Option("--jobs", min=1, metavar="N", help="Policies at a time; default: as there are cores.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Begin anew, instead of going on where one was interrupted.")]


def replay(  # noqa: PLR0913, PLR0917 - a command's parameters are its options
    context: typer.Context,
    more: More = None,
    policy: Policy = None,
    since: Since = None,
    until: Until = None,
    output: Output = None,
    jobs: Jobs = None,
    fresh: Fresh = False,
    project: Project = Path(),
    _json: Json = False,
) -> None:
    """Live through historical data on a simulated clock: the whole loop, beside the first model left alone, or several policies side by side."""
    from flyball.cli import tell_comparison, tell_replay
    from flyball.control.replay_orders import Wanted

    names = (*(policy or ()), *(more or ()))
    _refuse(names, named=bool(policy), jobs=jobs)
    session = session_of(context)
    replays = session.opener(project).replays
    wanted = Wanted(utc(since), utc(until), output, fresh)
    if not names:
        with session.screen.working("Replaying") as say:
            lived = replays.live(wanted, say)
        session.screen.answer(lived, tell_replay.replay_report)
        return
    with session.screen.working("Replaying") as say:
        compared = replays.compare(wanted, names, jobs, say)
    session.screen.answer(compared, tell_comparison.comparison_report)
    if compared.failed:
        raise typer.Exit(OperatorError.exit_code)


def replay_child(directory: Annotated[Path, typer.Argument()]) -> None:
    """One of several replays, started by `flyball replay --policy`."""
    from flyball.wiring.privacy import private_process
    from flyball.wiring.replays import live_child

    private_process()
    raise typer.Exit(live_child(directory))


def _refuse(names: tuple[str, ...], *, named: bool, jobs: int | None) -> None:
    """What cannot be meant."""
    if names and not named:
        raise UserError(
            f"{names[0]!r} is not an option",
            expected="--policy before it",
            next_step=f"flyball replay --policy {' '.join(names)}",
        )
    if jobs is not None and not names:
        raise UserError(
            "--jobs without --policy", expected="policies to compare", next_step="flyball replay --policy never current"
        )
