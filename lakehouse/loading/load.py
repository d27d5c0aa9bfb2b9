"""A load: the uploads that one source became, and what became of them."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

import polars as pl

from lakehouse.upload import Upload

__all__ = ["Load"]


class Load:
    """Made by `dataset.load()`."""

    def __init__(self, load_id: str, uploads: Sequence[Upload], known: int) -> None:
        self.id = load_id
        """Give it to `dataset.load(load_id=…)` to go on where a load broke off."""
        self.uploads = list(uploads)
        """One upload a part, in order of the frame ids."""
        self.known = known
        """How many parts were there already, from a load that broke off."""

    @property
    def status(self) -> str:
        """PENDING, DONE, PARTIAL (some frames rejected) or FAILED (all of them)."""
        found = {upload.status for upload in self.uploads}
        if "PENDING" in found:
            return "PENDING"
        return found.pop() if len(found) == 1 else "PARTIAL"

    @property
    def counts(self) -> dict[str, int]:
        """Frames created, replaced, modified, deleted, unchanged and rejected."""
        return _added_up([upload.counts for upload in self.uploads])

    @property
    def label_counts(self) -> dict[str, int]:
        """Labels created, replaced, modified, deleted, unchanged and rejected."""
        return _added_up([upload.label_counts for upload in self.uploads])

    def errors(self) -> pl.DataFrame:
        """Every problem of every upload, with its `upload_id`, one a row."""
        told = [
            upload.errors().select(pl.lit(upload.id).alias("upload_id"), pl.all())
            for upload in self.uploads
        ]
        return pl.concat(told)

    def wait(self, timeout: timedelta = timedelta(minutes=5)) -> "Load":
        """Wait until every upload is settled.

        Args:
            timeout: How long for each, at most.

        Raises:
            WaitTimeoutError: If one was not in time.
        """
        for upload in self.uploads:
            upload.wait(timeout)
        return self

    def __repr__(self) -> str:
        told = ", ".join(
            f"{count} {name}" for name, count in self.counts.items() if count
        )
        return (
            f"<Load {self.id} {self.status}, {len(self.uploads)} uploads: "
            f"{told or 'nothing changed'}>"
        )


def _added_up(counts: Sequence[dict[str, int]]) -> dict[str, int]:
    names = dict.fromkeys(name for one in counts for name in one)
    total = Counter[str]()
    for one in counts:
        total.update(one)
    return {name: total[name] for name in names}
