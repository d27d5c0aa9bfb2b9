"""The outcome of a verification: every problem, with the file that is corrupt.

A problem names the version, the table and the file, states what is there and what
should be, and ends with how to repair it. A corruption is reported once: what
merely follows from it is no problem of anything else.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import polars as pl
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lakehouse.errors import FormatError
from lakehouse.model.contracts import DATASET, Layout

PROBLEM_SCHEMA: Final = pl.Schema(
    {
        "check": pl.String(),
        "version": pl.Int64(),
        "table": pl.String(),
        "file": pl.String(),
        "message": pl.String(),
        "hint": pl.String(),
    }
)
"""The columns of the problems; `file` is relative to the root of the lake."""

CHECKED: Final = ("entries", "versions", "tables", "files", "bytes", "rows")
"""What is counted."""

# An error message has to fit a screen; all problems are in `Verification.problems`.
_SHOWN: Final = 5


@dataclass(slots=True)
class Report:
    """Problems, notes and counts, collected while the verification runs."""

    layout: Layout = DATASET
    """What the tables are called on disk: code calls labels of every layout `labels`."""
    rows: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    notes: list[str] = field(default_factory=list[str])
    counts: Counter[str] = field(default_factory=Counter[str])

    def add(
        self,
        check: str,
        message: str,
        hint: str,
        *,
        version: int | None = None,
        table: str | None = None,
        file: str | None = None,
    ) -> None:
        """Add a problem.

        Args:
            check: A stable dotted code.
            message: What is there, and what should be.
            hint: How to repair it.
            version: The version that it is in.
            table: The table that it is in.
            file: The corrupt file, relative to the root of the lake.
        """
        self.rows.append(
            {
                "check": check,
                "version": version,
                "table": None if table is None else self.layout.folder(table),
                "file": file,
                "message": message,
                "hint": hint,
            }
        )

    def note(self, text: str) -> None:
        """Add what is no problem and should be known."""
        self.notes.append(text)


@dataclass(frozen=True, slots=True)
class Verification:
    """What `dataset.verify()` returns."""

    problems: pl.DataFrame
    """A row a problem: check, version, table, file, message, hint; none when sound."""
    checked: Mapping[str, int]
    """How many entries, versions, tables, files, bytes and rows were looked at."""
    notes: tuple[str, ...] = ()
    """What is no problem and should be known, such as a head not published yet."""
    full: bool = True
    """Whether every byte and every version was looked at."""

    @classmethod
    def of(cls, report: Report, *, full: bool) -> "Verification":
        """The verification that a finished report comes to."""
        problems = pl.DataFrame(report.rows, schema=PROBLEM_SCHEMA)
        counts = {name: report.counts[name] for name in CHECKED}
        if "media" in report.counts:
            # Only where media were checked: a count of 0 would read as if there were
            # none.
            counts["media"] = report.counts["media"]
        return cls(problems, counts, tuple(report.notes), full)

    @property
    def is_sound(self) -> bool:
        """Whether there is no problem."""
        return not self.problems.height

    def to_frame(self) -> pl.DataFrame:
        """The problems, a row each."""
        return self.problems

    def raise_for_problems(self) -> None:
        """Do nothing when the dataset is sound.

        Raises:
            FormatError: If it is not; the message has the first problems.
        """
        if self.is_sound:
            return
        lines = [
            f"{_location(row)}: {row['message']} {row['hint']}"
            for row in self.problems.head(_SHOWN).iter_rows(named=True)
        ]
        more = self.problems.height - len(lines)
        lines += [f"… and {more} more, in verification.problems."] if more else []
        raise FormatError(
            f"{self._counted}:\n" + "\n".join(lines),
            kind="verify.unsound",
        )

    @property
    def _counted(self) -> str:
        count = self.problems.height
        return "1 problem" if count == 1 else f"{count} problems"

    def __repr__(self) -> str:
        kind = "full" if self.full else "quick"
        outcome = "sound" if self.is_sound else self._counted
        counts = ", ".join(f"{self.checked[name]:,} {name}" for name in self.checked)
        return f"<Verification ({kind}): {outcome}; {counts}>"

    def __rich__(self) -> RenderableType:
        parts: list[RenderableType] = []
        if not self.is_sound:
            table = Table(title=self._counted, title_style="red")
            for name in ("check", "where", "what", "way out"):
                table.add_column(name, overflow="fold")
            for row in self.problems.iter_rows(named=True):
                cells = (row["check"], _location(row), row["message"], row["hint"])
                # As Text, since ids and paths may hold brackets, which Rich takes for
                # styles.
                table.add_row(*map(Text, cells))
            parts.append(table)
        parts += [Text(f"note: {note}") for note in self.notes]
        parts.append(Text(repr(self)[1:-1], style="green" if self.is_sound else "red"))
        return Group(*parts)


def _location(row: Mapping[str, Any]) -> str:
    """Where a problem is, in words."""
    if row["file"] is not None:
        return str(row["file"])
    parts = [
        f"version {row['version']}" if row["version"] is not None else "",
        str(row["table"] or ""),
    ]
    return " of ".join(part for part in reversed(parts) if part) or "the dataset"
