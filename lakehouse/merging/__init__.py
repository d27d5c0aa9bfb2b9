"""The merge kernel: pure functions from operations and current rows to changes.

    kernel.merge(inputs) → outcome: changes, problems, counts, rules

    types        what goes in, and what comes out
    kernel       the order of the steps, and what is wrong with an operation
    evolve       what crosses frames: types of new fields, length of vectors
    rows         new rows and deletions of each table, and helpers on tables
    counting     how many frames and labels had which result

No input or output, no clock, no randomness; after `evolve`, any split of the
frames into parts, each merged alone, gives the same changes.
"""
