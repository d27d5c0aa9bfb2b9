"""Engines run the kernel: the embedded one, on one machine, with Polars."""

from lakehouse.engines.background import finish
from lakehouse.engines.compactor import Compaction, TableCompaction, compact
from lakehouse.engines.merger import Merger

__all__ = ["Compaction", "Merger", "TableCompaction", "compact", "finish"]
