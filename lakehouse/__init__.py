"""Versioned tables for machine-learning datasets, on Delta Lake.

    lake = lakehouse.connect("lake")
    project = lake.create_project("cells", classes=["cell"], exist_ok=True)
    dataset = project.create_dataset("hela", exist_ok=True)
    upload = dataset.add(frames, labels)
    dataset.at(1).labels().collect()

One rule: the ledger decides, the tables follow. Dataset version N is Delta
version N of every table, in any engine.
"""

from lakehouse.catalog.dataset import Dataset
from lakehouse.catalog.inference_set import InferenceDraft, InferenceSet
from lakehouse.catalog.lake import Lake, connect, open_lock
from lakehouse.catalog.project import Project
from lakehouse.errors import (
    AlreadyExistsError,
    ArchivedError,
    ConflictError,
    FormatError,
    InvalidInputError,
    LakehouseError,
    NotFoundError,
    Problem,
    StorageError,
    UploadFailedError,
    WaitTimeoutError,
)
from lakehouse.formats import Export
from lakehouse.model.class_map import ClassMap, LabelClass
from lakehouse.segments import Segment
from lakehouse.transactions import Garbage
from lakehouse.uploads.draft import Draft
from lakehouse.uploads.imports import Import
from lakehouse.uploads.upload import Upload
from lakehouse.verify import Verification
from lakehouse.versions import Diff
from lakehouse.versions.checkpoints import Checkpoint
from lakehouse.versions.snapshot import Snapshot

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
