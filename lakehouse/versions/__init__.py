"""What differs between two versions, or what one upload changed.

    making      which keys differ, found from the change log
    tables      the rows of one table that differ
    fields      the fields that differ, with their values as JSON
    boxes       how far boxes moved
    difference  the `Diff` that users meet
    telling     a diff as text, in a terminal and in a notebook

The change log names the keys that the versions in between touched; these alone
are looked up on both sides. So the cost follows the changes, not the tables.
"""

from lakehouse.versions.diff import Diff, diff_between, diff_of_upload

__all__ = ["Diff", "diff_between", "diff_of_upload"]
