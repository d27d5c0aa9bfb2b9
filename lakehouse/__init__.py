"""Versioned tables for machine-learning datasets, on Delta Lake.

    lake = lakehouse.connect("lake")
    project = lake.create_project("cells", classes=["cell"], exist_ok=True)
    dataset = project.create_dataset("hela", exist_ok=True)
    upload = dataset.add(frames, labels)
    dataset.at(1).labels().collect()

One rule: the ledger decides, the tables follow. Dataset version N is Delta
version N of every table, in any engine.
"""

from lakehouse.checkpoints import Checkpoint
from lakehouse.dataset import Dataset
from lakehouse.diff import Diff
from lakehouse.draft import Draft
from lakehouse.engines import Garbage
from lakehouse.errors import (
    AlreadyExistsError,
    ArchivedError,
    ConflictError,
    FormatError,
    InvalidInputError,
    LakehouseError,
    NotFoundError,
    StorageError,
    UploadFailedError,
    WaitTimeoutError,
)
from lakehouse.formats import Export
from lakehouse.importing import Import
from lakehouse.inference_set import InferenceDraft, InferenceSet
from lakehouse.lake import Lake, connect
from lakehouse.model.class_map import ClassMap, LabelClass
from lakehouse.model.problems import Problem
from lakehouse.opening import open_lock
from lakehouse.project import Project
from lakehouse.segments import Segment
from lakehouse.snapshot import Snapshot
from lakehouse.upload import Upload
from lakehouse.verify import Verification

__all__ = [
    "AlreadyExistsError",
    "ArchivedError",
    "Checkpoint",
    "ClassMap",
    "ConflictError",
    "Dataset",
    "Diff",
    "Draft",
    "Export",
    "FormatError",
    "Garbage",
    "Import",
    "InferenceDraft",
    "InferenceSet",
    "InvalidInputError",
    "LabelClass",
    "Lake",
    "LakehouseError",
    "NotFoundError",
    "Problem",
    "Project",
    "Segment",
    "Snapshot",
    "StorageError",
    "Upload",
    "UploadFailedError",
    "Verification",
    "WaitTimeoutError",
    "connect",
    "open_lock",
]
