"""Rows as sent become operations and problems.

    tabular   anything tabular as columns
    keys      known columns, usable and unrepeated keys; parts of an upload as one
    columns   a column as sent → a column as tables hold it
    nested    sensors, polygons, keypoints and JSON objects, value by value
    frames, labels   the two kinds of operations, and the checks of each

Only what makes a call unreadable is refused here (an unknown column, a frame
without an id); every other problem rejects its frame later, and no other.
"""

from lakehouse.intake.frames import frame_operations
from lakehouse.intake.keys import combine
from lakehouse.intake.labels import label_operations
from lakehouse.intake.tabular import rows_of

__all__ = ["combine", "frame_operations", "label_operations", "rows_of"]
