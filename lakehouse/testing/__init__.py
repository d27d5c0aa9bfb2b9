"""The test kit: what this package's own tests use, shipped for yours.

* `model`, with `rows`, `state` and `undo`: the semantics of a dataset in plain
  dicts, to hold the real one against.
* `strategies`: random rows and uploads; they need the extra `testing`
  (Hypothesis), so import them by name.
* `operations`: an upload to the model as the same upload to a dataset.
* `invariants`: what always holds of a dataset, as assertions.
* `faults`: a store that fails on demand.
* `corruption`: damage to a dataset's files, drawn by a seed.
"""

from lakehouse.testing.corruption import Corruption, corrupt
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
