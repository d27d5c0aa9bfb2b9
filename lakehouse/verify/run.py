"""The verification: ledger and logs, files, records, rows; everything, to the end.

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
from lakehouse.verify.files import FileCheck, copies_of
from lakehouse.verify.latest import check_latest
from lakehouse.verify.ledger import walk
from lakehouse.verify.media import check_media
from lakehouse.verify.report import Findings, Verification
from lakehouse.verify.tables import check_records


def verify(
    collection: Collection,
    *,
    full: bool = True,
    media: bool = False,
    progress: Progress = silent,
) -> Verification:
    """Find everything that is wrong with a collection.

    Args:
        collection: Whose ledger, logs, files and rows.
        full: Read every byte and every row, of every version; otherwise only
            the ledger, the logs, the lists of files, and the latest version.
        media: Look at the media, too, that the latest version names.
        progress: Told how far it is.

    Raises:
        NotFoundError: If the collection was never created.
        StorageError: If the store failed and may not fail again.
    """
    findings = Findings(collection.layout)
    look = partial(check_checkpoints, collection, findings) if full else None
    history = walk(collection, findings, progress, look)
    copies = copies_of(collection, history)
    files = FileCheck(collection, history, findings)
    right = files.presence(copies)
    if full:
        right = files.bytes(right, progress)
    else:
        findings.counts["bytes"] = sum(copy.file.size for copy in right)
    uploads = check_records(collection, history, right, findings)
    if full:
        check_contents(
            collection,
            history,
            copies,
            right,
            uploads=uploads,
            gone=files.gone,
            findings=findings,
            progress=progress,
        )
    else:
        check_latest(collection, history, right, findings)
    if media:
        check_media(collection, findings, progress)
    return Verification.of(findings, full=full)
