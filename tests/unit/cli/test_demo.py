"""The demo's story, on frames small enough for a test."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

import lakehouse
from lakehouse.cli.demo import run_demo
from lakehouse.cli.demo.data import boxes_of
from lakehouse.cli.demo.story import run_story


def test_the_story_ends_as_it_says(tmp_path: Path) -> None:
    frames: list[dict[str, Any]] = []
    boxes: list[dict[str, Any]] = []
    seen: list[Any] = []
    for number in range(10):
        path = tmp_path / f"{number}.png"
        picture = np.zeros((40, 60), np.uint16)
        picture[5:15, 5:20] = 200
        seen.append(picture)
        Image.fromarray(picture.astype(np.uint8)).save(path)
        frame = {
            "frame_id": f"hela_{number:02}",
            "image_url": str(path),
            "user__hour": number,
        }
        frames.append(frame | {"width": 60, "height": 40})
        mask = np.zeros((40, 60), np.int64)
        mask[5:15, 5:20], mask[20:30, 30:40] = 1, 2
        boxes += boxes_of(f"hela_{number:02}", mask)
    screen = io.StringIO()
    console = Console(file=screen, width=120)
    pictures = {
        row["frame_id"]: picture for row, picture in zip(frames, seen, strict=True)
    }

    dataset = run_story(console, tmp_path, frames, boxes, pictures)

    assert dataset.latest().counts == {"frames": 11, "labels": 20}
    assert dataset.uploads()["status"].to_list().count("PARTIAL") == 1
    assert (tmp_path / "relabelled.png").stat().st_size > 0
    assert (tmp_path / "precision_recall.png").stat().st_size > 0
    otsu = dataset.inference_set("otsu")
    # Each picture shows one of the two cells that are labelled; one more is odd.
    assert (otsu.metrics()["tp"], otsu.metrics()["fn"]) == (10, 11)
    assert otsu.pin == dataset.get_checkpoint("baseline").version < dataset.version
    assert "have not moved" in screen.getvalue()
    assert_loose_boxes_are_kept(tmp_path, dataset)


def assert_loose_boxes_are_kept(place: Path, dataset: lakehouse.Dataset) -> None:
    """The segment shows the loose boxes to whoever opens the lake, resolved and hidden."""
    project = lakehouse.connect(place / "lake").project("cells")
    segment = project.segment("bounding box too loose")
    was, now = segment.elements(), segment.current()

    assert (segment.state, segment.is_archived) == ("resolved", True)
    assert project.segments() == []
    assert was["status"].to_list() == ["done"] * 2
    assert was["version"].unique().to_list() == [dataset.version - 2]
    # Boxes of 15 and 10 pixels, drawn two pixels too large on every side, then mended.
    assert was["width"].to_list() == [19.0, 14.0]
    assert now["width"].to_list() == [15.0, 10.0]
    stale = segment.out_of_date()
    assert stale["reason"].to_list() == ["changed"] * 2
    assert stale["fields"].to_list() == [["top", "left", "width", "height"]] * 2
    with pytest.raises(lakehouse.ArchivedError):
        segment.refresh()


@pytest.mark.slow
def test_the_demo_runs_on_the_real_frames(tmp_path: Path) -> None:
    run_demo(tmp_path / "demo")
