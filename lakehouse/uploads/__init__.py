"""One writing call, from rows to receipt.

    draft      the verbs of an upload before it is submitted
    submit     rows become a staged, durable upload with an id
    upload     the handle on an upload: status, problems, diff, retry
    outcomes   the outcome of each item and value that an upload sent
    retry      rejected frames again, with corrected rows
    listing    the table of all uploads, settled or waiting
    imports    the files of another tool as one upload
    load       sources of any size as many uploads, one a part
    sources    files and lazy tables, read in chunks
    cutting    parts of whole frames, of similar size

A load reads its sources twice: a sample of the frame ids says where to cut, then each row
goes to its part's file on the local disk. The parts follow the order of the frame ids,
as the files of the tables do.
"""

from lakehouse.uploads.load import PART_BYTES, Load, LoadOptions, run_load

__all__ = ["PART_BYTES", "Load", "LoadOptions", "run_load"]
