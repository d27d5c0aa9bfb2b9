"""Reading a segment: its elements as they were, as they are, and what differs."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import polars as pl

from lakehouse.errors import FormatError, InvalidInputError
from lakehouse.segments.home import Home, Place
from lakehouse.segments.refs import key_of
from lakehouse.segments.row import Described
from lakehouse.segments.staleness import KEY, frozen, out_of_date
from lakehouse.types import ElementType
from lakehouse.versions.history import as_json
from lakehouse.versions.snapshot import HasVersions

_KINDS: Final = (".json", ".csv")


def exported(elements: pl.DataFrame, tracking: pl.DataFrame) -> pl.DataFrame:
    """Elements with what is kept of each, side by side.

    Args:
        elements: As a segment returns them.
        tracking: The same elements, in the same order.
    """
    kept = ("earlier", "comments", "added_at", "added_by", "updated_at")
    return elements.with_columns(tracking.select(kept))


def write_export(
    path: str | os.PathLike[str], segment: Mapping[str, Any], rows: pl.DataFrame
) -> None:
    """Write a segment as JSON or CSV, in place of a file that is there.

    Args:
        path: Where to; the ending tells the kind.
        segment: What it is.
        rows: Its elements, as `exported` returns them.

    Raises:
        InvalidInputError: If it is neither .json nor .csv.
    """
    target = Path(path)
    match target.suffix.lower():
        case ".json":
            elements = [
                {name: value for name, value in row.items() if value is not None}
                for row in rows.iter_rows(named=True)
            ]
            text = as_json({"segment": dict(segment), "elements": elements})
            target.write_text(f"{text}\n", encoding="utf-8")
        case ".csv":
            rows.select(_flat(column) for column in rows).write_csv(target)
        case kind:
            raise InvalidInputError(
                f"Segments are written as {' or '.join(_KINDS)}, not as "
                f"{kind or 'a file without an ending'}.",
                kind="segment.export",
            )


def _flat(column: pl.Series) -> pl.Series:
    """A column that a cell of CSV can hold: lists as JSON."""
    if not column.dtype.is_nested():
        return column
    texts = [None if value is None else as_json(value) for value in column.to_list()]
    return pl.Series(column.name, texts, dtype=pl.String)


def told(rows: pl.DataFrame, element_type: str) -> pl.DataFrame:
    """Rows with the whole key, sorted; null instead of an empty inference set.

    Frames have no label id.
    """
    ids = ["dataset", "inference_set", *key_of(element_type)]
    rest = [name for name in rows.columns if name not in KEY]
    mine = pl.col("inference_set")
    shown = pl.when(mine != "").then(mine).alias("inference_set")
    return rows.sort(ids).with_columns(shown).select(*ids, *rest)


def put_together(
    parts: Sequence[pl.DataFrame], element_type: str, first: Mapping[str, pl.DataType]
) -> pl.DataFrame:
    """The elements of several collections as one table.

    Args:
        parts: Rows with the whole key, and the collection's own columns.
        element_type: Of the elements.
        first: The columns that all have, to come behind the ids.

    Raises:
        InvalidInputError: If a column is of different types.
    """
    types: dict[str, set[str]] = {}
    for part in parts:
        for name, dtype in part.schema.items():
            types.setdefault(name, set()).add(str(dtype))
    mixed = {name: sorted(kinds) for name, kinds in types.items() if len(kinds) > 1}
    if mixed:
        listed = "; ".join(
            f"{name}: {' and '.join(kinds)}" for name, kinds in mixed.items()
        )
        raise InvalidInputError(
            f"Columns are of different types in different datasets: {listed}. Read them "
            "one by one: segment.elements(dataset=…).",
            kind="segment.types",
        )
    shape = dict.fromkeys(KEY, pl.String()) | dict(first)
    rows = pl.concat([pl.DataFrame(schema=shape), *parts], how="diagonal")
    return told(rows, element_type)


def beside(mine: pl.DataFrame, found: pl.DataFrame, key: Sequence[str]) -> pl.DataFrame:
    """What was found of each element, with `is_deleted` where nothing was."""
    there = found.with_columns(is_deleted=pl.lit(value=False))
    rows = mine.join(there, on=list(key), how="left", maintain_order="left")
    return rows.with_columns(pl.col("is_deleted").fill_null(value=True))


def stale_schema(element_type: str) -> pl.Schema:
    """The columns of elements that are out of date, with the whole key."""
    lists = ("fields", "labels") if element_type == "frame" else ("fields",)
    return pl.Schema(
        {
            **dict.fromkeys(KEY, pl.String()),
            "version": pl.Int64(),
            "latest": pl.Int64(),
            "reason": pl.String(),
            **dict.fromkeys(lists, pl.List(pl.String())),
        }
    )


_VERSION: Final[dict[str, pl.DataType]] = {"version": pl.Int64()}
_WORK: Final[dict[str, pl.DataType]] = dict.fromkeys(
    ("status", "batch", "assignee"), pl.String()
)
_SHOWN: Final = 5


class Readable(Described):
    """The reading half of a segment."""

    def __init__(self, home: Home, segment_id: str, element_type: ElementType) -> None:
        super().__init__(home, segment_id)
        self._kind: ElementType = element_type

    @property
    def element_type(self) -> ElementType:
        """What it holds: frame, label or inference."""
        return self._kind

    @property
    def count(self) -> int:
        """How many elements it has."""
        return self._rows().height

    def elements(
        self, *, dataset: str | None = None, inference_set: str | None = None
    ) -> pl.DataFrame:
        """The elements as they were at their versions, whatever was done since.

        Args:
            dataset: Only those of this dataset.
            inference_set: Only those of this inference set.

        Returns:
            A row an element, sorted: `dataset`, `inference_set`, `frame_id`,
            `label_id` (not of frames), `version`, `status`, `batch`, `assignee`, then
            the row's columns as the snapshot had them.

        Raises:
            InvalidInputError: If a metadata field is of different types in different
                datasets: read them one by one.
        """
        return self._as_they_were(self._rows(dataset, inference_set))

    def labels(
        self, *, dataset: str | None = None, inference_set: str | None = None
    ) -> pl.DataFrame:
        """The labels of the segment's frames as they were at the frames' versions.

        Args:
            dataset: Only those of this dataset.
            inference_set: Only those of this inference set: its inferences.

        Returns:
            A row a label, sorted: `dataset`, `inference_set`, `frame_id`, `label_id`,
            `version`, then the label's columns.

        Raises:
            InvalidInputError: If the segment holds labels or inferences.
        """
        if self._kind != "frame":
            raise InvalidInputError(
                f"The segment holds {self._kind}s: segment.elements() gives them.",
                kind="segment.element_type",
            )
        parts: list[pl.DataFrame] = []
        for place, mine in self._by_place(self._rows(dataset, inference_set)):
            wanted = mine.select("frame_id", "version")
            found = frozen(self._home.collection(place), "labels", wanted)
            names = {name: pl.lit(part) for name, part in place._asdict().items()}
            parts.append(found.with_columns(**names))
        return put_together(parts, "label", _VERSION)

    def tracking(self) -> pl.DataFrame:
        """What is kept of each element, beside its row: nothing of a dataset is read.

        Returns:
            A row an element, sorted: its ids, `version`, `earlier` versions, `status`,
            `batch`, `assignee`, `comments` (lists of author, time and text),
            `added_at`, `added_by`, `updated_at`.
        """
        return told(self._rows().drop("segment"), self._kind)

    def batches(self) -> pl.DataFrame:
        """The batches of work, and how far each is.

        Returns:
            A row a batch, in order: `batch`, `elements`, `done`, `assignees`, and
            `status`: queued, assigned once somebody works on it, done when all is.
        """
        rows = self._rows().drop_nulls("batch").sort("batch")
        # batch_10 comes after batch_9.
        rows = rows.sort(pl.col("batch").str.len_chars(), maintain_order=True)
        done = pl.col("status") == "done"
        status = (
            pl.when(done.all()).then(pl.lit("done"))
            .when(pl.col("assignee").is_not_null().any()).then(pl.lit("assigned"))
            .otherwise(pl.lit("queued"))
        )  # fmt: skip
        return rows.group_by("batch", maintain_order=True).agg(
            elements=pl.len(),
            done=done.sum(),
            assignees=pl.col("assignee").drop_nulls().unique().sort(),
            status=status,
        )

    def out_of_date(self) -> pl.DataFrame:
        """The elements that are not any more what they were when they were added.

        An element counts when it was deleted or changed itself; a frame also when
        its labels did. Vectors do not count, and what was changed back does not.

        Returns:
            A row an element, sorted: its ids, its `version`; `latest`, the version it
            was compared with; `reason`: deleted, changed or labels changed; `fields`
            that differ; and of frames `labels`: ids of those that differ.
        """
        return told(self._stale(self._rows()), self._kind)

    def current(self) -> pl.DataFrame:
        """The same elements as they are now: a row for each, in the same order.

        Returns:
            The ids, `version` (the latest), `is_deleted`, and the row's columns, null
            where it was deleted.
        """
        key = key_of(self._kind)
        parts: list[pl.DataFrame] = []
        for place, mine in self._by_place(self._rows()):
            collection = self._home.collection(place)
            now = pl.lit(collection.head().content_version, dtype=pl.Int64)
            wanted = mine.select(*key, version=now)
            found = frozen(collection, self._table, wanted).drop("version")
            parts.append(beside(mine.select(*KEY, version=now), found, key))
        first = _VERSION | {"is_deleted": pl.Boolean()}
        return put_together(parts, self._kind, first)

    def frame_ids(self, dataset: HasVersions | str) -> list[str]:
        """The frames of a dataset that elements are, or are on, sorted.

        Args:
            dataset: The dataset, or its name; frames of its inference sets count.
        """
        name = dataset if isinstance(dataset, str) else dataset.name
        rows = self._rows(name)
        return rows.get_column("frame_id").unique().sort().to_list()

    def require_current(self) -> None:
        """Refuse what makes sense only for elements that are as they were.

        Searching a dataset for what resembles an element is such: the dataset holds
        another version of it.

        Raises:
            InvalidInputError: If elements are out of date; the first are named.
        """
        stale = self.out_of_date()
        if not stale.height:
            return
        own = key_of(self._kind)[-1]
        shown = ", ".join(
            f"{row[own]!r} ({row['reason']})"
            for row in stale.head(_SHOWN).iter_rows(named=True)
        )
        more = ", …" if stale.height > _SHOWN else ""
        raise InvalidInputError(
            f"{stale.height:,} elements of segment {self.name!r} are of an older version: "
            f"{shown}{more}. segment.refresh() moves them to the latest, and "
            "segment.remove() takes out those that were deleted.",
            kind="segment.out_of_date",
        )

    def export(self, path: str | os.PathLike[str]) -> int:
        """Write the elements as they were, with all that is kept of them, to a file.

        Args:
            path: A `.json` file: an object of `segment` and `elements`; or `.csv`,
                where lists and comments are JSON. A file that is there is replaced.

        Returns:
            How many elements were written.

        Raises:
            InvalidInputError: If the file is of another kind.
        """
        rows = self._rows()
        elements = exported(self._as_they_were(rows), told(rows, self._kind))
        write_export(path, self.to_dict(), elements)
        return elements.height

    # -------------------------------- INSIDE -------------------------------- #

    @property
    def _table(self) -> str:
        return "frames" if self._kind == "frame" else "labels"

    def _rows(
        self, dataset: str | None = None, inference_set: str | None = None
    ) -> pl.DataFrame:
        rows = self._home.elements.rows(self.id)
        if dataset is not None:
            rows = rows.filter(pl.col("dataset") == dataset)
        if inference_set is not None:
            rows = rows.filter(pl.col("inference_set") == inference_set)
        return rows

    @staticmethod
    def _by_place(rows: pl.DataFrame) -> Iterator[tuple[Place, pl.DataFrame]]:
        parts = rows.group_by("dataset", "inference_set", maintain_order=True)
        for (dataset, inference_set), mine in parts:
            yield Place(str(dataset), str(inference_set)), mine

    def _as_they_were(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The frozen rows of those of the segment's rows."""
        key = key_of(self._kind)
        parts: list[pl.DataFrame] = []
        for place, mine in self._by_place(rows):
            wanted = mine.select(*key, "version")
            found = frozen(self._home.collection(place), self._table, wanted)
            if found.height < mine.height:
                self._tell_lost(mine, found, place)
            parts.append(mine.select(*KEY, *_WORK).join(found, on=key, how="inner"))
        return put_together(parts, self._kind, _VERSION | _WORK)

    def _stale(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Those of the segment's rows that are out of date, by their keys."""
        key = key_of(self._kind)
        parts = [pl.DataFrame(schema=stale_schema(self._kind))]
        for place, mine in self._by_place(rows):
            wanted = mine.select(*key, "version")
            found = out_of_date(self._home.collection(place), self._kind, wanted)
            whole = mine.select(KEY).join(
                found, on=key, how="inner", maintain_order="left"
            )
            parts.append(whole.select(parts[0].columns))
        return pl.concat(parts)

    def _tell_lost(self, mine: pl.DataFrame, found: pl.DataFrame, place: Place) -> None:
        """Some elements are not where they were found once: that is damage."""
        key = key_of(self._kind)
        lost = mine.join(found, on=key, how="anti")
        raise FormatError(
            f"{lost.height:,} elements of segment {self.name!r} are not in the change log "
            f"of {place} any more, such as {lost.row(0, named=True)['frame_id']!r}. Its "
            "verify() tells what is damaged.",
            kind="segment.lost",
        )
