"""A corrupter: damages a dataset as disks, sync tools and hands do, by a seed.

It damages only what some open version, a change log or the ledger needs, and
tells what it did, so that a verification can be held to naming exactly that.
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
"""What can be done to a dataset."""


@dataclass(frozen=True, slots=True)
class Corruption:
    """What was done."""

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
    """Damage a dataset, once.

    Files are replaced, never written in place, so that of two tables that share
    a file by a hard link either one is damaged, or both.

    Args:
        collection: Whose files; nobody may be writing to it.
        kind: What is done.
        draw: Where everything that is left open comes from.
        tables: Where to; a ledger has none.
    """
    before = dict(_damage(collection, kind, draw, tables))
    for path, data in before.items():
        collection.store.put(path, data)
    names = (path.removeprefix(f"{collection.path}/").split("/")[0] for path in before)
    return Corruption(kind, frozenset(before), frozenset(names) - {"ledger"})


def _damage(
    collection: Collection, kind: Kind, draw: random.Random, tables: Sequence[str]
) -> Iterator[tuple[str, bytes]]:
    """The files that change, and what they become."""
    if kind == "ledger entry altered":
        path = f"{collection.path}/ledger/{entry_name(_version(collection, draw))}"
        yield path, _altered_text(collection.store.read(path), _alter_entry, draw)
    elif kind == "log line altered":
        table = draw.choice(tables)
        path = log_path(collection.table_path(table), _version(collection, draw))
        yield path, _altered_text(collection.store.read(path), _alter_log, draw)
    elif kind == "files swapped":
        yield from _swapped(collection, draw, tables)
    else:
        change = _CHANGES[kind]
        path = draw.choice(_data_files(collection, tables))
        changed = change(collection.store.read(path), draw)
        yield path, changed
        for twin in _twins(collection, path):
            if draw.randrange(2):
                yield twin, changed


def _version(collection: Collection, draw: random.Random) -> int:
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


def _swapped(
    collection: Collection, draw: random.Random, chosen: Sequence[str]
) -> Iterator[tuple[str, bytes]]:
    """Two files of one table, each with the other's bytes."""
    tables: dict[str, list[str]] = {}
    for path in _data_files(collection, chosen):
        tables.setdefault(path.rsplit("/", 1)[0], []).append(path)
    pairs = [paths for paths in tables.values() if len(paths) > 1]
    one, other = draw.sample(draw.choice(pairs), 2)
    yield one, collection.store.read(other)
    yield other, collection.store.read(one)


def _without_row(data: bytes, draw: random.Random) -> bytes:
    rows = pl.read_parquet(data)
    gone = draw.randrange(rows.height)
    return _parquet(pl.concat([rows[:gone], rows[gone + 1 :]]))


def _with_row_twice(data: bytes, draw: random.Random) -> bytes:
    rows = pl.read_parquet(data)
    at = draw.randrange(rows.height)
    return _parquet(pl.concat([rows[: at + 1], rows[at:]]))


def _parquet(rows: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    rows.write_parquet(buffer, compression="lz4")
    return buffer.getvalue()


def _flipped(data: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(data))
    return data[:at] + bytes([data[at] ^ draw.randrange(1, 256)]) + data[at + 1 :]


_CHANGES: Final[dict[str, Callable[[bytes, random.Random], bytes]]] = {
    "row dropped": _without_row,
    "row doubled": _with_row_twice,
    "byte flipped": _flipped,
}


# ------------------------------- LOGS AND LEDGER ---------------------------- #

Line = dict[str, Any]


def _altered_text(
    data: bytes, alter: Callable[[list[Line], random.Random], None], draw: random.Random
) -> bytes:
    """Lines of JSON with something changed: what they say, or any byte."""
    if not draw.randrange(3):
        return _flipped(data, draw)
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
    what = draw.choice(["author", "rows", "fingerprint", "counts", "action"])
    if what == "action" and actions:
        draw.choice(actions)["size"] += 1
    elif what == "author" or not header[what if what != "action" else "rows"]:
        header["author"] = f"{header['author']}!"
    else:
        part = header["rows" if what == "action" else what]
        name = draw.choice(sorted(part))
        part[name] = part[name] + 1 if isinstance(part[name], int) else "0" * 32


def _alter_log(lines: list[Line], draw: random.Random) -> None:
    if len(lines) > 1 and draw.randrange(2):
        del lines[draw.randrange(1, len(lines))]
        return
    at = draw.randrange(len(lines))
    (kind, action), *_ = lines[at].items()
    lines[at] = {kind: action | {"size" if kind == "add" else "timestamp": 1}}
