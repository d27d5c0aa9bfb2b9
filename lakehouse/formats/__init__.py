"""Formats of other tools: what they have room for is carried, the rest is told.

Each format is a module with its `FORM`, a `read` and a `write`. It is held to one
promise: what is written and read again is the same, or the report names the loss.
"""

from lakehouse.formats.content import Content, Losses, Source
from lakehouse.formats.names import FormatName
from lakehouse.formats.transfer import Export, export, read_files, told_losses

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
