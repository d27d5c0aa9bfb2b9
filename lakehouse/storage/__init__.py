"""Where bytes lie: a local folder or an S3 bucket, behind one small interface.

Everything the package reads or writes goes through a `Store`, so a store that
injects faults sees every call. The one call that matters is `put_new`: put,
unless something is there.
"""

from lakehouse.storage.open import open_store, probe_conditional_writes
from lakehouse.storage.s3 import s3_files
from lakehouse.storage.store import Store, StoredFile, Written, collect, collect_all

__all__ = [
    "Store",
    "StoredFile",
    "Written",
    "collect",
    "collect_all",
    "open_store",
    "probe_conditional_writes",
    "s3_files",
]
