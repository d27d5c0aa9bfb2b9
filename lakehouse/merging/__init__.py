"""The merge kernel: pure functions from rows and operations to changes.

    apply(current rows, operations, rules) → changes, problems, counts

No input or output, no clock, no randomness; any split of the frames into
parts, each applied alone, gives the same changes.
"""
