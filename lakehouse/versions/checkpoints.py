"""Checkpoints: permanent names of versions.

    dataset.checkpoint("baseline", message="before the relabelling")
    dataset.at("baseline")

A checkpoint's version never changes; its message and metadata may. Garbage
collection keeps the files of its version, so plain engines read it too, until
it is archived.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import polars as pl

from lakehouse.errors import AlreadyExistsError, NotFoundError
from lakehouse.ledger.collection import Collection
from lakehouse.ledger.ledger import Entry
from lakehouse.ledger.tags import CHECKPOINT, check_tag_name, checkpoint_row, tags_at
from lakehouse.transactions.tags import retag
from lakehouse.types import VersionLike
from lakehouse.versions.resolve import resolve, versions_table
from lakehouse.versions.snapshot import Snapshot, snapshot_at

_SUMMED: Final = (
    "created", "replaced", "modified", "deleted",
    "label_created", "label_replaced", "label_modified", "label_deleted",
)  # fmt: skip


class Checkpoint:
    """A named version. Made by `dataset.checkpoint()`."""

    def __init__(
        self, collection: Collection, row: Mapping[str, Any], author: str | None
    ) -> None:
        self._collection = collection
        self._row = row
        self._author = author
        self.name: str = row["name"]

    @property
    def version(self) -> int:
        """The version it names; it never changes."""
        return int(self._row["version"])

    @property
    def message(self) -> str | None:
        """The reason that was given."""
        message: str | None = self._row["message"]
        return message

    @property
    def metadata(self) -> dict[str, Any]:
        """The metadata of the checkpoint."""
        metadata: dict[str, Any] = json.loads(self._row["metadata"] or "{}")
        return metadata

    @property
    def author(self) -> str | None:
        """Who made it."""
        author: str | None = self._row["author"]
        return author

    @property
    def created_at(self) -> datetime:
        """When it was made, UTC."""
        at: datetime = self._row["created_at"]
        return at

    @property
    def is_archived(self) -> bool:
        """Whether lists leave it out; it can be read as before."""
        return bool(self._row["archived"])

    def snapshot(self) -> Snapshot:
        """The snapshot of its version."""
        return snapshot_at(self._collection, self.version)

    def set_metadata(self, metadata: Mapping[str, Any]) -> None:
        """Replace the metadata by anything JSON can hold."""
        self._change({"metadata": json.dumps(dict(metadata))}, "edit")

    def set_message(self, message: str | None) -> None:
        """Replace the message."""
        self._change({"message": message}, "edit")

    def archive(self, *, archived: bool = True) -> None:
        """Hide it from lists, or show it again.

        An archived checkpoint is read as before, but garbage collection need not
        keep its files: its rows are then read from the change log.
        """
        self._change({"archived": archived}, "archive" if archived else "unarchive")

    def _change(self, fields: dict[str, Any], verb: str) -> None:
        def change(_: Entry, tags: pl.DataFrame) -> pl.DataFrame:
            is_this = pl.col("name") == self.name
            return tags.with_columns(
                pl.when(is_this)
                .then(pl.lit(value, dtype=tags.schema[name]))
                .otherwise(pl.col(name))
                .alias(name)
                for name, value in fields.items()
            )

        message = f"{verb} checkpoint {self.name}"
        tags = retag(self._collection, change, author=self._author, message=message)
        self._row = tags.filter(name=self.name).row(0, named=True)

    def __repr__(self) -> str:
        archived = ", archived" if self.is_archived else ""
        return f"<Checkpoint {self.name}: version {self.version}{archived}>"


def create_checkpoint(
    collection: Collection,
    name: str,
    at: VersionLike,
    *,
    author: str | None,
    message: str | None,
    metadata: Mapping[str, Any],
) -> Checkpoint:
    """Name a version; the same call made again changes nothing.

    Raises:
        InvalidInputError: If the name has other characters, or `at` has no zone.
        AlreadyExistsError: If the name is taken.
        NotFoundError: If there is no such version.
    """
    check_tag_name(name)
    fields = {
        "message": message,
        "metadata": json.dumps(dict(metadata)),
        "author": author,
    }

    def add(head: Entry, tags: pl.DataFrame) -> pl.DataFrame:
        # Resolved at the head that the tags are read at, in each attempt anew: a
        # version that comes between cannot take the place of "latest".
        version = head.content_version if at == "latest" else resolve(collection, at)
        row = fields | {
            "name": name,
            "kind": CHECKPOINT,
            "version": version,
            "archived": False,
            "created_at": datetime.now(UTC),
        }
        taken = tags.filter(name=name)
        if not taken.height:
            # In the schema of the table: a null message has no type of its own.
            return pl.concat([tags, pl.DataFrame([row], schema=tags.schema)])
        existing = taken.row(0, named=True)
        if all(existing[field] == row[field] for field in (*fields, "version")):
            return tags
        raise AlreadyExistsError(
            f"There is a checkpoint {name!r} already, of version {existing['version']}. "
            "A checkpoint's version never changes: choose another name.",
            kind="checkpoint.exists",
        )

    tags = retag(collection, add, author=author, message=f"checkpoint {name}")
    return Checkpoint(collection, tags.filter(name=name).row(0, named=True), author)


def find_checkpoint(
    collection: Collection, name: str, author: str | None
) -> Checkpoint:
    """The checkpoint of that name, archived ones too.

    Raises:
        NotFoundError: If there is none.
    """
    row = checkpoint_row(collection, name)
    if row is None:
        raise NotFoundError(
            f"There is no checkpoint {name!r}. dataset.checkpoints() lists them.",
            kind="checkpoint.unknown",
        )
    return Checkpoint(collection, row, author)


def checkpoints_table(collection: Collection, *, archived: bool) -> pl.DataFrame:
    """The checkpoints by the time of their versions, with the counts of uploads between.

    Args:
        collection: The collection of the checkpoints.
        archived: Include archived ones.
    """
    tags = tags_at(collection, collection.head().version).filter(kind=CHECKPOINT)
    tags = tags.filter(pl.col("archived") <= archived).sort("version", "created_at")
    versions = versions_table(collection)
    sums = versions.select(
        "version",
        "time",
        pl.col("frames_rows").alias("frames"),
        pl.col("labels_rows").alias("labels"),
        *(pl.col(name).fill_null(0).cum_sum() for name in _SUMMED),
    )
    # Running sums at each checkpoint; their differences are the counts between two.
    rows = tags.join(sums, on="version", how="left", maintain_order="left")
    since = [
        (pl.col(name) - pl.col(name).shift(1, fill_value=0)).alias(name)
        for name in _SUMMED
    ]
    kept = ["name", "version", "time", "author", "message", "metadata", "archived"]
    return rows.select(*kept, "created_at", "frames", "labels", *since)
