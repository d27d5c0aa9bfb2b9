"""Which elements a caller means: ids, or rows with ids.

Ids alone name frames, or labels where their id is of one frame only; rows name
a label by `frame_id` and `label_id`, and may tell the dataset as well. Whatever
is not there, or could be several, is refused, all of it at once.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import polars as pl

from lakehouse.intake.tabular import Values, table_of
from lakehouse.model.problems import Problem
from lakehouse.model.refusing import refuse
from lakehouse.segments.kinds import nearest
from lakehouse.typing import TableLike

__all__ = ["ElementLike", "key_of", "meant", "refs_of"]

ElementLike = TableLike | pl.Series | Iterable[str]
"""Elements: ids, or rows with `frame_id` and, for labels, `label_id`."""

_PLACES: Final = ("dataset", "inference_set")
_SHOWN: Final = 20
_FEW: Final = 10_000


def key_of(element_type: str) -> list[str]:
    """The columns that tell elements of one collection apart.

    >>> key_of("inference")
    ['frame_id', 'label_id']
    """
    return ["frame_id"] if element_type == "frame" else ["frame_id", "label_id"]


def refs_of(given: ElementLike, element_type: str) -> pl.DataFrame:
    """What was given as rows of text, each once.

    Args:
        given: An id, ids, or rows with ids; other columns are left out.
        element_type: Of the elements meant.

    Returns:
        Those of `dataset`, `inference_set`, `frame_id` and `label_id` that were
        given; what is not in an inference set has an empty one.

    Raises:
        InvalidInputError: If there are no ids, or some are no text.
    """
    key = key_of(element_type)
    data = _unwound(given)
    if isinstance(data, list) and all(isinstance(item, str) for item in data):
        return pl.DataFrame({key[-1]: data}, schema={key[-1]: pl.String}).unique(
            maintain_order=True
        )
    table = table_of(data)
    columns = {
        name: table.columns[name] for name in (*_PLACES, *key) if name in table.columns
    }
    refuse(_column_faults(columns, key[-1], element_type))
    rows = pl.DataFrame(columns).with_columns(pl.all().cast(pl.String))
    if "inference_set" in columns:
        rows = rows.with_columns(pl.col("inference_set").fill_null(""))
    return rows.unique(maintain_order=True)


def meant(
    refs: pl.DataFrame,
    there: pl.DataFrame,
    element_type: str,
    *,
    where: str,
    known: Callable[[], pl.DataFrame] | None = None,
) -> pl.DataFrame:
    """The rows that are meant, of those that are there.

    Args:
        refs: As `refs_of` returns them.
        there: Rows with the columns of `refs`, and the key.
        element_type: Of the elements.
        where: Where they are looked for, in words.
        known: The keys that unknown ids may be typing errors of; those of `there`
            when left out.

    Raises:
        InvalidInputError: If some are not there, or could be several.
    """
    on = refs.columns
    found = there.join(refs, on=on, how="semi", maintain_order="left")
    missing = refs.join(found, on=on, how="anti", maintain_order="left")
    several = found.group_by(on, maintain_order=True).len().filter(pl.col("len") > 1)
    if missing.height or several.height:
        near = (known() if known else there) if missing.height else there
        refuse(
            [
                *_missing_faults(missing, near, element_type, where),
                *_several_faults(several, element_type, where),
            ]
        )
    return found


def _unwound(given: ElementLike) -> Any:  # noqa: ANN401 - a table, or a list
    """Ids as a list; what is a table as it is."""
    if isinstance(given, str):
        return [given]
    if isinstance(given, pl.Series):
        return given.to_list()
    is_table = isinstance(
        given, pl.DataFrame | pl.LazyFrame | Mapping | os.PathLike
    ) or hasattr(given, "__arrow_c_stream__")
    return list(given) if isinstance(given, Iterable) and not is_table else given


def _column_faults(
    columns: Mapping[str, Values], own: str, element_type: str
) -> list[Problem]:
    """Ids that are not told, or are no text."""
    if own not in columns:
        message = f"The rows have no column {own!r}, so they name no {element_type}."
        return [Problem(None, None, own, "id.missing", message, "Add it, or give ids.")]
    return [
        Problem(
            None, None, f"[{place}].{name}", "id.invalid", f"{value!r} is no id.", ""
        )
        for name, values in columns.items()
        for place, value in _no_texts(values, may_lack=name in _PLACES)
    ]


def _no_texts(values: Values, *, may_lack: bool) -> list[tuple[int, object]]:
    """The values that are no text, with their places."""
    if isinstance(values, pl.Series) and values.dtype == pl.String:
        bad = [] if may_lack else values.is_null().arg_true().to_list()
        return [(place, None) for place in bad]
    return [
        (place, value)
        for place, value in enumerate(values)
        if not isinstance(value, str) and not (value is None and may_lack)
    ]


def _missing_faults(
    missing: pl.DataFrame, known: pl.DataFrame, element_type: str, where: str
) -> list[Problem]:
    own = key_of(element_type)[-1]
    faults: list[Problem] = []
    for place, row in enumerate(missing.iter_rows(named=True)):
        hint = ""
        if place < _SHOWN:
            mine = known
            if own == "label_id" and "frame_id" in row:
                mine = known.filter(pl.col("frame_id") == row["frame_id"])
            hint = nearest(row[own], mine.get_column(own).head(_FEW))
        message = f"{_told(row, element_type)} is not in {where}."
        faults.append(_fault(row, "element.unknown", message, hint))
    return faults


def _several_faults(
    several: pl.DataFrame, element_type: str, where: str
) -> list[Problem]:
    return [
        _fault(
            row,
            "element.ambiguous",
            f"{_told(row, element_type)} could be any of {row['len']} in {where}.",
            "Give rows with more columns: frame_id, dataset, inference_set.",
        )
        for row in several.iter_rows(named=True)
    ]


def _told(row: Mapping[str, Any], element_type: str) -> str:
    own = key_of(element_type)[-1]
    told = f"{element_type.capitalize()} {row[own]!r}"
    if own == "label_id" and "frame_id" in row:
        told += f" of frame {row['frame_id']!r}"
    return told


def _fault(row: Mapping[str, Any], rule: str, message: str, hint: str) -> Problem:
    frame_id, label_id = row.get("frame_id"), row.get("label_id")
    return Problem(frame_id, label_id, "elements", rule, message, hint)
