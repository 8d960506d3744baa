"""The frame of all commands: options that every one has, and what becomes of an error."""

import os
import traceback
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from flyball.cli.screen import INTERRUPTED, Screen, beside
from flyball.cli.session import session_of
from flyball.errors import FlyballError, InternalError

ANSWER_IS_NO = 1
"""The command did its work and the answer is no: a gate refused, something does not verify."""
AS_JSON = "flyball.as_json"
"""In a context's `meta`: whether --json was given, also beside something that cannot be read."""
AS_HELP = "flyball.as_help"
"""In a context's `meta`: whether help is asked for, which typer writes by itself, and no command does anything."""
TIMES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"]
"""How a time is written on the command line: UTC, with or without its Z."""


class Doors(TyperGroup):
    """Turns what is raised into a sentence and an exit code. Nobody meets a stack trace who did not ask for one."""

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        # What is mistyped is found before any option is read.
        as_json, as_help = "--json" in args, self._asks_for_help(args)
        try:
            with beside() if as_help else nullcontext():
                made = super().make_context(info_name, args, parent, **extra)
        except TyperException as error:
            if as_json:
                _mistyped(Screen(), error)
            raise
        except FlyballError as error:
            Screen().fail(error)
            raise typer.Exit(error.exit_code) from None
        made.meta[AS_JSON], made.meta[AS_HELP] = as_json, as_help
        return made

    def invoke(self, ctx: Any) -> Any:
        screen = session_of(ctx).screen
        try:
            with beside() if ctx.meta.get(AS_HELP) else nullcontext():
                return super().invoke(ctx)
        except TyperException as error:
            if ctx.meta.get(AS_JSON):
                _mistyped(screen, error)
            raise  # for typer, which tells it on stderr
        except FlyballError as error:
            screen.fail(error)
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            screen.aside("Interrupted. Nothing is lost: the same command goes on where it was.")
            raise typer.Exit(INTERRUPTED) from None
        except (typer.Exit, typer.Abort, BrokenPipeError):
            raise  # typer's own, and of who has read enough
        except Exception as error:  # noqa: BLE001 - whatever it is: 1, by which Python ends, is an answer here
            if screen.debug:
                traceback.print_exception(error)
            screen.fail(InternalError(error))
            raise typer.Exit(InternalError.exit_code) from None

    def _asks_for_help(self, args: list[str]) -> bool:
        """Also who names nothing, or a group of commands and nothing else."""
        words = [each for each in args if not each.startswith("-")]
        return "--help" in args or not words or (len(words) == 1 and isinstance(self.commands.get(words[0]), TyperGroup))


def _mistyped(screen: Screen, error: TyperException) -> None:
    """The document that one of our own errors has."""
    path = getattr(getattr(error, "ctx", None), "command_path", "flyball")
    screen.failure("UsageError", error.format_message(), f"{path} --help")


def _remember_json(ctx: typer.Context, value: bool) -> bool:  # noqa: FBT001 - typer's signature
    session_of(ctx).screen.as_json = value
    return value


Json = Annotated[
    bool,
    typer.Option(
        "--json", help="Answer with one JSON document on stdout; progress goes to stderr.", callback=_remember_json, is_eager=True
    ),
]
Project = Annotated[Path, typer.Option("--project", metavar="DIR", help="The project's directory.", file_okay=False)]
Replayed = Annotated[bool, typer.Option("--replayed", help="Of the last `flyball replay` instead.")]


def text(words: str) -> str:
    """What was typed, as the ledger can keep it: a byte that is no UTF-8 must not keep an order from being given. Not for paths, which are bytes."""
    return words.encode(errors="surrogateescape").decode(errors="replace")


Reason = Annotated[str, typer.Option("--reason", help="Why; kept with the order in the ledger.", parser=text)]


def actor() -> str:
    """Who gives an order from a terminal: the account that this process runs as. What LOGNAME or USER say, anybody may set."""
    try:
        import pwd
    except ImportError:  # a system without accounts of that kind
        import getpass

        return f"user:{getpass.getuser()}"
    number = os.getuid()
    try:
        return text(f"user:{pwd.getpwuid(number).pw_name}")
    except KeyError:
        # A container may run as a number without an account.
        return f"user:uid-{number}"


def utc(moment: datetime | None) -> datetime | None:
    """A time of TIMES, which says no zone."""
    return None if moment is None else moment.replace(tzinfo=UTC)
