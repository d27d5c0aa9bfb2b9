"""Delta Lake's protocol, as far as this package writes it itself.

Log lines, schemas, statistics, the state of a table at a version, and the plan
that turns changed rows into files. Every line is put by the ledger; deltalake
is only asked for checkpoints.
"""
