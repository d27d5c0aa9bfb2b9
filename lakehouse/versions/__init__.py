"""Snapshots, and the differences between them.

snapshot     the frames and labels of one version
resolve      the version that a number, a name or a time means
checkpoints  permanent names of versions
history      every change to a frame, from the change log
diff         the difference of two versions, or of one upload, as users see it
diff_tables  the keys, rows, fields and boxes of one table that differ
bisect       the version that turned good into bad
lock         the content of a version as a small file
"""

from lakehouse.versions.diff import Diff, diff_between, diff_of_upload

__all__ = ["Diff", "diff_between", "diff_of_upload"]
