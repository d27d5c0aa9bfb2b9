"""Bytes under one root, a local folder or an S3 bucket, behind one small interface.

    store         the interface, and scans of Parquet files
    local, s3     its two implementations; open makes one from a root
    conditional   put-if-absent whose answer can be trusted
    cache         a local folder of files that only save time
    media         the pictures and masks that rows name, outside of the lake

Everything the package reads or writes goes through a `Store`, so a store that
injects faults sees every call. The one call that matters is `put_new`: put,
unless something is there.
"""

from lakehouse.storage.open import (
    check_options,
    open_store,
    plain_engine_note,
    probe_conditional_writes,
)
from lakehouse.storage.s3 import s3_files
from lakehouse.storage.store import Store, StoredFile, Written, collect, collect_all

__all__ = [
    "Store",
    "StoredFile",
    "Written",
    "check_options",
    "collect",
    "collect_all",
    "open_store",
    "plain_engine_note",
    "probe_conditional_writes",
    "s3_files",
]
