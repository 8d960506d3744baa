"""Commands around what was captured: `capture export`, `labels import`."""

from datetime import datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from flyball.cli.doors import ANSWER_IS_NO, TIMES, Json, Project, text, utc
from flyball.cli.session import session_of

capture = typer.Typer(no_args_is_help=True, help="What gateways captured: turn it into tables.")
labels = typer.Typer(no_args_is_help=True, help="What became of predictions: bring labels.")


class Form(StrEnum):
    DELTA = "delta"
    PARQUET = "parquet"


AsForm = Annotated[Form, typer.Option("--format", help="Delta tables, or directories of Parquet files.")]
To = Annotated[Path | None, typer.Option("--to", metavar="DIR", help="Where the tables go; .flyball/tables/FORMAT if not given.")]
Since = Annotated[datetime | None, typer.Option("--since", formats=TIMES, help="Only what was captured from here on (UTC).")]
Until = Annotated[datetime | None, typer.Option("--until", formats=TIMES, help="Only what was captured before (UTC).")]
StateDir = Annotated[
    Path | None,
    typer.Option(
        "--state-dir", metavar="DIR", help="Of a `flyball gateway`, in place of a project: .flyball-gateway beside its file."
    ),
]
File = Annotated[
    Path | None, typer.Argument(metavar="FILE", help="CSV with a header, Parquet or JSON lines.", exists=False, dir_okay=False)
]
Sql = Annotated[
    str | None,
    typer.Option("--sql", metavar="NAME", help="Environment variable that holds a database's SQLAlchemy URL.", parser=text),
]
Query = Annotated[str | None, typer.Option("--query", metavar="TEXT", help="What to ask the database.", parser=text)]
Id = Annotated[str, typer.Option("--id", metavar="COLUMN", help="Column with the predictions' ids.", parser=text)]
Label = Annotated[str, typer.Option("--label", metavar="COLUMN", help="Column with what became of them.", parser=text)]
ObservedAt = Annotated[
    str | None,
    typer.Option(
        "--observed-at",
        metavar="COLUMN",
        parser=text,
        help="Column with when that became known; observed_at, if there is one, else when the file was last written.",
    ),
]
Reward = Annotated[
    str | None,
    typer.Option(
        "--reward",
        metavar="COLUMN",
        parser=text,
        help="Column with what each prediction earned; reward, if there is one that holds numbers. '': none.",
    ),
]

Model = Annotated[
    str | None,
    typer.Option("--model", metavar="NAME", help="With --state-dir: of which model, where several are served.", parser=text),
]


def export(  # noqa: PLR0913, PLR0917 - a command's options
    context: typer.Context, form: AsForm = Form.DELTA, to: To = None, since: Since = None, until: Until = None,
    state_dir: StateDir = None, project: Project = Path(), _json: Json = False,
) -> None:  # fmt: skip
    """Turn captured predictions, labels and failures into tables; run again, it adds what came since, each record once."""
    from flyball.cli import tell_captured
    from flyball.wiring.privacy import private_process
    from flyball.wiring.standalone_captured import captured_of

    session = session_of(context)
    if state_dir is not None:
        private_process()
        take = captured_of(state_dir).export
    else:
        take = session.opener(project).captured.export
    with session.screen.working("Exporting") as say:
        report = take(form.value, to, utc(since), utc(until), say)
    session.screen.answer(report, tell_captured.export_report)


def import_labels(  # noqa: PLR0913, PLR0917 - a command's options
    context: typer.Context, file: File = None, sql: Sql = None, query: Query = None, id_column: Id = "id",
    label_column: Label = "label", observed_column: ObservedAt = None, reward_column: Reward = None,
    state_dir: StateDir = None, model: Model = None, project: Project = Path(), _json: Json = False,
) -> None:  # fmt: skip
    """Send labels from a file or a database to the running gateway, a project's or (--state-dir) one without a project. The same file again is harmless:
    a label counts once, and what was corrected since the file was written stays corrected. Of a query that takes a column that says when outcomes became
    known."""
    from flyball.cli import tell_captured
    from flyball.control.label_import import LabelImport
    from flyball.wiring.privacy import private_process

    if model is not None and state_dir is None:
        raise typer.BadParameter("found no --state-dir; a project has one model", param_hint="--model")
    session = session_of(context)
    wanted = LabelImport(file, sql, query, id_column, label_column, observed_column, reward_column)
    if state_dir is None:
        send = session.opener(project).captured.import_labels
    else:
        from flyball.wiring import standalone_captured

        private_process()
        send = partial(standalone_captured.import_labels, state_dir, model)
    with session.screen.working("Importing labels") as say:
        report = send(wanted, say)
    session.screen.answer(report, tell_captured.import_report)
    if report.refused or report.trouble:
        raise typer.Exit(ANSWER_IS_NO)
