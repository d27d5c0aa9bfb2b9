"""Problems of input: what is wrong with which value, by which rule.

A problem of severity `error` rejects its frame; a `warning` is only reported.
`Problems` collects them, one at a time or from whole tables of rows.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from itertools import groupby
from typing import Final

import polars as pl

from lakehouse.errors import InvalidInputError, Problem, Severity

PROBLEM_SCHEMA: Final = pl.Schema(
    {
        "frame_id": pl.String,
        "label_id": pl.String,
        "path": pl.String,
        "rule": pl.String,
        "message": pl.String,
        "hint": pl.String,
        "severity": pl.String,
    }
)
"""The columns of a table of problems."""

UPLOAD_PROBLEM_SCHEMA: Final = pl.Schema(
    [*PROBLEM_SCHEMA.items(), ("upload_id", pl.String())]
)
"""The columns of a table of problems from several uploads."""

_LISTED_IN_MESSAGE: Final = 20  # a screen of lines; the error's `problems` has all


class Problems:
    """Collects the problems of one call, to report all of them at once.

    Make one, hand it to every check, and end with `raise_if_any` where the call
    is refused as a whole, or with `table` where problems are kept with an upload.

    Args:
        problems: The first ones: a table with `PROBLEM_SCHEMA`, other columns
            allowed, or `Problem`s.

    >>> problems = Problems()
    >>> problems.add(
    ...     "frames.colour", rule="column.unknown", message="No such column.", hint=""
    ... )
    >>> rows = pl.DataFrame({"frame_id": ["f1", "f2"], "width": [0, -1]})
    >>> problems.add_rows(
    ...     rows,
    ...     rule="value.range",
    ...     message=pl.format("width is {}.", "width"),
    ...     hint="Send pixels.",
    ...     field="width",
    ... )
    >>> len(problems), str(list(problems)[2])
    (3, "frames['f2'].width: width is -1. Send pixels.")
    >>> problems.table()["rule"].to_list()
    ['column.unknown', 'value.range', 'value.range']
    >>> problems.raise_if_any()
    Traceback (most recent call last):
        ...
    lakehouse.errors.InvalidInputError: Nothing was written.
      frames.colour: No such column.
      frames['f1'].width: width is 0. Send pixels.
      frames['f2'].width: width is -1. Send pixels.
    """

    def __init__(self, problems: pl.DataFrame | Iterable[Problem] = ()) -> None:
        # Tables stay tables until somebody asks: a million bad rows are no objects.
        self._parts: list[pl.DataFrame | Problem] = []
        self._omitted = 0
        self.extend(problems)

    def add(
        self,
        path: str,
        *,
        rule: str,
        message: str,
        hint: str,
        frame_id: str | None = None,
        label_id: str | None = None,
        severity: Severity = "error",
    ) -> None:
        """Add one problem; see `Problem` for what each field holds."""
        self._parts.append(
            Problem(frame_id, label_id, path, rule, message, hint, severity)
        )

    def add_rows(
        self,
        rows: pl.DataFrame,
        *,
        rule: str,
        message: pl.Expr | str,
        hint: pl.Expr | str,
        field: str = "",
        path: pl.Expr | None = None,
        severity: Severity = "error",
        limit: int | None = None,
    ) -> None:
        """Add one problem for each row, without a loop over rows.

        Args:
            rows: With `frame_id`, and `label_id` for labels; an `upload_id` is kept.
            rule: The code of the rule.
            message: What is wrong, and what the rule is; text or an expression.
            hint: What to do.
            field: The column with the bad value, if it is one.
            path: Where the value is; by default `labels['<id>'].<field>` or
                `frames['<id>'].<field>`.
            severity: Whether the frame is rejected.
            limit: How many are kept; the others are only counted.
        """
        if limit is not None and rows.height > limit:
            self._omitted += rows.height - limit
            rows = rows.head(limit)
        # Most checks find nothing, and a query over no rows still has to be planned.
        if not rows.height:
            return
        is_label = "label_id" in rows.columns
        upload = ["upload_id"] if "upload_id" in rows.columns else []
        problem = rows.select(
            "frame_id",
            "label_id" if is_label else pl.lit(None, pl.String).alias("label_id"),
            path=_path(field, is_label=is_label) if path is None else path,
            rule=pl.lit(rule),
            message=pl.lit(message) if isinstance(message, str) else message,
            hint=pl.lit(hint) if isinstance(hint, str) else hint,
            severity=pl.lit(severity),
            **{name: pl.col(name) for name in upload},
        )
        self._parts.append(problem)

    def count_more(self, number: int) -> None:
        """Count problems that are of the kinds listed, and too many to keep."""
        self._omitted += max(0, number)

    def extend(self, others: "Problems | pl.DataFrame | Iterable[Problem]") -> None:
        """Add the problems of a table, of a list, or of another collector."""
        if isinstance(others, Problems):
            self._parts += others._parts  # noqa: SLF001 - of this class
            self._omitted += others._omitted  # noqa: SLF001
        elif isinstance(others, pl.DataFrame):
            self._parts += [others] if others.height else []
        else:
            self._parts += others

    def table(self, schema: pl.Schema = PROBLEM_SCHEMA) -> pl.DataFrame:
        """The problems as one table, with the columns of `schema`.

        Args:
            schema: `UPLOAD_PROBLEM_SCHEMA` where every row had an `upload_id`.
        """
        tables: list[pl.DataFrame] = []
        for is_table, parts in groupby(
            self._parts, lambda part: isinstance(part, pl.DataFrame)
        ):
            if is_table:
                tables += [part[schema.names()] for part in parts]  # type: ignore[index]
            else:
                tables.append(pl.DataFrame(map(asdict, parts), schema=schema))  # type: ignore[arg-type]
        return pl.concat(tables) if tables else pl.DataFrame(schema=schema)

    def __iter__(self) -> Iterator[Problem]:
        for part in self._parts:
            if isinstance(part, Problem):
                yield part
            else:
                for row in part[PROBLEM_SCHEMA.names()].iter_rows(named=True):
                    yield Problem(**row)

    def __len__(self) -> int:
        """How many there are, those included that were only counted."""
        kept = (
            part.height if isinstance(part, pl.DataFrame) else 1 for part in self._parts
        )
        return self._omitted + sum(kept)

    def raise_if_any(
        self, lead: str = "Nothing was written.", *, kind: str | None = None
    ) -> None:
        """Raise if there are problems; the first are listed in the message.

        Args:
            lead: The first line of the message: what the problems lead to.
            kind: The `kind` of the error; the first problem's rule by default.

        Raises:
            InvalidInputError: If there are any; its `problems` has all that are kept.
        """
        if not self._parts:
            return
        kept = tuple(self)
        lines = [lead, *(f"  {problem}" for problem in kept[:_LISTED_IN_MESSAGE])]
        if more := len(self) - len(kept[:_LISTED_IN_MESSAGE]):
            lines.append(f"  … and {more} more")
        raise InvalidInputError(
            "\n".join(lines), kind=kind or kept[0].rule, problems=kept
        )


def _path(field: str, *, is_label: bool) -> pl.Expr:
    start = "labels['" if is_label else "frames['"
    name = pl.col("label_id" if is_label else "frame_id").fill_null("")
    return pl.concat_str(
        [pl.lit(start), name, pl.lit(f"'].{field}" if field else "']")]
    )
