"""Tagging: the tags table changes by ledger entries, in order with all writes.

Such an entry changes no content, so it is no version. The table is small: each
change writes all of it again, as one file.
"""

from collections.abc import Callable
from dataclasses import replace

import polars as pl

from lakehouse.collection import Collection
from lakehouse.delta.actions import remove_action, written_paths
from lakehouse.engines.landing import Planned, land
from lakehouse.engines.ready import following
from lakehouse.ledger import Entry
from lakehouse.tags import tags_at

__all__ = ["retag"]

Change = Callable[[Entry, pl.DataFrame], pl.DataFrame]


def retag(
    collection: Collection, change: Change, *, author: str | None, message: str
) -> pl.DataFrame:
    """Replace the tags by what `change` makes of the head and the tags there are.

    `change` may run several times, each time on what is there by then; what it
    raises ends the call with nothing written, and so do tags left as they are.

    Args:
        collection: Whose tags.
        change: From the head entry and all tags to all tags.
        author: Who does it.
        message: What the ledger entry says.

    Returns:
        All tags, as they are afterwards.
    """
    after = pl.DataFrame()

    def plan(head: Entry) -> Planned | None:
        nonlocal after
        before = tags_at(collection, head.version)
        after = change(head, before).select(before.columns)
        if after.equals(before):
            return None
        entry = following(head, "tag", author=author, message=message)
        old = collection.state("tags", head.version).files.values()
        gone = [remove_action(file.action, timestamp=entry.time) for file in old]
        added = collection.writer("tags").append(after)
        folder = collection.table_path("tags")
        actions = {"tags": (*gone, *added)}
        files = [f"{folder}/{path}" for path in written_paths(added)]
        return Planned(replace(entry, actions=actions), files)

    land(collection, plan)
    return after
