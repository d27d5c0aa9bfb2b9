"""Files of other tools to rows, and rows to such files.

Each format is a module with its `FORM`, a `read` and a `write`: `coco`, `csv`,
`imagefolder`, `parquet`, `voc`, `webdataset` and `yolo`. All keep one promise: what
is written and read again is the same, or the report names the loss.

* `transfer`: an export, an import.
* `content`: what formats are read into and written from, and what they lose.
* `files`, `names`, `pictures`, `shapes`: what several formats share.
"""

from lakehouse.formats.content import Content, Losses, Source
from lakehouse.formats.names import FormatName
from lakehouse.formats.transfer import Export, describe_losses, export, read_files

__all__ = [
    "Content",
    "Export",
    "FormatName",
    "Losses",
    "Source",
    "describe_losses",
    "export",
    "read_files",
]
