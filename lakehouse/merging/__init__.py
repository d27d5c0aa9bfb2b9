"""The merge kernel: pure functions from rows and operations to changes.

    merge(operations, current rows, rules) → changes, problems, counts, rules

No input or output, no clock, no randomness; any split of the frames into
parts, each applied alone, gives the same changes.
"""
