"""The door: rows as users have them become operations.

Anything tabular comes in; typed columns, an operation a row, and a list of
everything wrong go out. Only what makes a call unreadable is refused here (an
unknown column, a frame without an id); every other fault rejects its frame
later and leaves the others alone.
"""

from lakehouse.intake.frames import frame_operations
from lakehouse.intake.keys import combine
from lakehouse.intake.labels import label_operations
from lakehouse.intake.tabular import rows_of

__all__ = ["combine", "frame_operations", "label_operations", "rows_of"]
