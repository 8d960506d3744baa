"""One frame beside another, for scripts and for the eye."""

from typing import NamedTuple

from flyball.monitoring import frame_words
from flyball.monitoring.frame_words import ComparedColumn
from flyball.records.findings import Finding

NO_CLOCK = "not looked at: the clock (a season is a move; profile(…, time=, window=) tells when rows were), and what needs three columns to be seen"
CLOCK = "not looked at: whether how columns go together follows the clock, and what needs three columns to be seen"
UNSEEN = "windows of the reference have too few rows to show whether they differ, so what they may hide is not called moved"


class SchemaChange(NamedTuple):
    """A column that one of the frames does not have, or that holds something else."""

    column: str
    kind: str
    """`gone`, `new` or `type`."""
    words: str


class Comparison(NamedTuple):
    """One frame beside another."""

    reference_rows: int
    rows: int
    columns: tuple[ComparedColumn, ...]
    """What moved first, then by distance."""
    absent: tuple[str, ...]
    """Columns of the reference that are not in the frame."""
    left_out: dict[str, str]
    level: float
    """Chance of a false alarm, all columns together: what was asked for, or drift.HIGHEST_LEVEL where that is less."""
    exchangeable: bool
    """False: stretches of the reference differ by more than chance (time, sorting), and what they do is no move."""
    asked: float | None = None
    """The level that was asked for, where the test has a smaller one."""
    schema: tuple[SchemaChange, ...] = ()
    """Columns that are gone, new or of another type: counted, not tested. The others are compared."""
    together: tuple[Finding, ...] = ()
    """Columns that go together otherwise, or moved together, each too little alone."""
    beside: tuple[str, ...] = ()
    """Further lines for the eye."""
    clock: str = ""
    """Whether like was compared with like: the window of time, in words. Empty: the reference has no clock."""
    unseen: bool = False
    """Not exchangeable only since windows of the reference have so few rows that nobody could see them differ."""

    @property
    def moved(self) -> tuple[str, ...]:
        """Columns that moved by themselves."""
        return tuple(column.name for column in self.columns if column.finding is not None)

    @property
    def changed(self) -> bool:
        """Whether anything did: what a script asks."""
        return bool(self.moved or self.together or self.schema)

    @property
    def words(self) -> str:
        named = ", ".join(self.moved) or "nothing"
        chance = f"chance of a false alarm, all columns together: {self.level:g}"
        if self.asked is not None:
            chance += f", the most that one look may have; {self.asked:g} was asked for"
        also = "".join(f"; {told}" for told in (*self._schema_words(), *(finding.words for finding in self.together)))
        return f"{self.rows:,} rows beside {self.reference_rows:,}: {named} moved{also} ({chance})"

    def __str__(self) -> str:
        return frame_words.comparison_text(self.words, self.columns, self._beside())

    def _repr_html_(self) -> str:
        return frame_words.comparison_html(self.words, self.columns, self._beside())

    def _schema_words(self) -> list[str]:
        told = []
        for kind, said in (("gone", "gone"), ("new", "new"), ("type", "of another type")):
            if names := [change.column for change in self.schema if change.kind == kind]:
                told.append(f"{said}: {', '.join(names)}")
        return told

    def _beside(self) -> list[str]:
        lines = [f"not in the frame: {', '.join(self.absent)}"] if self.absent else []
        lines += [change.words for change in self.schema if change.kind == "type"]
        if not self.exchangeable:
            told = "differ from one another, so only what differs more is called moved"
            order = f"stretches of the reference {told}: shuffle the rows if their order means nothing"
            lines.append(UNSEEN if self.unseen else f"stretches of the reference {told}" if self.clock else order)
        never = [self.clock, CLOCK] if self.clock else [NO_CLOCK]
        return [*lines, *self.beside, *frame_words.not_looked_at(self.left_out), *never]
