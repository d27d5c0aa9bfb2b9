"""Every change of a ledger, through one commit loop.

commit      the loop: plan on the head, put, publish; on loss plan again
merge       pending uploads become the next version
pending     which uploads come next, and which of them share a version
plan        from the outcome of a merge to an entry, with its files written
undo        restore and revert, as uploads of their own
create      the empty version 0
clone       a version of another collection as version 0
tags        checkpoints and pins
compact     the same rows in fewer files
garbage     files that no open version names are removed
background  what is done after the answer
"""

from lakehouse.transactions.background import finish
from lakehouse.transactions.compact import Compaction, TableCompaction, compact
from lakehouse.transactions.garbage import FolderGarbage, Garbage, collect_garbage
from lakehouse.transactions.merge import merge_pending

__all__ = [
    "Compaction",
    "FolderGarbage",
    "Garbage",
    "TableCompaction",
    "collect_garbage",
    "compact",
    "finish",
    "merge_pending",
]
