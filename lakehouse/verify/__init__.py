"""Verification: finds every corruption of a dataset, and repairs none.

Everything is compared with what vouches for it:

    ledger entry    vouched for by a dozen logs that name its digest
    log line        follows from its entry, byte for byte
    data file       vouched for by the checksum in its add action
    row             vouched for by the hash of its values
    version         by its fingerprint, from the live table and from the change log

All problems are reported at once, each with its version, table and file. A file
without its checksum is never decoded.

run           the order of the checks
report        problems, notes and counts; the `Verification` that a caller gets
ledger        walks the entries; evidence compares each with its dozen commits
files         existence, size and checksum of data files; lives: in which versions
tables        uploads, versions and tags against the ledger; checkpoints of logs
contents      every version, row by row: rows reads, gather makes records of them,
              spool keeps those, compare looks for differences
latest, media the quick check of rows; the media that the latest version names
"""

from lakehouse.types import Progress, silent
from lakehouse.verify.report import Verification
from lakehouse.verify.run import verify

__all__ = ["Progress", "Verification", "silent", "verify"]
