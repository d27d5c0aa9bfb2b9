"""Classes: which rows are of those that count, and what these are called now."""

from collections.abc import Collection, Iterable

import polars as pl

from lakehouse.metrics.options import Options
from lakehouse.metrics.tables import Faults, check_keys
from lakehouse.model.class_map import ClassMap

__all__ = ["class_names", "of_classes"]


def of_classes(
    fitting: pl.DataFrame,
    found: pl.DataFrame,
    table: str,
    options: Options,
    faults: Faults,
) -> tuple[pl.DataFrame, dict[str, int]]:
    """The rows of classes that count, each key once; and how many are left out.

    Args:
        fitting: Rows of a type that the task is about.
        found: Rows of all types.
        table: What they are called in errors.
        options: What was asked for.
        faults: Where unknown classes and repeated keys are told.
    """
    known = _named(fitting, table, options.classes, faults)
    kept = _without(known, options.ignored_classes)
    check_keys(kept, table, faults)
    counts = {
        f"{table} of other types": found.height - known.height,
        f"{table} of ignored classes": known.height - kept.height,
    }
    earlier = len(known.filter(pl.col("class_name").ne_missing(fitting["class_name"])))
    if earlier:
        counts[f"{table} under an earlier class name"] = earlier
    return kept, counts


def _named(
    rows: pl.DataFrame,
    table: str,
    classes: "ClassMap | Collection[str] | None",
    faults: Faults,
) -> pl.DataFrame:
    """The rows under the names that their classes have now.

    Args:
        rows: With `class_name` and `class_id`.
        table: What they are called in errors.
        classes: A class map gives each `class_id` its name, so a renamed class is
            one class; names alone are taken as they are; None allows any.
        faults: Where rows of no known class are told.
    """
    if isinstance(classes, ClassMap):
        names = {number: name for name, number in classes.ids.items()}
        now = pl.col("class_id").replace_strict(
            names, default=None, return_dtype=pl.String
        )
        rows = rows.with_columns(pl.coalesce(now, "class_name").alias("class_name"))
    known = pl.col("class_name").is_not_null()
    if classes is not None:
        listed = classes.ids if isinstance(classes, ClassMap) else classes
        known &= pl.col("class_name").is_in(list(listed))
    told = (
        "is no class that was given." if classes is not None else "rows have a class."
    )
    bad = rows.filter(~known.fill_null(value=False))
    faults.rows(
        table, bad, "class_name", rule="class.unknown", told=told, hint="Correct it."
    )
    return rows


def _without(rows: pl.DataFrame, classes: Collection[str]) -> pl.DataFrame:
    """The rows that are of none of these classes."""
    of_one = pl.col("class_name").is_in(list(classes))
    return rows.filter(~of_one.fill_null(value=False))


def class_names(
    tables: Iterable[pl.DataFrame], classes: "ClassMap | Collection[str] | None"
) -> tuple[str, ...]:
    """The classes in their order: that of the map or the names given, else by name."""
    if isinstance(classes, ClassMap):
        return tuple(classes.ids)
    if classes is not None:
        return tuple(dict.fromkeys(classes))
    found = [rows.get_column("class_name").unique().to_list() for rows in tables]
    return tuple(sorted(set().union(*found)))
