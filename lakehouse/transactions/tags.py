"""Changes of the tags table: checkpoints and pins, by ledger entries of kind `tag`.

Such an entry changes no content, so it is no version. The table is small: each
change writes all of it again, as one file.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import polars as pl

from lakehouse.delta.log import remove_action, written_paths
from lakehouse.errors import ConflictError
from lakehouse.ledger.collection import Collection
from lakehouse.ledger.ledger import Entry
from lakehouse.ledger.settled import settled_row, unsettled
from lakehouse.ledger.tags import PIN, pin_name, pin_row, tags_at
from lakehouse.transactions.commit import CALL, PlannedEntry, commit, next_entry

Change = Callable[[Entry, pl.DataFrame], pl.DataFrame]
"""From the head entry and all tags to all tags."""


def retag(
    collection: Collection, change: Change, *, author: str | None, message: str
) -> pl.DataFrame:
    """Replace the tags by what `change` makes of the head and the tags there are.

    `change` runs again, on newer tags, each time another writer was first, so what it
    checks holds when the entry stands. What it raises ends the call with nothing
    written; so do tags that it leaves as they are.

    Args:
        collection: Whose tags.
        change: From the head entry and all tags to all tags.
        author: Who does it.
        message: What the ledger entry says.

    Returns:
        All tags, as they are afterwards.
    """

    def plan(head: Entry) -> PlannedEntry[pl.DataFrame]:
        before = tags_at(collection, head.version)
        after = change(head, before).select(before.columns)
        if after.equals(before):
            return PlannedEntry(None, before)
        entry = next_entry(head, "tag", author=author, message=message)
        # All of the table in one file: a few rows, and no reader has to join versions.
        old = collection.state("tags", head.version).files.values()
        removed = [remove_action(file.action, timestamp=entry.time) for file in old]
        added = collection.writer("tags").append(after)
        folder = collection.table_path("tags")
        return PlannedEntry(
            replace(entry, actions={"tags": (*removed, *added)}),
            after,
            [f"{folder}/{path}" for path in written_paths(added)],
        )

    return commit(collection, plan, CALL).result


def awaited(base: Collection) -> list[str]:
    """Ids of the acknowledged uploads that a dataset has not merged yet."""
    waiting = unsettled(base, base.head().version)
    return [one for one in waiting if base.staging.is_acknowledged(one)]


def take_pin(
    base: Collection, inference_set: str, version: int, author: str | None
) -> None:
    """Pin an inference set to a version, unless it is pinned already."""

    def add(_: Entry, tags: pl.DataFrame) -> pl.DataFrame:
        name = pin_name(inference_set)
        if tags.filter(name=name).height:
            return tags
        row = {
            "name": name,
            "kind": PIN,
            "version": version,
            "message": None,
            "metadata": json.dumps({"moves": []}),
            "archived": False,
            "created_at": datetime.now(UTC),
            "author": author,
        }
        return pl.concat([tags, pl.DataFrame([row], schema=tags.schema)])

    retag(base, add, author=author, message=f"pin {inference_set}")


def settle_pin(
    base: Collection, inference_set: str, waits_for: Sequence[str], author: str | None
) -> dict[str, Any] | None:
    """The row of a pin, taken now if the uploads that it waits for are settled.

    A set that is created while uploads wait is pinned to the version that settles
    the last of them; until then there is no pin, and None is returned.
    """
    row = pin_row(base, inference_set)
    if row is not None:
        return row
    # Side by side two processes may both get here; `take_pin` looks again on the head
    # that it plans on, so the second finds a pin and leaves it.
    head = base.head().version
    settled = [settled_row(base, head, upload_id) for upload_id in waits_for]
    versions = [int(row["version"]) for row in settled if row is not None]
    if len(versions) < len(waits_for) or not versions:
        return None
    take_pin(base, inference_set, max(versions), author)
    return pin_row(base, inference_set)


def move_pin(
    base: Collection,
    inference_set: str,
    version: int,
    *,
    author: str | None,
    message: str | None,
    details: dict[str, Any],
) -> None:
    """Pin an inference set to another version, and note that it was moved.

    Args:
        base: The dataset's collection.
        inference_set: The set's name.
        version: The version to pin it to.
        author: Who does it.
        message: Why.
        details: More to note of the move: anything JSON can hold.

    Raises:
        ConflictError: If the set has no pin yet.
    """
    name = pin_name(inference_set)

    def move(_: Entry, tags: pl.DataFrame) -> pl.DataFrame:
        pins = tags.filter(name=name)
        if not pins.height:
            raise ConflictError(
                f"Inference set {inference_set!r} is not pinned yet: uploads to its "
                "dataset wait to be merged.",
                kind="pin.waits",
            )
        row = pins.row(0, named=True)
        if row["version"] == version:
            return tags  # the same call made again: no second note of it
        note = {
            "from": row["version"],
            "to": version,
            "at": datetime.now(UTC).isoformat(),
            "author": author,
            "message": message,
        }
        moves = [*json.loads(row["metadata"])["moves"], note | details]
        changed = row | {
            "version": version,
            "message": message,
            "metadata": json.dumps({"moves": moves}),
            "author": author,
        }
        rest = tags.filter(pl.col("name") != name)
        return pl.concat([rest, pl.DataFrame([changed], schema=tags.schema)])

    retag(base, move, author=author, message=message or f"repin {inference_set}")
