"""Corruption of a dataset's files, as disks, sync tools and people cause it.

Only files that an open version, a change log or the ledger needs are damaged, and
what was done is returned, so that a test can require a verification to name it.
"""

import io
import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import polars as pl

from lakehouse.ledger.collection import Collection
from lakehouse.ledger.ledger import entry_name, log_path
from lakehouse.model.contracts import APPEND_TABLES, COLLECTION_TABLES, LIVE_TABLES

Kind = Literal[
    "row dropped",
    "row doubled",
    "files swapped",
    "byte flipped",
    "log line altered",
    "ledger entry altered",
]

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
"""Every kind of corruption."""


@dataclass(frozen=True, slots=True)
class Corruption:
    """What was done to which files."""

    kind: Kind
    files: frozenset[str]
    """The files that were changed, relative to the root of the lake."""
    tables: frozenset[str]
    """The tables they are of; none for the ledger."""


def corrupt(
    collection: Collection,
    kind: Kind,
    draw: random.Random,
    *,
    tables: Sequence[str] = COLLECTION_TABLES,
) -> Corruption:
    """Damage the files of a dataset once.

    Args:
        collection: Whose files; nobody may be writing to it.
        kind: What to do.
        draw: The source of every random choice.
        tables: The tables to choose from; the ledger belongs to none.
    """
    # Each file is put anew, never written in place: two tables may share one by a
    # hard link, and either may be damaged without the other.
    damaged = dict(_damaged_files(collection, kind, draw, tables))
    for path, data in damaged.items():
        collection.store.put(path, data)
    names = (path.removeprefix(f"{collection.path}/").split("/")[0] for path in damaged)
    return Corruption(kind, frozenset(damaged), frozenset(names) - {"ledger"})


def _damaged_files(
    collection: Collection, kind: Kind, draw: random.Random, tables: Sequence[str]
) -> Iterator[tuple[str, bytes]]:
    """The files that change, each with its new bytes."""
    if kind == "ledger entry altered":
        path = f"{collection.path}/ledger/{entry_name(_any_version(collection, draw))}"
        yield path, _alter_text(collection.store.read(path), _alter_entry, draw)
    elif kind == "log line altered":
        table = draw.choice(tables)
        path = log_path(collection.table_path(table), _any_version(collection, draw))
        yield path, _alter_text(collection.store.read(path), _alter_log, draw)
    elif kind == "files swapped":
        yield from _swapped_files(collection, draw, tables)
    else:
        change = _CHANGES[kind]
        # Drawn from a sorted list: the seed alone decides, not the order of a set.
        path = draw.choice(_data_files(collection, tables))
        changed = change(collection.store.read(path), draw)
        yield path, changed
        for twin in _twins(collection, path):
            # Tables share a file by a hard link or by a copy: the damage is in both, or
            # in one.
            if draw.randrange(2):
                yield twin, changed


def _any_version(collection: Collection, draw: random.Random) -> int:
    return draw.randint(0, collection.head().version)


# --------------------------------- DATA FILES ------------------------------- #


def _data_files(
    collection: Collection, tables: Sequence[str] = COLLECTION_TABLES
) -> list[str]:
    """The files that open versions name, and those of other tables at the head."""
    head = collection.head().version
    contents = {collection.ledger.read(v).content_version for v in range(head + 1)}
    places = [
        (table, collection.same_content(version))
        for version in contents
        if not collection.is_closed(version)
        for table in LIVE_TABLES
    ]
    places += [(table, head) for table in APPEND_TABLES]
    return sorted(
        {
            f"{collection.table_path(table)}/{path}"
            for table, version in places
            if table in tables
            for path in collection.state(table, version).files
        }
    )


def _twins(collection: Collection, path: str) -> list[str]:
    """The same file in the other table that shares it."""
    name = path.rsplit("/", 1)[-1]
    return [
        other
        for other in _data_files(collection)
        if other != path and other.endswith(f"/{name}")
    ]


def _swapped_files(
    collection: Collection, draw: random.Random, chosen: Sequence[str]
) -> Iterator[tuple[str, bytes]]:
    """Two files of one table, each with the other's bytes."""
    tables: dict[str, list[str]] = {}
    for path in _data_files(collection, chosen):
        tables.setdefault(path.rsplit("/", 1)[0], []).append(path)
    pairs = [paths for paths in tables.values() if len(paths) > 1]
    first, second = draw.sample(draw.choice(pairs), 2)
    yield first, collection.store.read(second)
    yield second, collection.store.read(first)


def _drop_row(data: bytes, draw: random.Random) -> bytes:
    rows = pl.read_parquet(data)
    gone = draw.randrange(rows.height)
    return _parquet(pl.concat([rows[:gone], rows[gone + 1 :]]))


def _double_row(data: bytes, draw: random.Random) -> bytes:
    rows = pl.read_parquet(data)
    at = draw.randrange(rows.height)
    return _parquet(pl.concat([rows[: at + 1], rows[at:]]))


def _parquet(rows: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    rows.write_parquet(buffer, compression="lz4")
    return buffer.getvalue()


def _flip_byte(data: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(data))
    # XOR with 1 to 255 changes the byte for certain; a byte drawn anew may be the same.
    return data[:at] + bytes([data[at] ^ draw.randrange(1, 256)]) + data[at + 1 :]


_CHANGES: Final[dict[str, Callable[[bytes, random.Random], bytes]]] = {
    "row dropped": _drop_row,
    "row doubled": _double_row,
    "byte flipped": _flip_byte,
}


# ------------------------------- LOGS AND LEDGER ---------------------------- #

Line = dict[str, Any]


def _alter_text(
    data: bytes, alter: Callable[[list[Line], random.Random], None], draw: random.Random
) -> bytes:
    """Lines of JSON with a value altered or, once in three times, a byte."""
    if not draw.randrange(3):
        return _flip_byte(data, draw)
    lines = [json.loads(line) for line in data.splitlines()]
    alter(lines, draw)
    text = "\n".join(json.dumps(line, ensure_ascii=False) for line in lines)
    return f"{text}\n".encode()


def _alter_entry(lines: list[Line], draw: random.Random) -> None:
    header, *tables = lines
    actions = [
        action["add"]
        for table in tables
        for action in table["actions"]
        if "add" in action
    ]
    field = draw.choice(["author", "rows", "fingerprint", "counts", "action"])
    if field == "action" and actions:
        draw.choice(actions)["size"] += 1
        return
    field = "rows" if field == "action" else field
    # An empty mapping has nothing to alter: the author is then altered instead.
    if field == "author" or not header[field]:
        header["author"] = f"{header['author']}!"
        return
    name = draw.choice(sorted(header[field]))
    value = header[field][name]
    header[field][name] = value + 1 if isinstance(value, int) else "0" * 32


def _alter_log(lines: list[Line], draw: random.Random) -> None:
    if len(lines) > 1 and draw.randrange(2):
        del lines[draw.randrange(1, len(lines))]
        return
    at = draw.randrange(len(lines))
    (kind, action), *_ = lines[at].items()
    lines[at] = {kind: action | {"size" if kind == "add" else "timestamp": 1}}
