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

from lakehouse.model.problems import Problems
from lakehouse.storage import collect

_LISTED_GROUPS: Final = 20  # in the error; a list of all patients would hide the cause
_HASHES: Final = 2.0**64  # how many there are: xxh3 has 64 bits


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
        shares: As `assign` takes them.
        by: The column of groups; None for none.
        field: The column of splits; it may not be there yet.
        seed: As `assign` takes it.

    Raises:
        InvalidInputError: If columns or shares cannot be used, or groups are torn.
    """
    schema = frames.collect_schema()
    problems = Problems()
    check_shares(shares, problems)
    _check_columns(schema, by, field, problems)
    problems.raise_if_any("No split was assigned.")
    group = pl.lit(None, pl.String) if by is None else pl.col(by).cast(pl.String)
    split = pl.col(field) if field in schema else pl.lit(None, pl.String)
    rows = collect(frames.select("frame_id", group=group, split=split))
    return assign(rows, shares, seed).rename({"split": field})


def assign(
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
    # The splits that frames of each group have already; more than one is a problem.
    existing = rows.drop_nulls("split").group_by("_group").agg(pl.col("split").unique())
    waiting = rows.filter(pl.col("split").is_null()).drop("split")
    waiting = waiting.join(existing, on="_group", how="left")
    torn = waiting.filter(pl.col("split").list.len() > 1).unique("_group")
    problems = Problems()
    for row in torn.sort("_group").head(_LISTED_GROUPS).iter_rows(named=True):
        problems.add(
            "by",
            rule="split.torn",
            message=f"{row['_group']} is in several splits: {sorted(row['split'])}.",
            hint="Give its frames one split with modify(), then assign the others.",
        )
    problems.raise_if_any("No split was assigned.")
    drawn = _draw(waiting.get_column("_group"), shares, seed)
    chosen = pl.coalesce(pl.col("split").list.first(), pl.lit(drawn))
    return waiting.select("frame_id", split=chosen).sort("frame_id")


def check_shares(shares: Mapping[str, Any], problems: Problems) -> None:
    """Every share is a part above 0, and all of them make 1.

    >>> problems = Problems()
    >>> check_shares({"train": 0.8, "test": 0.3}, problems)
    >>> [str(problem) for problem in problems]
    ['shares: The shares sum up to 1.1. They are parts of 1.']
    """
    bad = {
        name: share
        for name, share in shares.items()
        if not isinstance(share, int | float)
        or isinstance(share, bool)
        or not (math.isfinite(share) and share > 0)
    }
    for name, share in bad.items():
        message = f"{share!r} is no share."
        _add(problems, f"shares[{name!r}]", message, "Give a part above 0.")
    if not bad and not math.isclose(sum(shares.values()), 1.0, abs_tol=1e-9):
        message = f"The shares sum up to {sum(shares.values()):g}."
        _add(problems, "shares", message, "They are parts of 1.")


def _draw(groups: pl.Series, shares: Mapping[str, float], seed: str) -> pl.Series:
    """The split of each group: where its hash lies on the line of the shares."""
    named = pl.DataFrame({"group": groups}).select(
        pl.concat_str(pl.lit(f"{seed}\0"), "group").alias("group")
    )
    hashes = named.select(plh.col("group").nchash.xxh3_64()).to_series()
    positions = hashes.to_numpy().astype(np.float64) / _HASHES  # 0 to 1
    # Not the last end: rounded it may be below 1, and a hash beyond it.
    ends = np.cumsum(list(shares.values()))[:-1]
    names = pl.Series(list(shares), dtype=pl.String)
    return names.gather(np.searchsorted(ends, positions, side="right"))


def _check_columns(
    schema: pl.Schema, by: str | None, field: str, problems: Problems
) -> None:
    if by is not None and by not in schema:
        known = ", ".join(name for name in schema if name.startswith("user__"))
        message = f"Frames have no column {by!r}."
        _add(problems, "by", message, f"They have: {known}.")
    if not field.startswith("user__"):
        message = f"{field!r} is no metadata field."
        _add(problems, "field", message, "Its name begins with user__.")
    if schema.get(field, pl.String()) != pl.String:
        message = f"{field} holds {schema[field]}, and splits are text."
        _add(problems, "field", message, "Name another field.")


def _add(problems: Problems, path: str, message: str, hint: str) -> None:
    problems.add(path, rule="split.shares", message=message, hint=hint)
