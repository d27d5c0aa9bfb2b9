"""Tags: names of versions, read from the `tags` table.

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
"""Tags that people make."""

PIN: Final = "pin"
"""Tags that hold the version which an inference set is bound to."""

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
    """The tag name of an inference set's pin; the slash keeps checkpoints apart from it.

    >>> pin_name("model_a")
    'inference_sets/model_a'
    """
    return f"inference_sets/{inference_set}"


def pin_row(collection: Collection, inference_set: str) -> dict[str, Any] | None:
    """The row of a pin in its dataset's tags; None if it is not taken yet."""
    rows = tags_at(collection, collection.head().version)
    pins = rows.filter(name=pin_name(inference_set), kind=PIN)
    return pins.row(0, named=True) if pins.height else None


def checkpoint_row(collection: Collection, name: str) -> dict[str, Any] | None:
    """The row of a checkpoint, archived or not; None if there is none of that name."""
    rows = tags_at(collection, collection.head().version)
    checkpoints = rows.filter(name=name, kind=CHECKPOINT)
    return checkpoints.row(0, named=True) if checkpoints.height else None
