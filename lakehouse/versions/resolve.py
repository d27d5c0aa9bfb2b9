"""The list of versions, and the version that a reference means."""

import difflib
import re
from datetime import UTC, datetime
from typing import Final

import polars as pl

from lakehouse.errors import InvalidInputError, NotFoundError
from lakehouse.ledger.collection import Collection
from lakehouse.ledger.tags import CHECKPOINT, checkpoint_row, tags_at
from lakehouse.storage import collect
from lakehouse.types import VersionLike

_SHOWN_NAMES: Final = 10
"""Checkpoints that an error message lists."""


def versions_table(collection: Collection) -> pl.DataFrame:
    """All versions, oldest first; version 0 is empty, or what a clone began with."""
    head = collection.head().version
    rows = collect(collection.scan("versions", head))
    first = collection.ledger.read(0)
    zero = pl.DataFrame(
        {
            "version": [0],
            "kind": ["create"],
            "time": [first.time],
            "author": [first.author],
            "message": [first.message],
        }
        | {f"{table}_rows": [count] for table, count in first.rows.items() if count},
        schema_overrides=rows.schema,
    )
    # Version 0 settles no upload, so the table of versions has no row of it.
    known = pl.concat([zero, rows], how="diagonal").select(rows.columns)
    return known.filter(pl.col("kind").is_in(["create", "data"])).sort("version")


def resolve(collection: Collection, ref: VersionLike) -> int:
    """The number of the version that `ref` means.

    Raises:
        NotFoundError: If there never was such a version; the message names existing ones.
        InvalidInputError: If `ref` is a datetime without a zone.
    """
    if isinstance(ref, datetime):
        return _at_time(collection, ref)
    if isinstance(ref, str) and not re.fullmatch(r"[0-9]+", ref):
        return _named(collection, ref)
    head = collection.head()
    number = int(ref)
    if not 0 <= number <= head.version:
        raise NotFoundError(
            f"There is no version {number}: versions run from 0 to "
            f"{head.content_version}. dataset.versions() lists them.",
            kind="version.unknown",
        )
    return collection.ledger.read(number).content_version


def _named(collection: Collection, name: str) -> int:
    if name == "latest":
        return collection.head().content_version
    tag = checkpoint_row(collection, name)
    if tag is not None:
        return int(tag["version"])
    try:
        time = datetime.fromisoformat(name)
    except ValueError:
        raise NotFoundError(
            f"There is no version or checkpoint {name!r}. {_known(collection, name)}Use a "
            "number, a checkpoint, 'latest', or a time such as "
            "2026-01-31T12:00:00+00:00; dataset.versions() lists the versions.",
            kind="version.unknown",
        ) from None
    return _at_time(collection, time)


def _known(collection: Collection, name: str) -> str:
    """The nearest checkpoint, or the first ones, as the start of a hint."""
    tags = tags_at(collection, collection.head().version)
    names = tags.filter(kind=CHECKPOINT).get_column("name").sort().to_list()
    near = difflib.get_close_matches(name, names, n=1)
    if near:
        return f"Did you mean {near[0]!r}? "
    shown = ", ".join(names[:_SHOWN_NAMES])
    return f"Checkpoints are: {shown}. " if names else ""


def _at_time(collection: Collection, time: datetime) -> int:
    """The last version at or before `time`, by the ledger's times."""
    if time.tzinfo is None:
        raise InvalidInputError(
            f"{time.isoformat()} has no time zone, so its moment is not known. Use an aware "
            "datetime, such as datetime(…, tzinfo=UTC).",
            kind="version.naive_time",
        )
    # Each entry of the ledger is later than the one before it, so a few entries of many are read.
    low, high = 0, collection.head().version
    first = collection.ledger.read(0)
    if time < first.time:
        raise NotFoundError(
            f"There was no version at {time.isoformat()}: version 0 is of "
            f"{first.time.astimezone(UTC).isoformat()}.",
            kind="version.unknown",
        )
    while low < high:
        middle = (low + high + 1) // 2
        if collection.ledger.read(middle).time <= time:
            low = middle
        else:
            high = middle - 1
    return collection.ledger.read(low).content_version
