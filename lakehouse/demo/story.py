"""The story that the demo tells: what is done, in plain words, and what comes of it."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import polars as pl
from rich.console import Console
from rich.padding import Padding
from rich.progress import track

import lakehouse
from lakehouse.demo.detectors import Picture
from lakehouse.demo.measured import measure_again, measure_detectors
from lakehouse.demo.reviewing import review_loose_boxes
from lakehouse.demo.showing import show_rows

__all__ = ["tell"]

Rows = list[dict[str, Any]]

_STREAMED: Final = 0.8


def tell(
    console: Console,
    place: Path,
    frames: Rows,
    boxes: Rows,
    pictures: Mapping[str, Picture],
) -> lakehouse.Dataset:
    """Run the whole story in a new lake below `place`.

    Args:
        console: Where it is told.
        place: A folder of its own.
        frames: At least six frames.
        boxes: Their boxes.
        pictures: Frame id to what a detector sees.
    """
    started = time.perf_counter()
    lake = lakehouse.connect(place / "lake", author="mira")
    project = lake.create_project(
        "cells", classes=["cell", "debris"], task="2D_OBJECT_DETECTION"
    )
    dataset = project.create_dataset("hela")
    console.print(
        f"A lake in {place / 'lake'}: a folder, no server. {dataset!r}\n", markup=False
    )
    late = frames[int(len(frames) * _STREAMED) :]
    _stream(console, dataset, frames[: len(frames) - len(late)], boxes)
    _add_metadata(console, dataset, frames)
    _bad_batch(console, dataset, late, boxes)
    measure_detectors(console, dataset, place, pictures)
    _relabel(console, dataset, place, frames[0]["frame_id"])
    measure_again(console, dataset)
    review_loose_boxes(console, project, dataset, frames[0]["frame_id"])
    _delete(console, dataset, frames[1]["frame_id"])
    _look_back(console, dataset, frames[0]["frame_id"])
    console.print(
        f"\nDone in {time.perf_counter() - started:.0f} seconds. Three things to try next:"
    )
    root = place / "lake"
    console.print(f"  lakehouse --root {root} show cells/hela@1", markup=False)
    console.print(
        f"  lakehouse --root {root} plot cells/hela@latest {frames[2]['frame_id']} -o frame.png",
        markup=False,
    )
    table = dataset.latest().tables["labels"]
    console.print(
        f"  python -c \"import polars as pl; print(pl.scan_delta('{table.uri}', "
        f'version={table.version}).collect())"',
        markup=False,
        soft_wrap=True,
    )
    return dataset


def _stream(
    console: Console, dataset: lakehouse.Dataset, frames: Rows, boxes: Rows
) -> None:
    console.print(
        "[bold]1. Frames stream in[/bold], one upload each, with their boxes."
    )
    times: list[float] = []
    for frame in track(
        frames, "   streaming", console=console, disable=not console.is_terminal
    ):
        mine = [box for box in boxes if box["frame_id"] == frame["frame_id"]]
        started = time.perf_counter()
        dataset.add([frame], mine, message="from the microscope")
        times.append(time.perf_counter() - started)
    middle = sorted(times)[len(times) // 2] * 1000
    console.print(
        f"   {dataset.latest().counts}, version {dataset.version}; "
        f"each was readable {middle:.0f} ms (median) after it was sent.\n",
        markup=False,
    )


def _add_metadata(console: Console, dataset: lakehouse.Dataset, frames: Rows) -> None:
    console.print(
        "[bold]2. A MODIFY adds metadata[/bold] to frames that are there; the rest stays."
    )
    known = dataset.latest().frames().select("frame_id").collect()["frame_id"].to_list()
    rows = [
        {"frame_id": name, "user__split": "val" if place % 5 == 0 else "train"}
        for place, name in enumerate(sorted(known))
    ]
    upload = dataset.modify(rows, message="split for training")
    console.print(f"   {upload!r}\n", markup=False)
    del frames


def _bad_batch(
    console: Console, dataset: lakehouse.Dataset, frames: Rows, boxes: Rows
) -> None:
    console.print(
        "[bold]3. A bad batch[/bold]: an unknown class, text in a number field, a flat box."
    )
    names = [frame["frame_id"] for frame in frames]
    sent = [dict(frame) for frame in frames]
    extra = [dict(frames[0], frame_id=f"extra_{number}") for number in range(2)]
    sent += extra
    labels = [dict(box) for box in boxes if box["frame_id"] in names]
    labels.append(_box(names[0], "odd", class_name="cel"))
    sent[-1]["user__hour"] = "noon"
    labels.append(_box("extra_0", "flat", width=0.0))
    upload = dataset.add(sent, labels, message="vendor batch 7")
    console.print(f"   {upload!r}: the good frames landed.", markup=False)
    show_rows(
        console,
        upload.errors()
        .filter(severity="error")
        .select("frame_id", "path", "message", "hint"),
    )
    console.print("   Mended and sent again; only the rows at fault are given.")
    mended = upload.retry(
        frames=[dict(extra[1], user__hour=12)],
        labels=[_box(names[0], "odd"), _box("extra_0", "flat", width=9.0)],
    )
    console.print(f"   {mended!r}\n", markup=False)


def _relabel(
    console: Console, dataset: lakehouse.Dataset, place: Path, frame_id: str
) -> None:
    console.print(
        f"[bold]5. {frame_id} is relabelled[/bold]: boxes grow, small ones become debris."
    )
    _, labels = dataset.latest().frame(frame_id)
    small = (
        pl.col("width") * pl.col("height")
        < labels.select((pl.col("width") * pl.col("height")).quantile(0.3)).item()
    )
    rows = labels.select(
        "frame_id",
        "label_id",
        class_name=pl.when(small).then(pl.lit("debris")).otherwise("class_name"),
        top=pl.col("top") - 2,
        left=pl.col("left") - 2,
        width=pl.col("width") + 4,
        height=pl.col("height") + 4,
    )
    upload = dataset.modify(labels=rows, message="relabelled by hand")
    diff = upload.diff()
    diff.plot(frame_id).save(place / "relabelled.png")
    console.print(f"   {upload!r}", markup=False)
    console.print(Padding(diff, (0, 0, 0, 3)))
    console.print(
        f"   before and after, drawn: {place / 'relabelled.png'}\n", markup=False
    )


def _delete(console: Console, dataset: lakehouse.Dataset, frame_id: str) -> None:
    console.print(f"[bold]8. {frame_id} is deleted[/bold]; older versions keep it.")
    upload = dataset.delete([frame_id], message="out of focus")
    console.print(f"   {upload!r}\n", markup=False)


def _look_back(console: Console, dataset: lakehouse.Dataset, frame_id: str) -> None:
    console.print("[bold]9. Every version is still there.[/bold]")
    columns = ["version", "message", "frames_rows", "labels_rows", "rejected"]
    show_rows(console, dataset.versions().select(columns).tail(7))
    found = dataset.history(frame_id)
    told = found.group_by("version", "message", "table", "op", maintain_order=True).len(
        "rows"
    )
    console.print(f"   The history of {frame_id}:", markup=False)
    show_rows(console, told)
    first, last = dataset.at(1), dataset.latest()
    show_rows(
        console,
        pl.DataFrame(
            [
                {
                    "version": snap.version,
                    **snap.counts,
                    "fingerprint": snap.fingerprint[:12],
                }
                for snap in (first, last)
            ]
        ),
    )


def _box(frame_id: str, label_id: str, **fields: Any) -> dict[str, Any]:  # noqa: ANN401
    box: dict[str, Any] = {
        "frame_id": frame_id,
        "label_id": label_id,
        "class_name": "cell",
    }
    return box | {"top": 5.0, "left": 5.0, "width": 20.0, "height": 20.0} | fields
