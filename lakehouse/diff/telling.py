"""A diff told: as plain text, in a terminal, and in a notebook.

version 1 → 3
          added  removed  changed
frames        2        1        3
labels       10        4       25
classes: cell → debris 3, +cell 10, −debris 4
labels changed in: width 12, class_name 3
moved boxes: 12, IoU median 0.83, least 0.10, 2 under 0.5
"""

from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lakehouse.diff.tables import CHANGES

if TYPE_CHECKING:
    from lakehouse.diff.difference import Diff

__all__ = ["as_html", "as_rich", "as_text", "title_of"]

_SHOWN: Final = 6
_ALWAYS: Final = ("frames", "labels")


def title_of(diff: "Diff") -> str:
    """Which versions, or which upload, it is about."""
    if diff.upload_id is not None:
        return f"upload {diff.upload_id}, version {diff.end.version}"
    return f"version {diff.start.version} → {diff.end.version}"


def as_text(diff: "Diff") -> str:
    """The summary as lines of text."""
    if diff.is_empty:
        return f"{title_of(diff)}: nothing differs"
    counts = dict(_counts(diff))
    width = max(map(len, counts))
    rows = [
        f"{name:<{width}}" + "".join(f"{cell:>9}" for cell in cells)
        for name, cells in {"": CHANGES, **counts}.items()
    ]
    facts = [f"{name}: {told}" for name, told in _facts(diff)]
    return "\n".join([title_of(diff), *rows, *facts])


def as_rich(diff: "Diff") -> RenderableType:
    """The summary for a terminal."""
    if diff.is_empty:
        return Text(as_text(diff))
    table = Table("")
    for change, colour in zip(CHANGES, ("green", "red", "yellow"), strict=True):
        table.add_column(change, justify="right", style=colour)
    for name, cells in _counts(diff):
        table.add_row(name, *cells)
    facts = [
        Text.assemble((name, "bold"), "  ", told, overflow="fold")
        for name, told in _facts(diff)
    ]
    return Group(Text(title_of(diff), style="bold"), table, *facts)


def as_html(diff: "Diff") -> str:
    """The summary for a notebook."""
    if diff.is_empty:
        return f"<p>{escape(as_text(diff))}</p>"
    head = "".join(f"<th>{change}</th>" for change in ("", *CHANGES))
    rows = "".join(
        f"<tr><th>{escape(name)}</th>"
        + "".join(f"<td>{count}</td>" for count in cells)
        + "</tr>"
        for name, cells in _counts(diff)
    )
    facts = "".join(
        f"<p><b>{escape(name)}</b> {escape(told)}</p>" for name, told in _facts(diff)
    )
    return (
        f"<p><b>{escape(title_of(diff))}</b></p>"
        f"<table><tr>{head}</tr>{rows}</table>{facts}"
    )


def _counts(diff: "Diff") -> Iterator[tuple[str, list[str]]]:
    """Tables by their names in prose; those of vectors only if they differ."""
    for table, counts in diff.counts.items():
        if table in _ALWAYS or any(counts.values()):
            yield table.replace("_", " "), [f"{counts[name]:,}" for name in CHANGES]


def _facts(diff: "Diff") -> Iterator[tuple[str, str]]:
    """What else is worth a line."""
    moves = sorted(diff.classes().iter_rows(), key=lambda row: None in row[:2])
    classes = [_class_move(row) for row in moves]
    if classes:
        yield "classes", _list(classes)
    for table in _ALWAYS:
        fields = diff.fields(table)
        if fields:
            told = [
                f"{name} {count:,}"
                for name, count in fields.items()
                if name != "class_id" or "class_name" not in fields
            ]
            yield f"{table} changed in", _list(told)
    moved = diff.moved_boxes()
    if moved.count:
        median, least = f"{moved.median:.2f}", f"{moved.least:.2f}"
        far = f"{moved.under_half:,} under 0.5"
        yield (
            "moved boxes",
            f"{moved.count:,}, IoU median {median}, least {least}, {far}",
        )


def _class_move(row: tuple[str | None, str | None, int]) -> str:
    before, after, count = row
    if before is None:
        return f"+{after} {count:,}"
    return f"−{before} {count:,}" if after is None else f"{before} → {after} {count:,}"


def _list(parts: list[str]) -> str:
    more = len(parts) - _SHOWN
    return ", ".join(parts[:_SHOWN]) + (f" … and {more} more" if more > 0 else "")
