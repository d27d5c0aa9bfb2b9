"""The images of frames, as files beside what a format writes.

They are copied byte for byte, some side by side. One that cannot be read ends the
export before anything of it can be seen, with every such frame named.
"""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lakehouse.errors import LakehouseError, Problem
from lakehouse.formats.content import Row
from lakehouse.formats.names import LONGEST, ending_of, file_name
from lakehouse.storage.media import Media, is_relative

_AT_ONCE = 16
_DEFAULT_ENDING = ".jpg"


class FileNames:
    """What the files of frames are called: each name is given once."""

    def __init__(self) -> None:
        self._given: set[str] = set()

    def of_frame(self, row: Row, ending: str | None = None) -> str:
        """A name made of the frame's id, and the ending of its image."""
        url = str(row.get("image_url") or "")
        end = (ending_of(url) or _DEFAULT_ENDING) if ending is None else ending
        frame_id = row["frame_id"]
        return self._free(file_name(frame_id), end)

    def of_image(self, row: Row) -> str:
        """The name that the frame's image has, where that is free."""
        url = str(row.get("image_url") or "")
        if url and is_relative(url) and ".." not in url.split("/"):
            wanted = url
        else:
            wanted = file_name(url.partition("?")[0].rstrip("/").rpartition("/")[2])
        if not wanted or wanted in self._given or len(wanted.encode()) > LONGEST:
            return self.of_frame(row)
        self._given.add(wanted)
        return wanted

    def _free(self, stem: str, ending: str) -> str:
        stem = stem.encode()[:LONGEST].decode(errors="ignore")
        name, number = f"{stem}{ending}", 1
        while name.casefold() in self._given:
            number += 1
            name = f"{stem}~{number}{ending}"
        self._given.add(name.casefold())
        return name


def copied(
    rows: Sequence[tuple[Row, Path]], media: Media, problems: list[Problem]
) -> None:
    """Write the images of frames to files; frames without one are passed over.

    Args:
        rows: Each frame with the file.
        media: Where images lie.
        problems: Where images that cannot be read are noted.
    """
    wanted = [(row, path) for row, path in rows if row.get("image_url")]
    images = fetched([row for row, _ in wanted], media, problems)
    for (_, path), data in zip(wanted, images, strict=True):
        if data is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)


def fetched(
    rows: Sequence[Row], media: Media, problems: list[Problem]
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
                "Mend it, set connect(media_root=…), or export with media=False.",
            )

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for found in pool.map(fetch, rows):
            if isinstance(found, Problem):
                problems.append(found)
            yield found if isinstance(found, bytes) else None
