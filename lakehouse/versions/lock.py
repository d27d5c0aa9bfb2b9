"""Lockfiles: which content something was made from, in a few lines of JSON.

    snapshot.lock("hela.lock.json")            beside the model that was trained on it
    lakehouse.open_lock("hela.lock.json")      the same content, or an error

A lockfile holds the address of the content, its version, and for each table the
number of rows and the fingerprint of all their values; for a part of a version also
the conditions and how many rows meet them. It holds no credentials.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import polars as pl

from lakehouse.errors import FormatError, InvalidInputError, NotFoundError
from lakehouse.ledger.ledger import Entry
from lakehouse.model.contracts import LIVE_TABLES, Layout

FORMAT: Final = 1
"""The format of locks that this release writes, and the newest it reads."""

_CODE_NODES: Final = ("Anonymous", "Plugin", "Python", "SubPlan")
"""Parts of the names of the nodes of a serialised expression that run code.

A lockfile comes from elsewhere, and reading such a node would load a pickle or a
shared library.
"""

_REQUIRED: Final = ("root", "project", "dataset", "version", "tables")


@dataclass(frozen=True, slots=True)
class Lockfile:
    """The fields of a lockfile."""

    root: str
    """The root of the lake when the lockfile was written."""
    project: str
    dataset: str
    version: int
    time: str
    """When the version was decided: ISO 8601, UTC."""
    author: str | None
    """Who made the version."""
    fingerprint: str
    """Of all tables together, as `snapshot.fingerprint`."""
    tables: Mapping[str, Mapping[str, Any]]
    """Table to its `rows` and `fingerprint`."""
    inference_set: str | None = None
    filters: Mapping[str, str] = field(default_factory=dict[str, str])
    """`frames` and `labels`: conditions, as Polars writes expressions in JSON."""
    selected: Mapping[str, int] = field(default_factory=dict[str, int])
    """How many frames and labels meet the conditions."""
    polars: str = pl.__version__
    """The Polars that wrote the conditions."""

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON can hold them."""
        return {"format": FORMAT} | asdict(self)

    @classmethod
    def read(cls, source: str | os.PathLike[str] | Mapping[str, Any]) -> "Lockfile":
        """A lockfile from its path, or from the fields that `to_dict` returned.

        Raises:
            NotFoundError: If there is no such file.
            FormatError: If it is no lock, or a newer release wrote it.
        """
        fields = source if isinstance(source, Mapping) else _read_json(source)
        written = fields.get("format")
        if isinstance(written, int) and written > FORMAT:
            raise FormatError(
                f"The lock has format {written}; this release reads up to {FORMAT}. "
                "Upgrade the package.",
                kind="format.newer",
            )
        missing = [name for name in _REQUIRED if name not in fields]
        if written != FORMAT or missing:
            raise FormatError(
                f"This is no lock: it lacks {', '.join(missing) or 'its format'}. Give "
                "what snapshot.lock() returned or wrote.",
                kind="lock.damaged",
            )
        # Fields that a later release adds without a new format are left out.
        known = cls.__dataclass_fields__.keys() & fields.keys()
        return cls(**{name: fields[name] for name in known})

    @property
    def address(self) -> str:
        """The locked version: `project/dataset[/inference_set]@version`."""
        parts = [self.project, self.dataset, self.inference_set]
        path = "/".join(part for part in parts if part is not None)
        return f"{path}@{self.version}"

    def differences(self, entry: Entry, layout: Layout) -> list[str]:
        """The tables of a version that differ from the locked ones, each in words."""
        tables = facts_of(entry, layout)
        return [
            f"{name} has {tables[name]['rows']} rows and the fingerprint "
            f"{tables[name]['fingerprint']}; locked were {locked.get('rows')} and "
            f"{locked.get('fingerprint')}"
            if name in tables
            else f"there is no table {name}"
            for name, locked in self.tables.items()
            if dict(locked) != tables.get(name)
        ]


def facts_of(entry: Entry, layout: Layout) -> dict[str, dict[str, Any]]:
    """The rows and the fingerprint of each live table at an entry."""
    return {
        layout.folder(table): {
            "rows": entry.rows[table],
            "fingerprint": entry.fingerprint[table],
        }
        for table in LIVE_TABLES
    }


def lock_of(
    root: str, path: str, entry: Entry, layout: Layout, fingerprint: str
) -> Lockfile:
    """The lockfile of a whole version.

    Args:
        root: The root of the lake.
        path: The path of the collection, relative to the root.
        entry: The ledger entry of the version.
        layout: The layout of the collection, which names its tables.
        fingerprint: The fingerprint of all its live tables.
    """
    project, _, dataset, *inner = path.split("/")
    return Lockfile(
        root=root,
        project=project,
        dataset=dataset,
        inference_set=inner[-1] if inner else None,
        version=entry.version,
        time=entry.time.isoformat(),
        author=entry.author,
        fingerprint=fingerprint,
        tables=facts_of(entry, layout),
    )


# -------------------------------- CONDITIONS -------------------------------- #


def condition_text(condition: pl.Expr) -> str:
    """A condition as JSON that another process can read.

    Raises:
        InvalidInputError: If it calls Python or a library: a lockfile holds no code.

    >>> condition_of(condition_text(pl.col("n") > 1), "1").meta.root_names()
    ['n']
    """
    # Polars marks the format as unstable between releases, so its version is kept
    # beside, and named where a condition cannot be read.
    try:
        text = condition.meta.serialize(format="json")
    except pl.exceptions.PolarsError as error:
        raise _code_error(str(condition)) from error
    if _has_code(json.loads(text)):
        raise _code_error(str(condition))
    return text


def condition_of(text: str, polars: str) -> pl.Expr:
    """A condition from its text.

    Args:
        text: The JSON that `condition_text` returned.
        polars: The Polars that wrote it.

    Raises:
        FormatError: If this Polars cannot read it, or it calls code.
    """
    try:
        # Checked before it is read: reading is what would run the code.
        if not _has_code(json.loads(text)):
            return pl.Expr.deserialize(text.encode(), format="json")
        reason = "it calls code, which a lock never holds"
    except (ValueError, pl.exceptions.PolarsError) as error:
        reason = str(error)
    raise FormatError(
        f"A condition of the lock cannot be read by Polars {pl.__version__}; it was "
        f"written by {polars}: {reason}. Open it with that version of Polars.",
        kind="lock.condition",
    )


def _has_code(value: Any) -> bool:  # noqa: ANN401 - a part of a JSON document
    if isinstance(value, dict):
        return any(
            any(node in name for node in _CODE_NODES) or _has_code(inner)
            for name, inner in value.items()
        )
    return isinstance(value, list) and any(map(_has_code, value))


def _code_error(condition: str) -> InvalidInputError:
    return InvalidInputError(
        f"The condition {condition} cannot be kept in a lock: it calls a function of "
        "Python or of a library. Write it with Polars' own expressions, or lock the "
        "whole version.",
        kind="lock.code",
    )


def _read_json(path: str | os.PathLike[str]) -> dict[str, Any]:
    try:
        fields = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NotFoundError(
            f"There is no lock at {os.fspath(path)}.", kind="lock.unknown"
        ) from error
    except ValueError as error:
        raise FormatError(
            f"{os.fspath(path)} is no lock: {error}.", kind="lock.damaged"
        ) from error
    if not isinstance(fields, dict):
        raise FormatError(
            f"{os.fspath(path)} is no lock: it holds no JSON object.",
            kind="lock.damaged",
        )
    return fields
