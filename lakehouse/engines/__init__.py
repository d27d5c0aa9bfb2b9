"""Engines run the kernel: the embedded one, on one machine, with Polars."""

from lakehouse.engines.background import finish
from lakehouse.engines.collector import FolderGarbage, Garbage, collect_garbage
from lakehouse.engines.compactor import Compaction, TableCompaction, compact
from lakehouse.engines.merger import Merger

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
