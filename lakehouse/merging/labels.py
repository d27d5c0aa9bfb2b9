"""New rows and deletions of labels."""

from collections.abc import Mapping
from typing import Final

import polars as pl

from lakehouse.merging.rows import (
    coalesce_update,
    concat_rows,
    conform,
    logical_columns,
    of_op,
    table_change,
)
from lakehouse.merging.types import Current, Rules, TableChange, no_change

_KEY: Final = ["frame_id", "label_id"]


def label_change(
    labels: pl.DataFrame, targets: pl.DataFrame, current: Current, rules: Rules
) -> TableChange:
    """The labels that are created, replaced, modified or deleted."""
    if not labels.height and not current.labels.keys.height:
        return no_change(rules.layout, "labels")
    shape = rules.layout.contract("labels")
    extras = dict(rules.label_metadata)
    fields = logical_columns(shape, extras)
    whole = of_op(labels, "ADD")
    parts = [conform(whole, fields)]
    sent = of_op(labels, "MODIFY") if whole.height < labels.height else labels.clear()
    if sent.height:
        old = current.labels.rows
        # A label that is not there was reported by the checks, and is left out here.
        existing = sent.join(old, on=_KEY, how="semi", maintain_order="left")
        parts.append(conform(coalesce_update(existing, old, _KEY, fields), fields))
    rows = _with_class_ids(concat_rows(parts), rules.class_ids, current.labels.rows)
    existing = current.labels.keys
    removed, uploads = removed_labels(labels, targets, existing)
    return table_change(rows, removed, uploads, existing, shape, extras)


def removed_labels(
    labels: pl.DataFrame, targets: pl.DataFrame, existing: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Keys of a table keyed by label that leave, and which upload takes them out.

    They leave with their frame, by a frame that is added anew without them, or
    one by one.
    """
    uploads = targets[["frame_id", "upload_id"]]
    if not existing.height:
        return existing, uploads
    replaced_frames = targets.filter(pl.col("frame_op").is_in(["ADD", "DELETE"]))
    if not replaced_frames.height and of_op(labels, "ADD").height == labels.height:
        return existing.clear(), uploads
    # A label that is sent again with its frame is replaced: one change of its key.
    sent = labels.filter(pl.col("op") != "DELETE")
    by_frame = existing.join(replaced_frames, on="frame_id", how="semi").join(
        sent, on=_KEY, how="anti"
    )
    # No key is in both: deleting a label of a frame that is added or deleted is an
    # error, so no such frame landed.
    deleted_labels = labels.filter(pl.col("op") == "DELETE")
    by_label = existing.join(deleted_labels, on=_KEY, how="semi")
    return pl.concat([by_frame, by_label]), uploads


def _with_class_ids(
    rows: pl.DataFrame, class_ids: Mapping[str, int], existing: pl.DataFrame
) -> pl.DataFrame:
    """The class ids that go with the names.

    A name no longer known, kept by a MODIFY of other fields, keeps its id. Rows
    that were hashed when they were staged have theirs: the class map is still the same.
    """
    if "row_hash" in rows.columns:
        return rows
    name = pl.col("class_name")
    ids = name.replace_strict(dict(class_ids), default=None, return_dtype=pl.Int64)
    if not existing.height:
        return rows.with_columns(class_id=ids)
    old = existing.select(*_KEY, _old_name="class_name", _old_id="class_id")
    kept = pl.when(name == pl.col("_old_name")).then(pl.col("_old_id"))
    return (
        rows.join(old, on=_KEY, how="left", maintain_order="left")
        .with_columns(class_id=pl.coalesce(ids, kept))
        .drop("_old_name", "_old_id")
    )
