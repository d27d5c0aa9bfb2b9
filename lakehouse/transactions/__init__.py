"""Engines run the kernel: the embedded one, on one machine, with Polars."""

from lakehouse.transactions.background import finish
from lakehouse.transactions.compact import Compaction, TableCompaction, compact
from lakehouse.transactions.garbage import FolderGarbage, Garbage, collect_garbage
from lakehouse.transactions.merge import Merger

__all__ = [
    "Compaction",
    "FolderGarbage",
    "Garbage",
    "Merger",
    "TableCompaction",
    "collect_garbage",
    "compact",
    "finish",
]
