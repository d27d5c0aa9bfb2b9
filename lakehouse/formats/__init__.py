"""Formats of other tools: what they have room for is carried, the rest is told.

Each format is a module with its `FORM`, a `read` and a `write`. It is held to one
promise: what is written and read again is the same, or the report names the loss.
"""

from lakehouse.formats.content import Content, Source
from lakehouse.formats.exporting import export
from lakehouse.formats.importing import read_files
from lakehouse.formats.kinds import FormatName
from lakehouse.formats.losses import Losses
from lakehouse.formats.report import Export, told_losses

__all__ = [
    "Content",
    "Export",
    "FormatName",
    "Losses",
    "Source",
    "export",
    "read_files",
    "told_losses",
]
