"""The kernel: operations over the rows there are give changes, or problems.

    1. name every touched frame, and everything wrong with it
    2. leave out the frames with an error: the frame is the unit of partial success
    3. new rows of frames, labels and vectors; a row equal to the one there is no change
    4. count the result of each frame and label

Whether a label id is also on another frame is not looked at: a label is known
by its frame and its own id together.
"""

import difflib
from typing import Final

import polars as pl

from lakehouse.merging.counting import count
from lakehouse.merging.evolve import evolve
from lakehouse.merging.rows import (
    all_are,
    anti_join,
    frame_change,
    frame_vector_change,
    label_change,
    label_vector_change,
)
from lakehouse.merging.types import Current, MergeInputs, Outcome, Rules
from lakehouse.model.contracts import Layout
from lakehouse.model.labels import MASK_CLASS
from lakehouse.model.operations import IF_EXISTS, OP
from lakehouse.model.problems import UPLOAD_PROBLEM_SCHEMA, Problems

_LABEL_KEY: Final = ["frame_id", "label_id"]
_CLASSES_IN_HINT: Final = 20  # a line or two of a terminal


def merge(inputs: MergeInputs) -> Outcome:
    """Decide what the operations of some uploads do to the tables.

    First what crosses frames is settled (types of new fields, length of vectors),
    then each frame is judged and changed by itself.
    """
    problems = Problems(inputs.operations.problems)
    rules, operations = evolve(inputs.rules, inputs.operations, problems)
    problems.extend(inputs.problems)
    current = inputs.current
    frames = _with_op(operations.frames, ["frame_id"])
    labels = _with_op(operations.labels, ["frame_id", "label_id"])
    targets = _targets(frames, labels, current)
    _check_frames(targets, rules.layout, problems)
    _check_labels(labels, targets, current, rules, problems)
    _check_stale(targets, inputs.stale, problems)
    errors = problems.table(UPLOAD_PROBLEM_SCHEMA)
    if errors.height:
        errors = errors.filter(severity="error")
    rejected = _rejected(targets, errors, inputs.abort)
    if rejected.height:
        _add_aborted(targets, rejected, errors, problems)
    left_out = rejected
    if (skipped := _skipped(targets)).height:
        left_out = pl.concat([rejected, skipped]).unique()
    # The frame is the unit: from here on, a frame's operations are all or none.
    landing = anti_join(targets, left_out)
    frames, labels = anti_join(frames, left_out), anti_join(labels, left_out)
    layout = rules.layout
    changes = {
        "frames": frame_change(frames, landing, current, rules),
        "labels": label_change(labels, landing, current, rules),
        "frame_embeddings": frame_vector_change(frames, landing, current, layout),
        "label_embeddings": label_vector_change(labels, landing, current, layout),
    }
    counts = count(targets, operations.labels, rejected, changes)
    return Outcome(changes, problems.table(UPLOAD_PROBLEM_SCHEMA), counts, rules)


def _with_op(rows: pl.DataFrame, key: list[str]) -> pl.DataFrame:
    """Operations with `op` named as tables name it; with columns when there are none."""
    if not rows.width:
        return pl.DataFrame(schema=dict.fromkeys([*key, "op", "upload_id"], pl.String))
    return rows.rename({OP: "op"})


def _targets(
    frames: pl.DataFrame, labels: pl.DataFrame, current: Current
) -> pl.DataFrame:
    """One row a touched frame: upload, frame operation, and whether it is there."""
    if_exists = pl.col(IF_EXISTS) if IF_EXISTS in frames.columns else pl.lit("replace")
    by_frame = frames.select(
        "frame_id", "upload_id", frame_op="op", if_exists=if_exists
    )
    null = pl.lit(None, dtype=pl.String)
    by_label = _frames_of(labels)
    # The usual upload names the same frames in the same order on both sides, and is
    # compared in one pass where a join would hash every id.
    if not frames.height:
        by_frame = by_label.with_columns(frame_op=null, if_exists=null)
    elif not by_label.get_column("frame_id").equals(frames.get_column("frame_id")):
        by_label = by_label.join(by_frame, on="frame_id", how="anti")
        by_label = by_label.with_columns(frame_op=null, if_exists=null)
        by_frame = pl.concat([by_frame, by_label])
    existing = current.frames.keys
    if existing.height in {0, by_frame.height}:
        # What exists is a part of what is touched, so it is none or all: no join.
        return by_frame.with_columns(exists=pl.lit(value=existing.height > 0))
    existing = existing.select("frame_id", exists=True)
    return by_frame.join(
        existing, on="frame_id", how="left", maintain_order="left"
    ).with_columns(pl.col("exists").fill_null(value=False))


def _frames_of(labels: pl.DataFrame) -> pl.DataFrame:
    """The frames that labels are of, each once, with its upload."""
    rows = labels[["frame_id", "upload_id"]]
    frame_id = rows.get_column("frame_id")
    if rows.height < 2:  # noqa: PLR2004 - one is once
        return rows
    # Sorted ids repeat side by side: a comparison with the row before is enough.
    if frame_id.is_sorted():
        return rows.filter(frame_id.ne_missing(frame_id.shift(1)))
    return rows.unique("frame_id", maintain_order=True)


def _rejected(
    targets: pl.DataFrame, errors: pl.DataFrame, abort: frozenset[str]
) -> pl.DataFrame:
    """The `frame_id`s that do not land: of an error, or of an upload to abort."""
    if not errors.height:
        return targets[["frame_id"]].clear()
    frame_ids = errors.select("frame_id").drop_nulls().unique()
    failed = set(errors.get_column("upload_id").to_list()) & abort
    if failed:
        aborted = targets.filter(pl.col("upload_id").is_in(list(failed)))
        frame_ids = pl.concat([frame_ids, aborted.select("frame_id")]).unique()
    # A problem may name a frame that no operation touches: it is not one to count.
    return frame_ids.join(targets, on="frame_id", how="semi")


def _add_aborted(
    targets: pl.DataFrame,
    rejected: pl.DataFrame,
    errors: pl.DataFrame,
    problems: Problems,
) -> None:
    """The problem of frames that are rejected only for others of their upload."""
    problems.add_rows(
        targets.join(rejected, on="frame_id", how="semi").join(
            errors, on="frame_id", how="anti"
        ),
        rule="upload.aborted",
        message="The frame is right, but another of the upload is not, and the upload "
        "is all or nothing.",
        hint="Mend the other frames, or upload with on_error='reject'.",
    )


def _skipped(targets: pl.DataFrame) -> pl.DataFrame:
    if not targets.get_column("exists").any():
        return targets[["frame_id"]].clear()
    skips = (
        pl.col("exists")
        & (pl.col("frame_op") == "ADD")
        & (pl.col("if_exists") == "skip")
    )
    return targets.filter(skips).select("frame_id")


# ------------------------------------ CHECKS ------------------------------------ #


def _check_frames(targets: pl.DataFrame, layout: Layout, problems: Problems) -> None:
    """Problems of frames as a whole.

    Args:
        targets: One row a touched frame: `frame_op` (null when only labels are
            sent), `exists`, `if_exists`.
        layout: Of what they are touched.
        problems: Takes them.
    """
    whole = layout.kind.replace("_", " ")
    op, exists = pl.col("frame_op"), pl.col("exists")
    # Most frames are added and new, which cannot be wrong: one filter for them, and
    # the four below see few rows.
    is_new = ~exists & (op == "ADD")
    targets = targets.filter(~is_new.fill_null(value=False))
    if not targets.height:
        return
    problems.add_rows(
        targets.filter(~exists & (op.is_null() | (op == "MODIFY"))),
        rule="frame.unknown",
        message=f"The frame is not in the {whole}, so it cannot be changed.",
        hint="Add the frame first, or correct its id.",
    )
    problems.add_rows(
        targets.filter(~exists & (op == "DELETE")),
        rule="frame.unknown",
        message=f"The frame is not in the {whole}, so there is nothing to delete.",
        hint="Nothing needs to be done.",
        severity="warning",
    )
    added_again = targets.filter(exists & (op == "ADD"))
    problems.add_rows(
        added_again.filter(pl.col("if_exists") == "reject"),
        rule="frame.exists",
        message=f"The frame is in the {whole} already, and if_exists is 'reject'.",
        hint="Use another id, modify the frame, or add it with if_exists='replace'.",
    )
    problems.add_rows(
        added_again.filter(pl.col("if_exists") == "skip"),
        rule="frame.exists",
        message=f"The frame is in the {whole} already and was skipped.",
        hint="Nothing needs to be done.",
        severity="warning",
    )


def _check_labels(
    labels: pl.DataFrame,
    targets: pl.DataFrame,
    current: Current,
    rules: Rules,
    problems: Problems,
) -> None:
    """Problems of single labels."""
    if not labels.height:
        return
    ops = targets.get_column("frame_op")
    # Labels that are all added, to frames that stay, can only have a wrong class.
    if (ops == "DELETE").any() or not all_are(labels, "ADD", "op"):
        placed = labels.join(
            targets.select("frame_id", "frame_op", "exists"), on="frame_id", how="left"
        )
        problems.add_rows(
            placed.filter(pl.col("frame_op") == "DELETE"),
            rule="label.frame_deleted",
            message="The upload deletes the label's frame.",
            hint="Leave the label out, or do not delete the frame.",
        )
        problems.add_rows(
            placed.filter((pl.col("frame_op") == "ADD") & (pl.col("op") != "ADD")),
            rule="label.frame_added",
            message="The upload adds the label's frame as a whole, so its labels must "
            "be added as a whole too.",
            hint="Give the full label, or modify the frame instead.",
        )
        _check_existing(placed, current, problems)
    _check_classes(labels, rules, problems)


def _check_existing(placed: pl.DataFrame, current: Current, problems: Problems) -> None:
    """Labels changed or deleted that are not there, or are of another type."""
    # A label of a frame that is missing, deleted or added anew has its problem already.
    changed = placed.filter(
        (pl.col("op") != "ADD")
        & pl.col("exists")
        & (pl.col("frame_op").is_null() | (pl.col("frame_op") == "MODIFY"))
    )
    if not changed.height:
        return
    existing = current.labels.keys
    problems.add_rows(
        changed.join(existing, on=_LABEL_KEY, how="anti", maintain_order="left"),
        rule="label.unknown",
        message="The label is not on the frame, so it was left out.",
        hint="Create it with upsert_labels, or correct its id.",
        severity="warning",
    )
    if "label_type" in changed.columns:
        old = current.labels.rows.select(*_LABEL_KEY, _type="label_type")
        other_type = changed.join(old, on=_LABEL_KEY, maintain_order="left").filter(
            (pl.col("op") == "MODIFY") & (pl.col("label_type") != pl.col("_type"))
        )
        problems.add_rows(
            other_type,
            rule="label_type.changed",
            message=pl.format(
                "The label is {}; its type never changes, and {} was sent.",
                "_type",
                "label_type",
            ),
            hint="Delete the label and create one with another id.",
            field="label_type",
        )


def _check_classes(labels: pl.DataFrame, rules: Rules, problems: Problems) -> None:
    """Labels of a class that the project does not have."""
    # Rows that were hashed when they were staged had their classes looked up then,
    # and are taken as staged only while the class map still gives the same ids.
    if "class_name" not in labels.columns or "row_hash" in labels.columns:
        return
    # A few distinct names are compared, and rows only if one of those is unknown.
    known = {*rules.class_ids, MASK_CLASS, None}
    if known >= set(labels.get_column("class_name").unique()):
        return
    name = pl.col("class_name")
    names = pl.Series([*rules.class_ids, MASK_CLASS], dtype=pl.String)
    unknown = labels.filter(name.is_not_null() & ~name.is_in(names.implode()))
    hints = {
        value: _class_hint(value, rules)
        for value in unknown.get_column("class_name").unique().to_list()
    }
    problems.add_rows(
        unknown,
        rule="class.unknown",
        message=pl.format("{} is not a class of this project.", name),
        hint=name.replace_strict(hints, return_dtype=pl.String),
        field="class_name",
    )


def _class_hint(name: str, rules: Rules) -> str:
    known = list(rules.class_ids)
    if name in rules.renamed_classes:
        return f"The class is called {rules.renamed_classes[name]!r} now."
    near = difflib.get_close_matches(name, known, n=1)
    start = (
        f"Did you mean {near[0]!r}? "
        if near
        else f"Known: {', '.join(known[:_CLASSES_IN_HINT])}. "
    )
    return start + "Classes are appended with project.add_classes."


def _check_stale(
    targets: pl.DataFrame, stale: pl.DataFrame, problems: Problems
) -> None:
    """Frames changed since the snapshot that their upload is based on."""
    if not stale.height:
        return
    problems.add_rows(
        targets.join(stale, on="frame_id", how="inner"),
        rule="frame.stale",
        message=pl.format(
            "The frame was changed in version {} by {}, after the snapshot that the "
            "upload is based on.",
            "version",
            pl.col("author").fill_null("somebody"),
        ),
        hint="Look at the newer state, and send the change based on it.",
    )
