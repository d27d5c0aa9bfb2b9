"""Which elements a caller means: ids, or rows with ids.

Ids alone name frames, or labels where their id is of one frame only; rows name
a label by `frame_id` and `label_id`, and may tell the dataset as well. Whatever
is not there, or could be several, is refused, all of it at once.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import polars as pl

from lakehouse.errors import InvalidInputError, Problem
from lakehouse.intake.tabular import Values, table_of
from lakehouse.ledger.change_log import content
from lakehouse.model.problems import raise_if_any
from lakehouse.segments.rules import nearest
from lakehouse.storage import collect
from lakehouse.types import TableLike
from lakehouse.versions.snapshot import Snapshot

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
    raise_if_any(_column_faults(columns, key[-1], element_type))
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
        raise_if_any(
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


_KINDS: Final = {"label": "dataset", "inference": "inference_set"}


def given_of(
    element_type: str,
    *,
    frames: ElementLike | None,
    labels: ElementLike | None,
    inferences: ElementLike | None,
) -> ElementLike | None:
    """Those of the arguments that are of the segment's kind; None if none were given.

    Raises:
        InvalidInputError: If others were given.
    """
    given = {"frame": frames, "label": labels, "inference": inferences}
    others = [
        f"{kind}s="
        for kind, value in given.items()
        if value is not None and kind != element_type
    ]
    if others:
        raise InvalidInputError(
            f"The segment holds {element_type}s, and {' and '.join(others)} was given. "
            f"Pass {element_type}s=, or create a segment of the other element type.",
            kind="segment.element_type",
        )
    return given[element_type]


def keys_in(
    snapshot: Snapshot, element_type: str, given: ElementLike | None, *, where: str
) -> pl.DataFrame:
    """The keys of elements in a snapshot.

    Args:
        snapshot: Where they are looked for.
        element_type: frame, label or inference.
        given: Ids, or rows with ids; None for all that the snapshot holds.
        where: The snapshot, in words.

    Raises:
        InvalidInputError: If the snapshot holds no such elements at all, or not
            all that are given; all that are missing are listed.
    """
    _check_kind(snapshot, element_type, where)
    key = key_of(element_type)
    if given is None:
        return collect(_keys(snapshot, element_type, None))
    refs = refs_of(given, element_type)
    refs = refs.select(name for name in refs.columns if name in key).unique(
        maintain_order=True
    )
    frames = refs.get_column("frame_id") if "frame_id" in refs.columns else None
    rows = _keys(snapshot, element_type, frames)
    there = collect(rows.join(refs.lazy(), on=refs.columns, how="semi"))
    return meant(
        refs,
        there,
        element_type,
        where=where,
        known=lambda: collect(
            _keys(snapshot, element_type, frames if len(key) > 1 else None)
        ),
    )


def _keys(
    snapshot: Snapshot, element_type: str, frames: pl.Series | None
) -> pl.LazyFrame:
    """The keys that a snapshot holds, of some frames or of all."""
    key = key_of(element_type)
    if snapshot.is_filtered:
        rows = snapshot.frames() if element_type == "frame" else snapshot.labels()
        return rows.select(key)
    table = "frames" if element_type == "frame" else "labels"
    keys = None if frames is None else frames.unique()
    version = snapshot.read_version
    return content(snapshot.collection, table, version, keys=keys, columns=key)


def _check_kind(snapshot: Snapshot, element_type: str, where: str) -> None:
    wanted = _KINDS.get(element_type)
    if wanted is None or snapshot.collection.layout.kind == wanted:
        return
    raise InvalidInputError(
        f"There are no {element_type}s in {where}: labels are in datasets, inferences "
        "in inference sets.",
        kind="segment.source",
    )
