"""The images of frames, as files beside what a format writes.

They are copied byte for byte, several at a time. If some cannot be read the export
fails before it is published, and every such frame is named.
"""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from lakehouse.errors import LakehouseError, Problem
from lakehouse.formats.content import Row
from lakehouse.formats.names import MAX_STEM_BYTES, ending_of, file_name
from lakehouse.model.problems import Problems
from lakehouse.storage.media import Media, is_relative

_PARALLEL_READS: Final = 16  # reads from object stores wait far more than they work
_DEFAULT_ENDING: Final = ".jpg"


class FileNames:
    """Names for the files of frames; no name is given twice."""

    def __init__(self) -> None:
        # In lower case: names that differ by case alone are one file on macOS.
        self._given: set[str] = set()

    def of_frame(self, row: Row, ending: str | None = None) -> str:
        """A name made of the frame's id, and the ending of its image."""
        url = str(row.get("image_url") or "")
        end = (ending_of(url) or _DEFAULT_ENDING) if ending is None else ending
        frame_id = row["frame_id"]
        return self._free(file_name(frame_id), end)

    def of_image(self, row: Row) -> str:
        """The name of the frame's image, where it is not taken."""
        url = str(row.get("image_url") or "")
        if url and is_relative(url) and ".." not in url.split("/"):
            wanted = url
        else:
            wanted = file_name(url.partition("?")[0].rstrip("/").rpartition("/")[2])
        is_taken = wanted.casefold() in self._given
        if not wanted or is_taken or len(wanted.encode()) > MAX_STEM_BYTES:
            return self.of_frame(row)
        self._given.add(wanted.casefold())
        return wanted

    def _free(self, stem: str, ending: str) -> str:
        stem = stem.encode()[:MAX_STEM_BYTES].decode(errors="ignore")
        name, number = f"{stem}{ending}", 1
        while name.casefold() in self._given:
            number += 1
            name = f"{stem}~{number}{ending}"
        self._given.add(name.casefold())
        return name


def copy_images(
    rows: Sequence[tuple[Row, Path]], media: Media, problems: Problems
) -> None:
    """Write the images of frames to files; frames without an image are skipped.

    Args:
        rows: Each frame with its file.
        media: Where images are read.
        problems: Where images that cannot be read are added.
    """
    wanted = [(row, path) for row, path in rows if row.get("image_url")]
    images = fetch_images([row for row, _ in wanted], media, problems)
    for (_, path), data in zip(wanted, images, strict=True):
        if data is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)


def fetch_images(
    rows: Sequence[Row], media: Media, problems: Problems
) -> Iterable[bytes | None]:
    """The bytes of the images of frames, in order; None for what cannot be read."""

    def fetch(row: Row) -> bytes | Problem | None:
        url = row.get("image_url")
        if url is None:
            return None
        try:
            return media.read(url)
        except LakehouseError as error:
            return Problem(
                row["frame_id"],
                None,
                f"frames['{row['frame_id']}'].image_url",
                error.kind,
                str(error),
                "Correct it, set connect(media_root=…), or export with media=False.",
            )

    with ThreadPoolExecutor(_PARALLEL_READS) as pool:
        for result in pool.map(fetch, rows):
            if isinstance(result, Problem):
                problems.extend([result])
            yield result if isinstance(result, bytes) else None
