"""Tags: the names of versions, as the `tags` table has them.

A checkpoint names a version for people; a pin is an inference set's, and is
called `inference_sets/<name>`. Plain engines read the table as it is:

    SELECT version FROM tags WHERE name = 'baseline'
"""

import re
from typing import Any, Final

import polars as pl

from lakehouse.errors import InvalidInputError
from lakehouse.ledger.collection import Collection
from lakehouse.storage import collect

CHECKPOINT: Final = "checkpoint"
"""The kind of tags that people make."""

PIN: Final = "pin"
"""The kind of tags that hold the version of an inference set."""

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
_RESERVED: Final = "latest"


def check_tag_name(name: str) -> str:
    """The name, if it may be a checkpoint's.

    Raises:
        InvalidInputError: If it has other characters, or is `latest`.

    >>> check_tag_name("baseline-2026.1")
    'baseline-2026.1'
    """
    if _NAME.fullmatch(name) and name != _RESERVED:
        return name
    raise InvalidInputError(
        f"{name!r} cannot name a checkpoint: names start with a letter, go on with "
        "letters, digits, '_', '.' and '-', and are not 'latest'.",
        kind="checkpoint.name",
    )


def tags_at(collection: Collection, version: int) -> pl.DataFrame:
    """All tags at an entry, one row each."""
    return collect(collection.scan("tags", version))


def pin_name(inference_set: str) -> str:
    """What the pin of an inference set is called; no checkpoint can be called so.

    >>> pin_name("model_a")
    'inference_sets/model_a'
    """
    return f"inference_sets/{inference_set}"


def pin_row(collection: Collection, inference_set: str) -> dict[str, Any] | None:
    """The row of a pin in its dataset's tags; None if it is not taken yet."""
    rows = tags_at(collection, collection.head().version)
    found = rows.filter(name=pin_name(inference_set), kind=PIN)
    return found.row(0, named=True) if found.height else None


def checkpoint_row(collection: Collection, name: str) -> dict[str, Any] | None:
    """The row of a checkpoint, archived ones too; None if there is no such."""
    rows = tags_at(collection, collection.head().version)
    found = rows.filter(name=name, kind=CHECKPOINT)
    return found.row(0, named=True) if found.height else None
