"""The steps of the demo: what is done, and what comes of it, printed in plain words."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import polars as pl
from rich.console import Console
from rich.padding import Padding
from rich.progress import track
from rich.table import Table

import lakehouse
from lakehouse.cli.demo.detectors import DETECTORS, Picture, detect
from lakehouse.metrics import Metrics

Rows = list[dict[str, Any]]

_MAX_CELLS: Final = 300  # of a frame, in average precision
# Enough for a median of times that means something; the rest is one batch.
_STREAMED_SHARE: Final = 0.8
"""The frames that stream in; the others are the bad batch."""

_MARGIN_PIXELS: Final = 2.0
"""How much the relabelling widens a box on every side, and the reviewer takes back."""

_REVIEWED_BOXES: Final = 5

_CAUSE_COLUMNS: Final = ("cause", "outcome_this", "outcome_other", "count")


def run_story(
    console: Console,
    folder: Path,
    frames: Rows,
    boxes: Rows,
    pictures: Mapping[str, Picture],
) -> lakehouse.Dataset:
    """Run all steps in a new lake below `folder`.

    Args:
        console: Where the steps are printed.
        folder: A folder of its own.
        frames: At least six frames.
        boxes: Their boxes.
        pictures: Frame id to the image that detectors are given.
    """
    started = time.perf_counter()
    root = folder / "lake"
    # Images lie beside the lake; files elsewhere are not read.
    lake = lakehouse.connect(root, author="mira", media_root=folder)
    project = lake.create_project(
        "cells", classes=["cell", "debris"], task="2D_OBJECT_DETECTION"
    )
    dataset = project.create_dataset("hela")
    console.print(f"A lake in {root}: a folder, no server. {dataset!r}\n", markup=False)
    streamed = int(len(frames) * _STREAMED_SHARE)
    first_id, second_id, third_id = (frame["frame_id"] for frame in frames[:3])
    _stream_frames(console, dataset, frames[:streamed], boxes)
    _add_metadata(console, dataset)
    _add_bad_batch(console, dataset, frames[streamed:], boxes)
    _measure_detectors(console, dataset, folder, pictures)
    _relabel(console, dataset, folder, first_id)
    _measure_again(console, dataset)
    _review_loose_boxes(console, project, dataset, first_id)
    _delete_frame(console, dataset, second_id)
    _look_back(console, dataset, first_id)
    seconds = time.perf_counter() - started
    console.print(f"\nDone in {seconds:.0f} seconds. Three things to try next:")
    table = dataset.latest().tables["labels"]
    for command in (
        f"lakehouse --root {root} show cells/hela@1",
        (
            f"lakehouse --root {root} --media-root {folder} "
            f"plot cells/hela@latest {third_id} -o frame.png"
        ),
        (
            f"python -c \"import polars as pl; print(pl.scan_delta('{table.uri}', "
            f'version={table.version}).collect())"'
        ),
    ):
        console.print(f"  {command}", markup=False, soft_wrap=True)
    return dataset


# ---------------------------------- WRITING --------------------------------- #


def _stream_frames(
    console: Console, dataset: lakehouse.Dataset, frames: Rows, boxes: Rows
) -> None:
    console.print(
        "[bold]1. Frames stream in[/bold], one upload each, with their boxes."
    )
    times: list[float] = []
    # The bar is for terminals: in a log every step of it would be a line.
    for frame in track(
        frames, "   streaming", console=console, disable=not console.is_terminal
    ):
        # A plain loop over a few hundred boxes; it is outside of what is timed.
        labels = [box for box in boxes if box["frame_id"] == frame["frame_id"]]
        started = time.perf_counter()
        dataset.add([frame], labels, message="from the microscope")
        # `add` returns once the upload is merged, so this is the time until it can be
        # read.
        times.append(time.perf_counter() - started)
    # The first upload also opens the tables; a mean would count that into every frame.
    median = sorted(times)[len(times) // 2] * 1000
    console.print(
        f"   {dataset.latest().counts}, version {dataset.version}; "
        f"each frame could be read {median:.0f} ms (median) after it was sent.\n",
        markup=False,
    )


def _add_metadata(console: Console, dataset: lakehouse.Dataset) -> None:
    console.print(
        "[bold]2. A MODIFY adds metadata[/bold] to the frames; their other fields stay."
    )
    ids = dataset.latest().frames().select("frame_id").collect()["frame_id"].to_list()
    rows = [
        {"frame_id": name, "user__split": "val" if place % 5 == 0 else "train"}
        for place, name in enumerate(sorted(ids))
    ]
    upload = dataset.modify(rows, message="split for training")
    console.print(f"   {upload!r}\n", markup=False)


def _add_bad_batch(
    console: Console, dataset: lakehouse.Dataset, frames: Rows, boxes: Rows
) -> None:
    console.print(
        "[bold]3. A bad batch[/bold]: an unknown class, text in a number field, "
        "a box without width."
    )
    names = [frame["frame_id"] for frame in frames]
    # Copies of a good frame, so that each is rejected for the one error planted in it.
    extra = [dict(frames[0], frame_id=f"extra_{number}") for number in range(2)]
    sent = [*map(dict, frames), *extra]
    # Earlier frames made `user__hour` a field of whole numbers; text no longer fits.
    sent[-1]["user__hour"] = "noon"
    labels = [dict(box) for box in boxes if box["frame_id"] in names]
    # The error is in a label, yet its whole frame is rejected: the frame is the unit of
    # partial success (decision 0004).
    labels.append(_box(names[0], "odd", class_name="cel"))
    labels.append(_box("extra_0", "flat", width=0.0))
    upload = dataset.add(sent, labels, message="vendor batch 7")
    console.print(f"   {upload!r}: the good frames are in.", markup=False)
    columns = ("frame_id", "path", "message", "hint")
    _print_table(console, upload.errors().filter(severity="error").select(columns))
    console.print("   Corrected and sent again; only the rows with problems are given.")
    retried = upload.retry(
        frames=[dict(extra[1], user__hour=12)],
        labels=[_box(names[0], "odd"), _box("extra_0", "flat", width=9.0)],
    )
    console.print(f"   {retried!r}\n", markup=False)


def _box(frame_id: str, label_id: str, **fields: Any) -> dict[str, Any]:  # noqa: ANN401
    box: dict[str, Any] = {
        "frame_id": frame_id,
        "label_id": label_id,
        "class_name": "cell",
    }
    return box | {"top": 5.0, "left": 5.0, "width": 20.0, "height": 20.0} | fields


def _relabel(
    console: Console, dataset: lakehouse.Dataset, folder: Path, frame_id: str
) -> None:
    console.print(
        f"[bold]5. {frame_id} is relabelled[/bold]: boxes grow, small ones become debris."
    )
    _, labels = dataset.latest().frame(frame_id)
    area = pl.col("width") * pl.col("height")
    # By a quantile, not a size in pixels: then some boxes change class on every image.
    is_small = area < labels.select(area.quantile(0.3)).item()
    rows = labels.select(
        "frame_id",
        "label_id",
        class_name=pl.when(is_small).then(pl.lit("debris")).otherwise("class_name"),
        top=pl.col("top") - _MARGIN_PIXELS,
        left=pl.col("left") - _MARGIN_PIXELS,
        width=pl.col("width") + 2 * _MARGIN_PIXELS,
        height=pl.col("height") + 2 * _MARGIN_PIXELS,
    )
    upload = dataset.modify(labels=rows, message="relabelled by hand")
    diff = upload.diff()
    diff.plot(frame_id).save(folder / "relabelled.png")
    console.print(f"   {upload!r}", markup=False)
    console.print(Padding(diff, (0, 0, 0, 3)))
    console.print(
        f"   Before and after, drawn: {folder / 'relabelled.png'}\n", markup=False
    )


def _delete_frame(console: Console, dataset: lakehouse.Dataset, frame_id: str) -> None:
    console.print(f"[bold]8. {frame_id} is deleted[/bold]; older versions keep it.")
    upload = dataset.delete([frame_id], message="out of focus")
    console.print(f"   {upload!r}\n", markup=False)


# --------------------------------- MEASURING -------------------------------- #


def _measure_detectors(
    console: Console,
    dataset: lakehouse.Dataset,
    folder: Path,
    pictures: Mapping[str, Picture],
) -> None:
    console.print(
        "[bold]4. Two detectors find cells[/bold]; their results are pinned to a "
        "checkpoint of the labels."
    )
    checkpoint = dataset.checkpoint("baseline", message="labels to measure models by")
    ids = dataset.at("baseline").frames().select("frame_id").collect()["frame_id"]
    # The extra frames are copies of a row, with no picture under their ids.
    seen = {name: pictures[name] for name in ids if name in pictures}
    measured: list[Metrics] = []
    for name in DETECTORS:
        model = dataset.create_inference_set(name, at="baseline")
        model.add(detect(name, seen), frames=list(seen), message="first run")
        # Frames hold up to 195 cells: the 100 of COCO would leave good inferences out.
        measured.append(model.metrics(max_detections=_MAX_CELLS))
    console.print(f"   The checkpoint is version {checkpoint.version}.")
    _print_metrics(console, dict(zip(DETECTORS, measured, strict=True)))
    first, second = measured
    console.print("   The most frequent differences of the second to the first:")
    causes = first.compare(second).causes()
    _print_table(console, causes.select("item", *_CAUSE_COLUMNS).head(4))
    plot = folder / "precision_recall.png"
    second.plot("precision_recall", plot)
    console.print(f"   Precision by recall, drawn: {plot}\n", markup=False)


def _measure_again(console: Console, dataset: lakehouse.Dataset) -> None:
    console.print(
        "[bold]6. The metrics of the detectors have not moved[/bold]: they are pinned. "
        "Measured by the new labels they differ."
    )
    (model, *_) = dataset.inference_sets()
    # Measured again on purpose: kept figures would agree even if the pin did not hold.
    pinned = model.metrics(cached=False, max_detections=_MAX_CELLS)
    latest = model.metrics(at="latest", max_detections=_MAX_CELLS)
    _print_metrics(
        console,
        {
            f"{model.name}, by the pinned labels": pinned,
            f"{model.name}, by the latest labels": latest,
        },
    )
    causes = pinned.compare(latest).causes().filter(item="label")
    columns = ("cause", "class_this", "class_other", *_CAUSE_COLUMNS[1:])
    console.print("   Labels that explain the difference:")
    _print_table(console, causes.select(columns).head(4))
    console.print()


def _print_metrics(console: Console, measured: Mapping[str, Metrics]) -> None:
    rows = [
        {
            "model": name,
            "labels of version": metrics.source["labels"],
            **{count: metrics[count] for count in ("tp", "fp", "fn")},
            **{
                rate: f"{metrics[rate] or 0:.3f}"
                for rate in ("precision", "recall", "AP50")
            },
        }
        for name, metrics in measured.items()
    ]
    _print_table(console, pl.DataFrame(rows))


# --------------------------------- REVIEWING -------------------------------- #


def _review_loose_boxes(
    console: Console,
    project: lakehouse.Project,
    dataset: lakehouse.Dataset,
    frame_id: str,
) -> None:
    """A reviewer collects boxes that are too loose, and a labeller corrects them."""
    console.print(
        f"[bold]7. A reviewer finds the new boxes of {frame_id} too loose[/bold], "
        "and keeps the largest in a segment."
    )
    _, labels = dataset.latest().frame(frame_id)
    area = pl.col("width") * pl.col("height")
    # By id where areas are equal, so that every run of the demo shows the same boxes.
    loose = labels.sort(area, "label_id", descending=[True, False])
    loose = loose.head(_REVIEWED_BOXES)
    segment = project.create_segment(
        "bounding box too loose", type="label_quality", element_type="label"
    )
    segment.add(dataset, labels=loose.select("frame_id", "label_id"))
    segment.comment("A margin of two pixels on every side.")
    segment.set_state("in_progress")
    console.print(f"   {segment!r}", markup=False)

    tight = loose.select(
        "frame_id",
        "label_id",
        *(pl.col(name) + _MARGIN_PIXELS for name in ("top", "left")),
        *(pl.col(name) - 2 * _MARGIN_PIXELS for name in ("width", "height")),
    )
    upload = dataset.modify(labels=tight, message="boxes made tight")
    console.print(f"   The labeller corrects them: {upload!r}", markup=False)
    # All three list the same elements in the same order, so columns stand side by side.
    was, now, stale = segment.elements(), segment.current(), segment.out_of_date()
    table = was.select("label_id", "version", was="width").with_columns(
        now=now["width"], out_of_date=stale["reason"], fields=stale["fields"]
    )
    _print_table(console, table)
    version = was["version"][0]
    console.print(f"   The segment still shows the loose boxes of version {version}.")
    segment.set_status(None, "done")
    segment.set_state("resolved")
    segment.archive()
    listed = [one.name for one in project.segments()]
    console.print(
        f"   Resolved and archived: {segment!r}; segments listed now: {listed}.\n",
        markup=False,
    )


def _look_back(console: Console, dataset: lakehouse.Dataset, frame_id: str) -> None:
    console.print("[bold]9. Every version is still there.[/bold]")
    columns = ["version", "message", "frames_rows", "labels_rows", "rejected"]
    _print_table(console, dataset.versions().select(columns).tail(7))
    changes = dataset.history(frame_id).group_by(
        "version", "message", "table", "op", maintain_order=True
    )
    console.print(f"   The history of {frame_id}:", markup=False)
    _print_table(console, changes.len("rows"))
    rows = [
        {
            "version": snapshot.version,
            **snapshot.counts,
            "fingerprint": snapshot.fingerprint[:12],
        }
        for snapshot in (dataset.at(1), dataset.latest())
    ]
    _print_table(console, pl.DataFrame(rows))


def _print_table(console: Console, rows: pl.DataFrame) -> None:
    table = Table(*rows.columns)
    for row in rows.iter_rows():
        table.add_row(*("" if value is None else str(value) for value in row))
    console.print(table)
