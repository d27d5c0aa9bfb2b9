"""A process that runs one operation and dies at the call it was told: a real death."""

import sys

from lakehouse.storage import open_store
from lakehouse.testing.faults import FaultyStore
from tests.faults.operations import run

if __name__ == "__main__":
    root, name, upload_id, at, fault = sys.argv[1:]
    run(FaultyStore(open_store(root), int(at), fault), name, upload_id)  # type: ignore[arg-type]
