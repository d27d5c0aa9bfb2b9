"""Verification: everything in a dataset held against everything that vouches for it.

    ledger entry    vouched for by a dozen logs that name its digest
    log line        follows from its entry, byte for byte
    data file       vouched for by the checksum in its add action
    row             vouched for by the hash of its values
    version         by its fingerprint, from the live table and from the change log

All problems are told at once, each with the version, table and file at fault.
Nothing is mended here, and nothing damaged is decoded.
"""

from lakehouse.types import Progress, silent
from lakehouse.verify.report import Verification
from lakehouse.verify.run import verify

__all__ = ["Progress", "Verification", "silent", "verify"]
