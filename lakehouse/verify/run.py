"""The order of the checks; each goes on with what those before it left intact.

walk        each entry against a dozen logs, and against the entries before
files       there, of the right size; in full, byte for byte
records     uploads, versions and tags against the ledger
contents    in full: every hash again; every version by files and by change log
media       if asked for: what frames and masks name is there, and as it was
latest      or else: the latest version, by the hashes that its rows carry
"""

from functools import partial

from lakehouse.ledger.collection import Collection
from lakehouse.types import Progress, silent
from lakehouse.verify.checkpoints import check_checkpoints
from lakehouse.verify.contents import check_contents
from lakehouse.verify.files import FileCheck, copies_of, note_strays
from lakehouse.verify.latest import check_latest
from lakehouse.verify.ledger import walk
from lakehouse.verify.media import check_media
from lakehouse.verify.report import Report, Verification
from lakehouse.verify.tables import check_records


def verify(
    collection: Collection,
    *,
    full: bool = True,
    media: bool = False,
    progress: Progress = silent,
) -> Verification:
    """Find every corruption of a collection.

    Args:
        collection: Whose ledger, logs, files and rows.
        full: Read every byte and every row, of every version; otherwise only
            the ledger, the logs, the lists of files, and the latest version.
        media: Check the media that the latest version names too.
        progress: Called with how far it is.

    Raises:
        NotFoundError: If the collection was never created.
        StorageError: If the store failed and may not fail again.
    """
    report = Report(collection.layout)
    on_entry = partial(check_checkpoints, collection, report) if full else None
    history = walk(collection, report, progress, on_entry)
    copies = copies_of(collection, history)
    files = FileCheck(collection, history, report)
    intact = files.presence(copies)
    if full:
        intact = files.bytes(intact, progress)
        note_strays(collection, report)
    else:
        report.counts["bytes"] = sum(copy.file.size for copy in intact)
    uploads = check_records(collection, history, intact, report)
    if full:
        check_contents(
            collection,
            history,
            copies,
            intact,
            uploads=uploads,
            report_missing=files.report_missing,
            report=report,
            progress=progress,
        )
    else:
        check_latest(collection, history, intact, report)
    if media:
        check_media(collection, report, progress)
    return Verification.of(report, full=full)
