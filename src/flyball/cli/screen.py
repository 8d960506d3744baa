"""Where answers go: rich on a terminal, plain lines in a pipe, one JSON document with --json."""

import errno
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

from flyball.errors import FlyballError, InternalError, StoreUnavailable
from flyball.records.words import harmless

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.status import Status

T = TypeVar("T")

INTERRUPTED = 130
"""128 + SIGINT, as shells have it."""

_WIDE = 1_000_000
"""Columns of plain lines: longer than any row, since a table that does not fit loses the ends of its cells, ids among them."""
_MARKS = {"step": "·", "decision": "◆", "finding": "▲", "good": "✓", "bad": "✗", "plain": " "}
_COLOURS = {"step": "dim", "decision": "bold cyan", "finding": "yellow", "good": "green", "bad": "bold red", "plain": ""}


class Screen:
    """The terminal of one call."""

    def __init__(self) -> None:
        self.as_json = False
        self.debug = False
        self._status: Status | None = None
        self._consoles: dict[bool, Console] = {}

    def console(self, *, error: bool = False) -> "Console":
        if error not in self._consoles:
            self._consoles[error] = _make_console(error=error)
        return self._consoles[error]

    @property
    def plain(self) -> bool:
        """No boxes, no spinners: somebody else's program reads, or colours are not wanted."""
        console = self.console()
        return not console.is_terminal or console.no_color

    def say(self, style: str, sentence: str) -> None:
        """One line of progress; with --json on stderr, so that stdout stays one document."""
        from rich.text import Text

        if self._status is not None and style == "step":
            self._status.update(Text(harmless(sentence), style="dim"))
        line = Text(f"{_MARKS.get(style, ' ')} {harmless(sentence)}", style=_COLOURS.get(style, ""))
        with self._printing(error=self.as_json) as console:
            console.print(line, soft_wrap=True)

    @contextmanager
    def _printing(self, *, error: bool = False) -> "Iterator[Console]":
        """Raises StoreUnavailable where it cannot be written."""
        try:
            yield self.console(error=error)
        except OSError as refused:
            # rich keeps what it could not write and says it again with all that follows: on a full disk that grows without end.
            self._consoles.pop(error, None)
            raise _unwritten(refused) from refused

    @contextmanager
    def working(self, words: str) -> Iterator[Callable[[str, str], None]]:
        """A spinner while something takes time (terminals only); gives the `say` to hand on."""
        if self.plain or self.as_json:
            yield self.say
            return
        with self.console().status(words) as status:
            self._status = status
            try:
                yield self.say
            finally:
                self._status = None

    def answer(self, report: T, render: "Callable[[T, bool], RenderableType]") -> None:
        """The answer of a command: `report` itself as JSON, or what `render(report, plain)` draws."""
        self.write(self.drawn(report, render))

    def drawn(self, report: T, render: "Callable[[T, bool], RenderableType]") -> str:
        """What `answer` writes, for whoever writes it later."""
        if self.as_json:
            return _document(report)
        with self._printing() as console, console.capture() as drawn:
            if self.plain:
                console.print(render(report, True), soft_wrap=True)
            else:
                # Not cropped: a command to paste goes on past the edge, where the terminal itself breaks it without a line break.
                console.print(render(report, False), crop=False)
        # Cells are padded to their column: at a line's end nobody needs that.
        return "".join(f"{line.rstrip()}\n" for line in drawn.get().splitlines()) if self.plain else drawn.get()

    def document(self, value: Any) -> None:
        """One JSON document on stdout."""
        self.write(_document(value))

    def write(self, text: str) -> None:
        """To stdout, as it is. Raises StoreUnavailable where that is full or closed."""
        try:
            if sys.stdout is None:
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))  # it was closed before this process began
            _never_refused(sys.stdout)
            sys.stdout.write(text)
            sys.stdout.flush()
        except (OSError, ValueError) as refused:
            raise _unwritten(refused) from refused

    def aside(self, sentence: str) -> None:
        """On stderr, whatever stdout is for."""
        from rich.text import Text

        with suppress(StoreUnavailable), self._printing(error=True) as console:
            console.print(Text("✗ " + harmless(sentence), style="red"), soft_wrap=True)

    def fail(self, error: FlyballError) -> None:
        """What went wrong and what to do, on stderr; with --json also as the document."""
        from rich.text import Text

        with suppress(StoreUnavailable), self._printing(error=True) as console:  # the exit code tells it, too
            console.print(Text("✗ " + _lines(error.message), style="red"), soft_wrap=True)
            if error.detail:
                console.print(Text(_lines(error.detail), style="red"), soft_wrap=True)
        if self.as_json:
            faults = [{name: _encodable(words) for name, words in fault.told.items()} for fault in getattr(error, "faults", ())]
            self.failure(type(error).__name__, _encodable(error.message), _encodable(error.next_step), faults)
        for stream in (sys.stdout, sys.stderr):
            _give_up(stream)

    def failure(self, kind: str, message: str, next_step: str, faults: Sequence[Mapping[str, str]] = ()) -> None:
        """The document of what went wrong. Where stdout takes none it stands on stderr alone, and the exit code is its own."""
        with suppress(StoreUnavailable):
            self.document({"error": {"kind": kind, "message": message, "next_step": next_step, "faults": faults}})

    def exit_code_of(self, work: Callable[[], None]) -> int:
        """What a process without a command line ends with; what went wrong in it is told."""
        try:
            work()
        except FlyballError as error:
            self.fail(error)
            return error.exit_code
        except KeyboardInterrupt:
            return INTERRUPTED
        return 0


@contextmanager
def beside() -> Iterator[None]:
    """Around what others write to stdout past a screen. Raises StoreUnavailable where that is full or closed."""
    Screen().write("")  # to what is closed they write nothing, and do not say so
    try:
        yield
    except OSError as refused:
        raise _unwritten(refused) from refused


def _document(value: Any) -> str:
    from flyball.records import codec

    return codec.encode(value).decode() + "\n"


def _unwritten(refused: OSError | ValueError) -> Exception:
    if isinstance(refused, BrokenPipeError):
        return refused  # who read it has seen enough
    words = (refused.strerror if isinstance(refused, OSError) else None) or refused
    return StoreUnavailable(f"what is said here cannot be written: {words}", next_step="make room there, or send it elsewhere")


def _give_up(stream: TextIO | None) -> None:
    """What it could not write it would write again when this process ends, whose exit code would then be Python's own."""
    with suppress(OSError, ValueError, AttributeError):
        try:
            stream.flush()  # type: ignore[union-attr]
            return
        except OSError:
            pass
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())  # type: ignore[union-attr]
        os.close(nowhere)


def _encodable(text: str) -> str:
    """The name of a directory need not be UTF-8, and a document is."""
    return text.encode(errors="replace").decode()


def _lines(message: str) -> str:
    return "\n".join(harmless(line) for line in message.split("\n"))


def _never_refused(stream: TextIO) -> None:
    if hasattr(stream, "reconfigure"):
        # A terminal in ASCII shows a question mark instead of ending the command.
        stream.reconfigure(errors="replace")


def _make_console(*, error: bool) -> "Console":
    from rich.console import Console

    stream = sys.stderr if error else sys.stdout
    _never_refused(stream)
    console = Console(file=stream, markup=False, highlight=False, emoji=False)
    if not console.is_terminal or console.no_color:
        console = Console(file=stream, markup=False, highlight=False, emoji=False, width=_WIDE, no_color=True)
    return console


def quiet_traceback(_kind: type[BaseException], error: BaseException, _trace: TracebackType | None) -> None:
    """`sys.excepthook` for what nobody foresaw: ours to mend, said so."""
    sys.stderr.write(f"✗ {_lines(InternalError(error).message)}\n")
