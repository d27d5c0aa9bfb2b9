"""What can be wrong with an operation, given the rows there are and the rules."""

import difflib
from typing import Final

import polars as pl

from lakehouse.merging.types import Current, Rules
from lakehouse.model.contracts import Layout
from lakehouse.model.labels import MASK_CLASS
from lakehouse.model.operations import all_are
from lakehouse.model.problems import Problems

_KEY: Final = ["frame_id", "label_id"]
_CLASSES_IN_HINT: Final = 20  # a line or two of a terminal


def check_frames(targets: pl.DataFrame, layout: Layout, problems: Problems) -> None:
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


def check_labels(
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
        changed.join(existing, on=_KEY, how="anti", maintain_order="left"),
        rule="label.unknown",
        message="The label is not on the frame, so it was left out.",
        hint="Create it with upsert_labels, or correct its id.",
        severity="warning",
    )
    if "label_type" in changed.columns:
        old = current.labels.rows.select(*_KEY, _type="label_type")
        other_type = changed.join(old, on=_KEY, maintain_order="left").filter(
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


def check_stale(targets: pl.DataFrame, stale: pl.DataFrame, problems: Problems) -> None:
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
