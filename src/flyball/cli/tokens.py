"""Commands for people's tokens: `token add`, `list`, `remove`."""

from pathlib import Path
from typing import Annotated

import typer

from flyball.cli.doors import Json, Project, actor, text
from flyball.cli.session import session_of

token = typer.Typer(
    no_args_is_help=True, help="Tokens of people, by name: to read the pages, and to answer over the control API."
)

Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="As the ledger will call this person; of who has an account here, its name.", parser=text
    ),
]


def add(
    context: typer.Context,
    name: Name,
    role: Annotated[
        str, typer.Option("--role", help="approver (reads and agrees), viewer (reads) or owner (everything).", parser=text)
    ] = "approver",
    project: Project = Path(),
    _json: Json = False,
) -> None:
    """Make a token for one person; what is ordered or answered with it, over HTTP, is that person's in the ledger."""
    from flyball.cli.tell_tokens import given

    session = session_of(context)
    session.screen.answer(session.opener(project).people.add(name, role, actor()), given)


def list_tokens(context: typer.Context, project: Project = Path(), _json: Json = False) -> None:
    """Who has a token by name."""
    from flyball.cli.tell_tokens import listed

    session = session_of(context)
    session.screen.answer(session.opener(project).people.rows(), listed)


def remove(context: typer.Context, name: Name, project: Project = Path(), _json: Json = False) -> None:
    """Take a person's tokens away, all that there are; they count no more from the next request on, and their sessions have ended."""
    from flyball.cli.tell_tokens import taken

    session = session_of(context)
    session.screen.answer(session.opener(project).people.remove(name, actor()), taken)
