"""Where answers go: rich on a terminal, plain lines in a pipe, one JSON document with --json."""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

from flyball.errors import FlyballError

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
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def harmless(text: str) -> str:
    """`text` without the control characters that would move a terminal's cursor or colours: names and reasons come from anywhere."""
    return _CONTROLS.sub("�", text)


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
        try:
            self.console(error=self.as_json).print(line, soft_wrap=True)
        except OSError:
            # rich keeps what it could not write and says it again with all that follows: on a full disk that grows without end.
            self._consoles.pop(self.as_json, None)
            raise

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
        console = self.console()
        with console.capture() as drawn:
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
        """To stdout, as it is."""
        _never_refused(sys.stdout)
        sys.stdout.write(text)
        sys.stdout.flush()

    def fail(self, error: FlyballError) -> None:
        """What went wrong and what to do, on stderr; with --json also as the document."""
        from rich.text import Text

        self.console(error=True).print(Text("✗ " + _lines(error.message), style="red"), soft_wrap=True)
        if error.detail:
            self.console(error=True).print(Text(_lines(error.detail), style="red"), soft_wrap=True)
        if self.as_json:
            faults = [
                dict(zip(("path", "found", "expected", "hint"), fault, strict=True)) for fault in getattr(error, "faults", ())
            ]
            body = {"kind": type(error).__name__, "message": error.message, "next_step": error.next_step, "faults": faults}
            self.document({"error": body})

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


def _document(value: Any) -> str:
    from flyball.records import codec

    return codec.encode(value).decode() + "\n"


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


def quiet_traceback(kind: type[BaseException], error: BaseException, _trace: TracebackType | None) -> None:
    """`sys.excepthook` for what nobody foresaw: ours to mend, said so."""
    sys.stderr.write(
        f"✗ Flyball itself failed: {kind.__name__}: {error}. This is a fault of ours, not yours. "
        "Next: run the same with `flyball --debug …` and report what it prints.\n"
    )
