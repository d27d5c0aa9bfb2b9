"""Labels as sent become label operations."""

from typing import Final, Literal

import polars as pl

from lakehouse.intake.columns import (
    EMBEDDING,
    Intake,
    check_finite,
    to_operations,
    typed_column,
    with_cleared_fields,
)
from lakehouse.intake.frames import check_vector
from lakehouse.intake.keys import (
    IGNORED,
    UNREADABLE,
    check_columns,
    check_frame_ids,
    frame_ids_of,
    id_texts,
    invalid_id_message,
)
from lakehouse.intake.tabular import Table, table_of
from lakehouse.model.contracts import DATASET, Layout
from lakehouse.model.ids import ID_HINT, any_invalid_id, invalid_id_expr
from lakehouse.model.labels import (
    BOX,
    LABEL_TYPES,
    MASK_CLASS,
    MASK_TYPES,
    UNSURE_TYPES,
)
from lakehouse.model.problems import Problems
from lakehouse.types import LabelLike

_LENGTHS: Final = {"position": 3, "dimensions": 3, "rotation": 4, "center": 2}

# The order is from special to general: polygons, keypoints and instances may have a box
# as well, so `width` alone is asked last.
_INFERRED: Final = (
    ("polygons", "POLYGON_LIST_2D"),
    ("keypoints", "KEYPOINTS_2D"),
    ("x1", "LINE_SEGMENT_2D"),
    ("rotation", "CUBOID_3D"),
    ("token", "TEXT_TOKEN"),
    ("instance_id", "INSTANCE_LABEL_2D"),
    ("width", "BBOX_2D"),
)
"""Column of a geometry to the label type it implies; the first that is sent counts."""


def label_operations(
    data: LabelLike,
    *,
    op: Literal["ADD", "MODIFY", "DELETE"],
    nulls: str = "keep",
    layout: Layout = DATASET,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Labels as sent, as operations; and what is wrong with them.

    Args:
        data: Rows with `frame_id` and `label_id`.
        op: What is to be done with each.
        nulls: Whether a MODIFY keeps or clears fields whose value is null.
        layout: Whose labels: an inference set's have a confidence.

    Raises:
        InvalidInputError: If a column is unknown, or a frame id is missing or
            unusable. All such problems are listed.
    """
    table = table_of(data)
    shape, what = layout.contract("labels"), layout.folder("labels")
    ids = frame_ids_of(table)
    known = {*shape.logical, "embedding"}
    unreadable = Problems()
    check_columns(table, known, what, unreadable)
    check_frame_ids(table, ids, what, unreadable)
    unreadable.raise_if_any(UNREADABLE)
    intake = Intake(pl.DataFrame([ids, id_texts(table, "label_id")]))
    _check_ids(intake, table)
    if op != "DELETE":
        schema = shape.schema()
        for name in table.columns:
            # The ids are keys already. A `class_id` that was exported with a row is not
            # trusted: it follows from the name and the class map.
            if name in {"frame_id", "label_id", "class_id"} or name in IGNORED:
                continue
            dtype = EMBEDDING if name == "embedding" else schema.get(name)
            typed_column(intake, table, name, dtype)
        # A MODIFY may leave the type out: the stored label has one, which must not
        # change.
        if op == "ADD":
            _infer_types(intake)
        _check(intake, op)
        if layout.kind == "inference_set":
            _check_confidence(intake, op)
    rows = intake.keys.hstack(list(intake.columns.values()))
    if op == "MODIFY" and nulls == "clear":
        rows = with_cleared_fields(rows, table)
    return to_operations(rows, intake, table, op)


def _check_ids(intake: Intake, table: Table) -> None:
    ids = intake.keys.get_column("label_id")
    if not any_invalid_id(ids):
        return
    bad = ids.to_frame().select(invalid_id_expr("label_id")).to_series()
    sent = table.columns.get("label_id")
    messages = [
        invalid_id_message("label_id", None if sent is None else sent[place])
        for place in bad.arg_true()
    ]
    message = pl.Series(messages, dtype=pl.String)
    intake.add_problems(bad, "id.invalid", message, ID_HINT, "label_id")


def _infer_types(intake: Intake) -> None:
    """Fill `label_type` where it is not given, by the geometry that is."""
    columns = intake.columns
    geometry = [(name, kind) for name, kind in _INFERRED if name in columns]
    given = columns.get("label_type")
    if geometry and (given is None or given.null_count() == intake.keys.height):
        name, kind = geometry[0]
        # The usual upload: one geometry, in every row. No query is planned for it.
        if not columns[name].null_count():
            intake.take_constant("label_type", kind)
            return
    given = columns["label_type"] = intake.get("label_type")
    if given.null_count():
        rows = pl.DataFrame(
            [
                given.alias("_given"),
                # A geometry that does not fit tells the type all the same.
                *(~intake.is_absent(name).alias(name) for name, _ in geometry),
            ]
        )
        # First match wins in `coalesce`, as in the list; a type that was given beats
        # them all.
        guesses = [pl.when(pl.col(name)).then(pl.lit(kind)) for name, kind in geometry]
        inferred = pl.coalesce("_given", *guesses).alias("label_type")
        columns["label_type"] = rows.select(inferred).to_series()
    _fill_mask_class(intake)


def _fill_mask_class(intake: Intake) -> None:
    """Whole masks are of no class of the project: they have a class name of their own."""
    if intake.distinct("label_type").isdisjoint(MASK_TYPES):
        return
    rows = pl.DataFrame([intake.columns["label_type"], intake.get("class_name")])
    class_name = pl.col("class_name")
    is_mask = pl.col("label_type").is_in(list(MASK_TYPES))
    filled = pl.when(is_mask).then(class_name.fill_null(MASK_CLASS))
    intake.columns["class_name"] = rows.select(
        filled.otherwise(class_name).alias("class_name")
    ).to_series()


def _check(intake: Intake, op: str) -> None:
    check_finite(intake)
    _check_type(intake, op)
    if op == "ADD":
        _check_complete(intake)
    _check_box(intake)
    _check_lists(intake)
    check_vector(intake)
    columns = intake.columns
    if "area" in columns:
        bad = (columns["area"] < 0).fill_null(value=False)
        intake.add_problems(
            bad, "value.range", "area is below 0.", "Send 0 or more.", "area"
        )
    if "resize_mode" in columns:
        mode = columns["resize_mode"]
        bad = mode.is_not_null() & ~mode.is_in(["fill", "None"])
        message = "resize_mode is 'fill', or nothing."
        intake.add_problems(
            bad, "value.range", message, "Leave it out, or send 'fill'.", "resize_mode"
        )


def _check_type(intake: Intake, op: str) -> None:
    kinds = intake.columns.get("label_type")
    if kinds is None:
        return
    # A null among them is not in LABEL_TYPES, so it goes on to the checks.
    if LABEL_TYPES.keys() >= intake.distinct("label_type"):
        return
    bad = kinds.is_not_null() & ~kinds.is_in(list(LABEL_TYPES))
    message = kinds.fill_null("") + " is not a label type."
    hint = f"It is one of {', '.join(LABEL_TYPES)}."
    intake.add_problems(bad, "label_type.unknown", message, hint, "label_type")
    if op == "ADD" and kinds.null_count():
        text = "The label has neither a label_type nor a geometry that implies one."
        intake.add_problems(
            intake.is_absent("label_type"),
            "label_type.unknown",
            text,
            hint,
            "label_type",
        )


def _check_complete(intake: Intake) -> None:
    """A whole label has a class and everything its type needs."""
    columns, kinds = intake.columns, intake.columns["label_type"]
    for name in intake.distinct("label_type"):
        kind = LABEL_TYPES.get(name)
        if kind is None:
            continue
        for field in kind.required:
            # Without a null there is nothing to look for, whatever the types.
            if field in columns and not columns[field].null_count():
                continue
            of_type = (kinds == name).fill_null(value=False)
            is_missing = intake.is_absent(field)
            message = f"A label of type {name} needs {field}."
            hint = "Send the whole geometry, or modify the label instead."
            intake.add_problems(
                of_type & is_missing, "geometry.missing", message, hint, field
            )
    if "class_name" in columns and not columns["class_name"].null_count():
        return
    is_missing = intake.is_absent("class_name")
    message = "The label has no class_name."
    intake.add_problems(
        is_missing,
        "class.missing",
        message,
        "Name one of the project's classes.",
        "class_name",
    )


def _check_confidence(intake: Intake, op: str) -> None:
    """An inference has a confidence, unless it is a mask or an instance in one."""
    sure = intake.get("confidence", pl.Float64)
    # Null is in range here: whether it may be missing is asked below. NaN is not in
    # range.
    bad = ~sure.is_between(0, 1).fill_null(value=True)
    shown = "confidence is " + sure.cast(pl.String).fill_null("") + ", not in 0 to 1."
    hint = "Send a number from 0 to 1."
    intake.add_problems(bad, "value.range", shown, hint, "confidence")
    if op == "ADD":
        kinds = intake.get("label_type")
        exempt = kinds.is_in(list(UNSURE_TYPES)).fill_null(value=False)
        is_missing = intake.is_absent("confidence") & ~exempt
        message = "The inference has no confidence."
        intake.add_problems(
            is_missing, "confidence.missing", message, hint, "confidence"
        )


def _check_box(intake: Intake) -> None:
    for name in ("width", "height"):
        if name in intake.columns:
            size = intake.columns[name]
            bad = size <= 0
            # The texts below are made for bad rows only.
            if not bad.any():
                continue
            bad = bad.fill_null(value=False)
            message = (
                f"The box is degenerate: its {name} is "
                + size.filter(bad).cast(pl.String)
                + "."
            )
            hint = (
                f"Boxes are {', '.join(BOX)} in pixels, with width and height above 0."
            )
            intake.add_problems(bad, "box.degenerate", message, hint, name)


def _check_lists(intake: Intake) -> None:
    for name, length in _LENGTHS.items():
        if name not in intake.columns:
            continue
        values = intake.columns[name]
        bad = (values.list.len() != length).fill_null(value=False)
        message = f"{name} has {length} numbers."
        intake.add_problems(
            bad, "value.range", message, f"Send {length} numbers.", name
        )
        odd = (
            values.list.eval(pl.element().is_finite().not_().fill_null(value=True))
            .list.any()
            .fill_null(value=False)
        )
        message = f"{name} has a number that is not finite."
        intake.add_problems(
            odd, "value.range", message, "Send finite numbers only.", name
        )
