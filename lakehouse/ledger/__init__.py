"""What is decided, staged and readable at an entry.

ledger        entries: read, put, published into the logs of the tables
collection    the tables under one ledger, and how they are read at an entry
staging       uploads that are durable and wait to be merged
prepared      large uploads in the form that tables keep
settled       which uploads an entry has settled
change_log    the rows of any version, from files or from the change log
tags          checkpoints and pins
leases        files of readers that keep the files of a version
single_table  small tables without a ledger: projects, registries
"""
