"""Splits that stay: which frames go to train and which to test, decided by group.

A group, such as the frames of one patient, goes where a hash of its name falls,
so it goes there on every machine, in any order, however many others there are.
What has a split keeps it, and later frames of its group follow; so new data and
new shares move nothing that a model was measured on.
"""

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import polars as pl
import polars_hash as plh

from lakehouse.errors import Problem
from lakehouse.model.problems import Problems
from lakehouse.storage import collect

_SHOWN: Final = 20
_RANGE: Final = 2.0**64


def splits_of(
    frames: pl.LazyFrame,
    shares: Mapping[str, float],
    by: str | None,
    field: str,
    seed: str,
) -> pl.DataFrame:
    """The rows that give frames without a split one: `frame_id` and the field.

    Args:
        frames: With their metadata.
        shares: As `assigned` takes them.
        by: The column of groups; None for none.
        field: The column of splits; it may not be there yet.
        seed: As `assigned` takes it.

    Raises:
        InvalidInputError: If columns or shares cannot be used, or groups are torn.
    """
    schema = frames.collect_schema()
    Problems([*share_faults(shares), *_column_faults(schema, by, field)]).raise_if_any()
    group = pl.lit(None, pl.String) if by is None else pl.col(by).cast(pl.String)
    split = pl.col(field) if field in schema else pl.lit(None, pl.String)
    rows = collect(frames.select("frame_id", group=group, split=split))
    return assigned(rows, shares, seed).rename({"split": field})


def assigned(
    frames: pl.DataFrame, shares: Mapping[str, float], seed: str
) -> pl.DataFrame:
    """The splits of frames that have none.

    Args:
        frames: `frame_id`, `group`, and `split`: null where there is none yet. A frame
            without a group is one of its own.
        shares: Split to its share of the groups, in order.
        seed: Another seed is another draw.

    Returns:
        `frame_id` and `split`, sorted.

    Raises:
        InvalidInputError: If frames of one group are in several splits already, and
            others of it in none; all such groups are listed.
    """
    own = pl.format("frame {}", "frame_id")
    group = pl.when(pl.col("group").is_null()).then(own).otherwise(
        pl.format("group {}", "group")
    )  # fmt: skip
    rows = frames.with_columns(_group=group)
    homes = rows.drop_nulls("split").group_by("_group").agg(pl.col("split").unique())
    waiting = rows.filter(pl.col("split").is_null()).drop("split")
    waiting = waiting.join(homes, on="_group", how="left")
    Problems(
        [
            Problem(
                None,
                None,
                "by",
                "split.torn",
                f"{row['_group']} is in several splits: {sorted(row['split'])}.",
                "Give its frames one split with modify(), then assign the others.",
            )
            for row in waiting.filter(pl.col("split").list.len() > 1)
            .unique("_group")
            .sort("_group")
            .head(_SHOWN)
            .iter_rows(named=True)
        ]
    ).raise_if_any()
    drawn = _drawn(waiting.get_column("_group"), shares, seed)
    chosen = pl.coalesce(pl.col("split").list.first(), pl.lit(drawn))
    return waiting.select("frame_id", split=chosen).sort("frame_id")


def share_faults(shares: Mapping[str, Any]) -> list[Problem]:
    """What is wrong with shares: of each split a part above 0, of all together 1.

    >>> share_faults({"train": 0.8, "test": 0.2})
    []
    """
    faults = [
        _fault(f"shares[{name!r}]", f"{share!r} is no share.", "Give a part above 0.")
        for name, share in shares.items()
        if not isinstance(share, int | float)
        or isinstance(share, bool)
        or not (math.isfinite(share) and share > 0)
    ]
    if not faults and not math.isclose(sum(shares.values()), 1.0, abs_tol=1e-9):
        told = f"The shares sum up to {sum(shares.values()):g}."
        faults.append(_fault("shares", told, "They are parts of 1."))
    return faults


def _drawn(groups: pl.Series, shares: Mapping[str, float], seed: str) -> pl.Series:
    """Where the hash of each group falls among the shares."""
    named = pl.DataFrame({"group": groups}).select(
        pl.concat_str(pl.lit(f"{seed}\0"), "group").alias("group")
    )
    hashes = named.select(plh.col("group").nchash.xxh3_64()).to_series()
    places = hashes.to_numpy().astype(np.float64) / _RANGE
    ends = np.cumsum(list(shares.values()))[:-1]
    names = pl.Series(list(shares), dtype=pl.String)
    return names.gather(np.searchsorted(ends, places, side="right"))


def _column_faults(schema: pl.Schema, by: str | None, field: str) -> list[Problem]:
    faults: list[Problem] = []
    if by is not None and by not in schema:
        known = ", ".join(name for name in schema if name.startswith("user__"))
        faults.append(
            _fault("by", f"Frames have no column {by!r}.", f"They have: {known}.")
        )
    if not field.startswith("user__"):
        told = f"{field!r} is no metadata field."
        faults.append(_fault("field", told, "Its name begins with user__."))
    if schema.get(field, pl.String()) != pl.String:
        told = f"{field} holds {schema[field]}, and splits are text."
        faults.append(_fault("field", told, "Name another field."))
    return faults


def _fault(path: str, message: str, hint: str) -> Problem:
    return Problem(None, None, path, "split.shares", message, hint)
