"""Delta Lake's protocol, as far as this package writes it itself.

    log, schema, create    lines of the log, schemas, first commits of tables
    table_state            a table at a version: its schema and its files
    scan, lookup           reading: all live rows, or the rows of some keys
    key_index              where a data file holds which key
    deletion_vectors       which rows of a file are dead
    writer, compaction     which files are written, and which are written again

Every line of a log is put by the ledger; deltalake is only asked for checkpoints.
"""
