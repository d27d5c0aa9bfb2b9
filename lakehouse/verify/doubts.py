"""Rows at fault, counted by file, until it is time to say what they are."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from lakehouse.verify.gather import Gathered
from lakehouse.verify.report import Findings
from lakehouse.verify.spool import Records
from lakehouse.verify.unreadable import UnreadableError

__all__ = ["Doubts"]

_SAID: Final = {
    "key.twice": "keys are there twice, the second time in this file",
    "change_log.twice": "images are the second of their key in their version",
    "live.unlogged": "rows live in versions that the change log does not have them in",
    "live.lacking": "images should live in versions that the live table lacks them in",
    "frame.lacking": "rows are of a frame that is not there",
    "label.lacking": "vectors are of a label that is not there",
}
_HINT: Final = (
    "The files are as they were written, so a writer was wrong: report it. "
    "dataset.restore() of an earlier version writes the rows anew."
)
_SHOWN: Final = 20


@dataclass(slots=True)
class Doubts:
    """Rows at fault in one table, by check and by number of file."""

    found: dict[tuple[str, int], tuple[int, Any]] = field(
        default_factory=dict[tuple[str, int], tuple[int, Any]]
    )

    def note(self, check: str, records: Records) -> None:
        """Count rows; one of each file is kept as an example."""
        numbers, first, counts = np.unique(
            records["file"], return_index=True, return_counts=True
        )
        for number, at, count in zip(numbers, first, counts, strict=True):
            known, example = self.found.get(
                (check, int(number)), (0, records[at].copy())
            )
            self.found[check, int(number)] = (known + int(count), example)

    def tell(
        self, gathered: Gathered, opened: Sequence[int], findings: Findings
    ) -> None:
        """Say which rows they are, file by file."""
        for (check, number), (count, example) in sorted(self.found.items())[:_SHOWN]:
            copy = gathered.files[number]
            try:
                key = gathered.reader.key_of(
                    copy, int(example["first"]), int(example["second"])
                )
            except UnreadableError:
                continue
            version = copy.version
            if "start" in example.dtype.names:
                version = opened[int(example["start"])]
            findings.add(
                check,
                f"{count} {_SAID[check]}, among them {key}.",
                _HINT,
                version=version,
                table=copy.table,
                file=copy.path,
            )
        if len(self.found) > _SHOWN:
            findings.note(f"{len(self.found) - _SHOWN} more files have rows at fault.")
