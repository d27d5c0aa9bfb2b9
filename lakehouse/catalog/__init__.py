"""Lake, Project, Dataset and InferenceSet: names, settings and delegation."""

from lakehouse.transactions import Compaction
from lakehouse.transactions.garbage import GRACE, RETENTION
from lakehouse.transactions.repair import Repair
from lakehouse.transactions.undo import Conflicts

__all__ = ["GRACE", "RETENTION", "Compaction", "Conflicts", "Repair"]
