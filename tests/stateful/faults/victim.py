"""A process that runs one operation and dies at the call it was told: a real death."""

from lakehouse.storage import open_store
from lakehouse.testing.faults import Fault, FaultyStore
from tests.stateful.faults.operations import run

__all__ = ["suffer"]


def suffer(root: str, name: str, upload_id: str, at: int, fault: Fault) -> None:
    """Run an operation that never ends."""
    run(FaultyStore(open_store(root), at, fault), name, upload_id)
