"""Loading what is larger than memory: one source, many uploads, one part at a time.

    read once    a sample of the frame ids: where to cut, so that parts are alike
    read again   each row goes to its part's file on the local disk
    each part    is one upload: validated, staged, merged, before the next begins

A part holds whole frames with all their labels, and the parts follow the order
of the frame ids, as the tables' files do. Ids of uploads follow from the load's
own, so a load that broke off is called again and goes on where it was.
"""

from lakehouse.uploads.load import PART_BYTES, Load, LoadOptions, run_load

__all__ = ["PART_BYTES", "Load", "LoadOptions", "run_load"]
