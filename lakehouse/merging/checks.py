"""What can be wrong with an operation, given the rows there are and the rules."""

import difflib
from typing import Final

import polars as pl

from lakehouse.merging.types import Current, Rules
from lakehouse.model.contracts import Layout
from lakehouse.model.labels import MASK_CLASS
from lakehouse.model.operations import all_are
from lakehouse.model.problems import (
    UPLOAD_PROBLEM_SCHEMA,
    concat_problems,
    problems_of_rows,
)

_KEY: Final = ["frame_id", "label_id"]


def frame_problems(targets: pl.DataFrame, layout: Layout) -> pl.DataFrame:
    """Problems of frames as a whole.

    Args:
        targets: One row a touched frame: `frame_op` (null when only labels are
            sent), `exists`, `if_exists`.
        layout: Of what they are touched.
    """
    whole = layout.kind.replace("_", " ")
    op, exists = pl.col("frame_op"), pl.col("exists")
    usual = ~exists & (op == "ADD")
    targets = targets.filter(~usual.fill_null(value=False))
    if not targets.height:
        return concat_problems(schema=UPLOAD_PROBLEM_SCHEMA)
    unknown = targets.filter(~exists & (op.is_null() | (op == "MODIFY")))
    gone = targets.filter(~exists & (op == "DELETE"))
    there = targets.filter(exists & (op == "ADD"))
    return concat_problems(
        [
            problems_of_rows(
                unknown,
                rule="frame.unknown",
                message=f"The frame is not in the {whole}, so it cannot be changed.",
                hint="Add the frame first, or correct its id.",
            ),
            problems_of_rows(
                gone,
                rule="frame.unknown",
                message=f"The frame is not in the {whole}, so there is nothing to delete.",
                hint="Nothing needs to be done.",
                severity="warning",
            ),
            problems_of_rows(
                there.filter(pl.col("if_exists") == "reject"),
                rule="frame.exists",
                message=f"The frame is in the {whole} already, and if_exists is 'reject'.",
                hint="Use another id, modify the frame, or add it with if_exists='replace'.",
            ),
            problems_of_rows(
                there.filter(pl.col("if_exists") == "skip"),
                rule="frame.exists",
                message=f"The frame is in the {whole} already and was skipped.",
                hint="Nothing needs to be done.",
                severity="warning",
            ),
        ],
        UPLOAD_PROBLEM_SCHEMA,
    )


def label_problems(
    labels: pl.DataFrame, targets: pl.DataFrame, current: Current, rules: Rules
) -> pl.DataFrame:
    """Problems of single labels."""
    if not labels.height:
        return concat_problems(schema=UPLOAD_PROBLEM_SCHEMA)
    classes = _classes(labels, rules)
    ops = targets.get_column("frame_op")
    if not (ops == "DELETE").any() and all_are(labels, "ADD", "op"):
        return classes
    placed = labels.join(
        targets.select("frame_id", "frame_op", "exists"), on="frame_id", how="left"
    )
    op = pl.col("op")
    in_deleted = placed.filter(pl.col("frame_op") == "DELETE")
    in_added = placed.filter((pl.col("frame_op") == "ADD") & (op != "ADD"))
    return concat_problems(
        [
            problems_of_rows(
                in_deleted,
                rule="label.frame_deleted",
                message="The upload deletes the label's frame.",
                hint="Leave the label out, or do not delete the frame.",
            ),
            problems_of_rows(
                in_added,
                rule="label.frame_added",
                message="The upload adds the label's frame wholly, so its labels are "
                "given whole too.",
                hint="Give the full label, or modify the frame instead.",
            ),
            *_existing(placed, current),
            classes,
        ],
        UPLOAD_PROBLEM_SCHEMA,
    )


def _existing(placed: pl.DataFrame, current: Current) -> list[pl.DataFrame]:
    """Labels changed or deleted that are not there, or are of another type."""
    changed = placed.filter(
        (pl.col("op") != "ADD")
        & pl.col("exists")
        & (pl.col("frame_op").is_null() | (pl.col("frame_op") == "MODIFY"))
    )
    if not changed.height:
        return []
    missing = changed.join(
        current.labels.keys, on=_KEY, how="anti", maintain_order="left"
    )
    findings = [
        problems_of_rows(
            missing,
            rule="label.unknown",
            message="The label is not on the frame, so it was left out.",
            hint="Create it with upsert_labels, or correct its id.",
            severity="warning",
        )
    ]
    if "label_type" in changed.columns:
        old = current.labels.rows.select(*_KEY, _type="label_type")
        other = changed.join(old, on=_KEY, maintain_order="left").filter(
            (pl.col("op") == "MODIFY") & (pl.col("label_type") != pl.col("_type"))
        )
        message = pl.format(
            "The label is {}; its type never changes, and {} was sent.",
            "_type",
            "label_type",
        )
        findings.append(
            problems_of_rows(
                other,
                rule="label_type.changed",
                message=message,
                hint="Delete the label and create one with another id.",
                field="label_type",
            )
        )
    return findings


def _classes(labels: pl.DataFrame, rules: Rules) -> pl.DataFrame:
    """Labels of a class that the project does not know."""
    if "class_name" not in labels.columns or "row_hash" in labels.columns:
        return concat_problems(schema=UPLOAD_PROBLEM_SCHEMA)
    if {*rules.class_ids, MASK_CLASS, None} >= set(
        labels.get_column("class_name").unique()
    ):
        return concat_problems(schema=UPLOAD_PROBLEM_SCHEMA)
    name = pl.col("class_name")
    known = pl.Series([*rules.class_ids, MASK_CLASS], dtype=pl.String)
    bad = labels.filter(name.is_not_null() & ~name.is_in(known.implode()))
    if not bad.height:
        return concat_problems(schema=UPLOAD_PROBLEM_SCHEMA)
    hints = {
        value: _way_out(value, rules)
        for value in bad.get_column("class_name").unique().to_list()
    }
    return problems_of_rows(
        bad,
        rule="class.unknown",
        message=pl.format("{} is no class of this project.", name),
        hint=name.replace_strict(hints, return_dtype=pl.String),
        field="class_name",
    )


def _way_out(name: str, rules: Rules) -> str:
    known = list(rules.class_ids)
    if name in rules.renamed_classes:
        return f"The class is called {rules.renamed_classes[name]!r} now."
    near = difflib.get_close_matches(name, known, n=1)
    start = (
        f"Did you mean {near[0]!r}? " if near else f"Known: {', '.join(known[:20])}. "
    )
    return start + "Classes are appended with project.add_classes."


def stale_problems(targets: pl.DataFrame, stale: pl.DataFrame) -> pl.DataFrame:
    """Frames changed since the snapshot that their upload is based on."""
    if not stale.height:
        return concat_problems(schema=UPLOAD_PROBLEM_SCHEMA)
    rows = targets.join(stale, on="frame_id", how="inner")
    by = pl.col("author").fill_null("somebody")
    return problems_of_rows(
        rows,
        rule="frame.stale",
        message=pl.format(
            "The frame was changed in version {} by {}, after the snapshot that the "
            "upload is based on.",
            "version",
            by,
        ),
        hint="Look at the newer state, and send the change based on it.",
    )
