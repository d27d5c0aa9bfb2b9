"""Forgeries without a seam: checksums and digests made to agree with what is wrong.

What they leave to be found is found by the rows and headers themselves.
"""

import io
import json
from collections.abc import Callable
from typing import Any

import polars as pl
import xxhash

import lakehouse
from lakehouse.ledger.ledger import Entry, commit_of, entry_name, log_path
from lakehouse.model.contracts import COLLECTION_TABLES

__all__ = ["file_of", "forge_entry", "forge_header", "forge_rows"]

Line = dict[str, Any]


def forge_entry(
    dataset: lakehouse.Dataset, version: int, change: Callable[[list[Line]], None]
) -> str:
    """Change an entry, and every log so that it follows; the entry's path."""
    collection = dataset._collection
    path = f"{collection.path}/ledger/{entry_name(version)}"
    lines = [json.loads(line) for line in collection.store.read(path).splitlines()]
    change(lines)
    data = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    collection.store.put(path, data.encode())
    entry = Entry.decode(data.encode())
    for table in COLLECTION_TABLES:
        log = log_path(collection.table_path(table), version)
        collection.store.put(log, commit_of(entry, table))
    return path


def forge_header(dataset: lakehouse.Dataset, version: int, /, **fields: Any) -> str:
    """Change fields of an entry's header; the entry's path."""
    return forge_entry(dataset, version, lambda lines: lines[0].update(fields))


def file_of(dataset: lakehouse.Dataset, table: str, **having: Any) -> str:
    """The path of the newest file of a table at the head with a row like that."""
    collection = dataset._collection
    folder = collection.table_path(table)
    names = list(collection.state(table, collection.head().version).files)
    for path in reversed(names):
        rows = pl.read_parquet(collection.store.uri(f"{folder}/{path}"))
        if rows.filter(**having).height:
            return f"{folder}/{path}"
    raise AssertionError(having)


def forge_rows(
    dataset: lakehouse.Dataset,
    path: str,
    change: Callable[[pl.DataFrame], pl.DataFrame],
) -> None:
    """Change the rows of one table's file, and every action that adds it."""
    collection = dataset._collection
    buffer = io.BytesIO()
    before = pl.read_parquet(collection.store.uri(path))
    rows = change(before).cast(before.schema)
    rows.write_parquet(buffer)
    data = buffer.getvalue()
    collection.store.put(path, data)
    folder, name = path.rsplit("/", 1)
    table = folder.rsplit("/", 1)[-1]
    new = {"size": len(data), "tags": {"xxh3": xxhash.xxh3_64_hexdigest(data)}}

    def adding(lines: list[Line]) -> None:
        for add in adds(lines):
            stats = json.loads(add["stats"]) | {"numRecords": rows.height}
            add.update(new, stats=json.dumps(stats))

    def adds(lines: list[Line]) -> list[Line]:
        return [
            action["add"]
            for line in lines[1:]
            if line["table"] == table
            for action in line["actions"]
            if action.get("add", {}).get("path") == name
        ]

    for version in range(collection.head().version + 1):
        entry = f"{collection.path}/ledger/{entry_name(version)}"
        lines = [json.loads(line) for line in collection.store.read(entry).splitlines()]
        if adds(lines):
            forge_entry(dataset, version, adding)
