"""What `token add`, `list` and `remove` print."""

from typing import TYPE_CHECKING

from flyball.cli import draw
from flyball.control.reports import TokenReport

if TYPE_CHECKING:
    from rich.console import RenderableType


def given(report: TokenReport, _plain: bool) -> "RenderableType":  # noqa: FBT001 - Screen.answer's shape
    words = f"{report.name} has a token, as {report.role}. Hand it over in private; nobody but this account can read its file:"
    return draw.page([draw.text(words), draw.to_paste(f"cat {report.file}")])


def listed(rows: tuple[TokenReport, ...], plain: bool) -> "RenderableType":  # noqa: FBT001 - Screen.answer's shape
    if not rows:
        return draw.text("Nobody has a token by name. Next: flyball token add NAME --role approver")
    return draw.table(("name", "role", "file"), [(row.name, row.role, row.file) for row in rows], plain=plain)


def taken(rows: tuple[TokenReport, ...], _plain: bool) -> "RenderableType":  # noqa: FBT001 - Screen.answer's shape
    return draw.text(f"{rows[0].name} has no token any more (was {' and '.join(row.role for row in rows)}).")
