"""The elements that a caller names: by ids, or by rows with ids.

Ids alone name frames, or labels where their id is of one frame only; rows name
a label by `frame_id` and `label_id`, and may name the dataset as well. Whatever
is missing, or could be several, is refused, all of it at once.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import polars as pl

from lakehouse.errors import InvalidInputError, Problem
from lakehouse.intake.tabular import Values, table_of
from lakehouse.ledger.change_log import content
from lakehouse.model.problems import Problems
from lakehouse.segments.rules import key_of, suggestion
from lakehouse.storage import collect
from lakehouse.types import TableLike
from lakehouse.versions.snapshot import Snapshot, collection_of, read_version_of

ElementLike = TableLike | pl.Series | Iterable[str]
"""Elements: ids, or rows with `frame_id` and, for labels, `label_id`."""

_PLACES: Final = ("dataset", "inference_set")
_SOURCES: Final = {"label": "dataset", "inference": "inference_set"}
"""The kind of collection that has such elements; frames are in both."""
_HINTED: Final = 20
"""Missing ids that get a suggestion, as many as an error message lists."""
_COMPARED_IDS: Final = 10_000
"""Known ids that a missing one is compared with: difflib compares them one by one."""


def refs_of(given: ElementLike, element_type: str) -> pl.DataFrame:
    """The elements named, as rows of text, each once.

    Args:
        given: An id, ids, or rows with ids; other columns are left out.
        element_type: Of the elements.

    Returns:
        Those of `dataset`, `inference_set`, `frame_id` and `label_id` that were
        given. An element that is in no inference set has an empty one.

    Raises:
        InvalidInputError: If there are no ids, or some are no text.
    """
    key = key_of(element_type)
    data = _as_ids(given)
    if isinstance(data, list) and all(isinstance(item, str) for item in data):
        return pl.DataFrame({key[-1]: data}, schema={key[-1]: pl.String}).unique(
            maintain_order=True
        )
    table = table_of(data)
    columns = {
        name: table.columns[name] for name in (*_PLACES, *key) if name in table.columns
    }
    Problems(_column_problems(columns, key[-1], element_type)).raise_if_any()
    # Only text and null are left; a column of nulls alone has no type yet.
    rows = pl.DataFrame(columns).with_columns(pl.all().cast(pl.String))
    if "inference_set" in columns:
        rows = rows.with_columns(pl.col("inference_set").fill_null(""))
    return rows.unique(maintain_order=True)


def matching_rows(
    refs: pl.DataFrame,
    rows: pl.DataFrame,
    element_type: str,
    *,
    where: str,
    known: Callable[[], pl.DataFrame] | None = None,
) -> pl.DataFrame:
    """The rows that references name.

    Args:
        refs: As `refs_of` returns them.
        rows: Rows with the columns of `refs`, and the key.
        element_type: Of the elements.
        where: The place that is searched, in words.
        known: Reads the keys that unknown ids may be typing errors of, only when
            ids are missing; those of `rows` when left out.

    Raises:
        InvalidInputError: If a reference matches no row, or several.
    """
    on = refs.columns
    # On the columns that were given: one reference may match several rows.
    matches = rows.join(refs, on=on, how="semi", maintain_order="left")
    missing = refs.join(matches, on=on, how="anti", maintain_order="left")
    several = matches.group_by(on, maintain_order=True).len().filter(pl.col("len") > 1)
    if missing.height or several.height:
        keys = (known() if known else rows) if missing.height else rows
        Problems(
            [
                *_missing_problems(missing, keys, element_type, where),
                *_ambiguous_problems(several, element_type, where),
            ]
        ).raise_if_any()
    return matches


def _as_ids(given: ElementLike) -> Any:  # noqa: ANN401 - a table, or a list
    """Ids as a list; a table as it is."""
    if isinstance(given, str):
        return [given]
    if isinstance(given, pl.Series):
        return given.to_list()
    # A table must not be iterated: that gives its columns, not its rows.
    is_table = isinstance(
        given, pl.DataFrame | pl.LazyFrame | Mapping | os.PathLike
    ) or hasattr(given, "__arrow_c_stream__")
    return list(given) if isinstance(given, Iterable) and not is_table else given


def _column_problems(
    columns: Mapping[str, Values], own: str, element_type: str
) -> list[Problem]:
    """The problems of columns: ids that are missing, or are no text."""
    if own not in columns:
        message = f"The rows have no column {own!r}, so they name no {element_type}."
        return [Problem(None, None, own, "id.missing", message, "Add it, or give ids.")]
    return [
        Problem(
            None, None, f"[{place}].{name}", "id.invalid", f"{value!r} is no id.", ""
        )
        for name, values in columns.items()
        for place, value in _non_texts(values, may_be_null=name in _PLACES)
    ]


def _non_texts(values: Values, *, may_be_null: bool) -> list[tuple[int, object]]:
    """The values that are no text, with their places."""
    if isinstance(values, pl.Series) and values.dtype == pl.String:
        nulls = [] if may_be_null else values.is_null().arg_true().to_list()
        return [(place, None) for place in nulls]
    return [
        (place, value)
        for place, value in enumerate(values)
        if not isinstance(value, str) and not (value is None and may_be_null)
    ]


def _missing_problems(
    missing: pl.DataFrame, known: pl.DataFrame, element_type: str, where: str
) -> list[Problem]:
    own = key_of(element_type)[-1]
    problems: list[Problem] = []
    for place, row in enumerate(missing.iter_rows(named=True)):
        hint = ""
        # A suggestion compares with every known id, and the message lists only the first.
        if place < _HINTED:
            candidates = known
            if own == "label_id" and "frame_id" in row:
                candidates = known.filter(pl.col("frame_id") == row["frame_id"])
            hint = suggestion(row[own], candidates[own].head(_COMPARED_IDS))
        message = f"{_describe(row, element_type)} is not in {where}."
        problems.append(_problem(row, "element.unknown", message, hint))
    return problems


def _ambiguous_problems(
    several: pl.DataFrame, element_type: str, where: str
) -> list[Problem]:
    return [
        _problem(
            row,
            "element.ambiguous",
            f"{_describe(row, element_type)} could be any of {row['len']} in {where}.",
            "Give rows with more columns: frame_id, dataset, inference_set.",
        )
        for row in several.iter_rows(named=True)
    ]


def _describe(row: Mapping[str, Any], element_type: str) -> str:
    own = key_of(element_type)[-1]
    text = f"{element_type.capitalize()} {row[own]!r}"
    if own == "label_id" and "frame_id" in row:
        text += f" of frame {row['frame_id']!r}"
    return text


def _problem(row: Mapping[str, Any], rule: str, message: str, hint: str) -> Problem:
    frame_id, label_id = row.get("frame_id"), row.get("label_id")
    return Problem(frame_id, label_id, "elements", rule, message, hint)


def elements_argument(
    element_type: str,
    *,
    frames: ElementLike | None,
    labels: ElementLike | None,
    inferences: ElementLike | None,
) -> ElementLike | None:
    """The argument of the segment's element type; None if it was not given.

    Raises:
        InvalidInputError: If another one was given.
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
        snapshot: The snapshot that is searched.
        element_type: frame, label or inference.
        given: Ids, or rows with ids; None for all that the snapshot holds.
        where: The snapshot, in words.

    Raises:
        InvalidInputError: If the snapshot holds no such elements at all, or not
            all that are given; all that are missing are listed.
    """
    _check_source(snapshot, element_type, where)
    key = key_of(element_type)
    if given is None:
        return collect(_keys(snapshot, element_type, None))
    refs = refs_of(given, element_type)
    # A snapshot is of one place; rows of `elements()` name the dataset as well.
    refs = refs.select(name for name in refs.columns if name in key).unique(
        maintain_order=True
    )
    frames = refs.get_column("frame_id") if "frame_id" in refs.columns else None
    rows = _keys(snapshot, element_type, frames)
    matches = collect(rows.join(refs.lazy(), on=refs.columns, how="semi"))
    return matching_rows(
        refs,
        matches,
        element_type,
        where=where,
        # Labels of a frame are few; without a frame, all keys are read for the hint.
        known=lambda: collect(
            _keys(snapshot, element_type, frames if len(key) > 1 else None)
        ),
    )


def _keys(
    snapshot: Snapshot, element_type: str, frames: pl.Series | None
) -> pl.LazyFrame:
    """The keys that a snapshot holds, of some frames or of all."""
    key = key_of(element_type)
    # A filter reads rows anyway; without one, only the key columns are read.
    if snapshot.is_filtered:
        rows = snapshot.frames() if element_type == "frame" else snapshot.labels()
        return rows.select(key)
    table = "frames" if element_type == "frame" else "labels"
    # Files that hold none of these frames are not read.
    keys = None if frames is None else frames.unique()
    version = read_version_of(snapshot)
    return content(collection_of(snapshot), table, version, keys=keys, columns=key)


def _check_source(snapshot: Snapshot, element_type: str, where: str) -> None:
    wanted = _SOURCES.get(element_type)
    if wanted is None or collection_of(snapshot).layout.kind == wanted:
        return
    raise InvalidInputError(
        f"There are no {element_type}s in {where}: labels are in datasets, inferences "
        "in inference sets.",
        kind="segment.source",
    )
