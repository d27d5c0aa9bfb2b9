"""The test kit: what this package's own tests use, shipped for yours.

`ModelDataset` is the semantics in plain dicts; `strategies` draws rows and
uploads; `FaultyStore` fails on demand; `corrupt` damages a dataset by a seed;
`invariants` name what always holds.
Strategies need the extra `testing` (Hypothesis), so import them by name.
"""

from lakehouse.testing.corrupting import Corruption, corrupt
from lakehouse.testing.faults import FaultyStore
from lakehouse.testing.model import ModelDataset
from lakehouse.testing.state import Change, Result, Sent, State

__all__ = [
    "Change",
    "Corruption",
    "FaultyStore",
    "ModelDataset",
    "Result",
    "Sent",
    "State",
    "corrupt",
]
