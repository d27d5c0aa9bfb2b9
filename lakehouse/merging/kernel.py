"""The kernel: operations over the rows there are give changes, or problems.

    1. name every touched frame, and everything wrong with it
    2. leave out the frames with an error: the frame is the unit of partial success
    3. new rows of frames, labels and vectors; a row equal to the one there is no change
    4. count the result of each frame and label

Whether a label id is also on another frame is not looked at: a label is known
by its frame and its own id together.
"""

import polars as pl

from lakehouse.merging.checks import check_frames, check_labels, check_stale
from lakehouse.merging.counting import count
from lakehouse.merging.embeddings import frame_vector_change, label_vector_change
from lakehouse.merging.evolve import evolve
from lakehouse.merging.frames import frame_change
from lakehouse.merging.labels import label_change
from lakehouse.merging.rows import anti_join
from lakehouse.merging.types import Current, MergeInputs, Outcome
from lakehouse.model.operations import IF_EXISTS, OP
from lakehouse.model.problems import UPLOAD_PROBLEM_SCHEMA, Problems


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
    check_frames(targets, rules.layout, problems)
    check_labels(labels, targets, current, rules, problems)
    check_stale(targets, inputs.stale, problems)
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
