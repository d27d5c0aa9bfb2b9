"""The merge kernel: pure functions from operations and current rows to changes.

    kernel.merge(inputs) → outcome: changes, problems, counts, rules

    types        what goes in, and what comes out
    evolve       what crosses frames: types of new fields, length of vectors
    checks       what is wrong with an operation
    frames, labels, embeddings   new rows and deletions of each table
    counting     how many frames and labels had which result
    rows         table helpers of all of these

No input or output, no clock, no randomness; after `evolve`, any split of the
frames into parts, each merged alone, gives the same changes.
"""
