"""The story that the demo tells: what is done, in plain words, and what comes of it."""

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
from lakehouse.cli.demo.detectors import DETECTORS, Picture, detected
from lakehouse.metrics import Metrics


def show_rows(console: Console, rows: pl.DataFrame) -> None:
    """Print rows as a table."""
    table = Table(*rows.columns)
    for row in rows.iter_rows():
        table.add_row(*("" if value is None else str(value) for value in row))
    console.print(table)


def measure_detectors(
    console: Console,
    dataset: lakehouse.Dataset,
    place: Path,
    pictures: Mapping[str, Picture],
) -> None:
    """Let both detectors look, and hold what they say against a checkpoint."""
    console.print(
        "[bold]4. Two detectors look at the frames[/bold] and are pinned to a checkpoint."
    )
    checkpoint = dataset.checkpoint("baseline", message="what models are held against")
    known = dataset.at("baseline").frames().select("frame_id").collect()
    seen = {name: pictures[name] for name in known["frame_id"] if name in pictures}
    measured: list[Metrics] = []
    for name in DETECTORS:
        model = dataset.create_inference_set(name, at="baseline")
        model.add(detected(name, seen), frames=list(seen), message="first run")
        measured.append(model.metrics())
    console.print(f"   Checkpoint baseline is version {checkpoint.version}.")
    named = zip(DETECTORS, measured, strict=True)
    show_rows(console, pl.DataFrame([_figures(name, one) for name, one in named]))
    first, second = measured
    console.print("   What the second finds otherwise, most of all:")
    columns = ("item", "cause", "outcome_this", "outcome_other", "count")
    show_rows(console, first.compare(second).causes().select(columns).head(4))
    drawn = place / "precision_recall.png"
    second.plot("precision_recall", drawn)
    console.print(f"   precision by recall, drawn: {drawn}\n", markup=False)


def measure_again(console: Console, dataset: lakehouse.Dataset) -> None:
    """Ask again after the labels have changed: by the pin, and by the new labels."""
    console.print(
        "[bold]6. The detectors' figures have not moved[/bold]: they are pinned. The new "
        "labels say otherwise, when they are asked."
    )
    (model, *_) = dataset.inference_sets()
    pinned = model.metrics(cached=False)
    asked = {
        f"{model.name}, at its pin": pinned,
        f"{model.name}, by the latest labels": model.metrics(at="latest"),
    }
    show_rows(console, pl.DataFrame([_figures(*one) for one in asked.items()]))
    *_, latest = asked.values()
    causes = pinned.compare(latest).causes().filter(item="label")
    columns = (
        "cause",
        "class_this",
        "class_other",
        "outcome_this",
        "outcome_other",
        "count",
    )
    console.print("   Labels that explain the difference:")
    show_rows(console, causes.select(columns).head(4))
    console.print()


def _figures(name: str, metrics: Metrics) -> dict[str, Any]:
    """A row of the table of models."""
    rates = ("precision", "recall", "AP50")
    return {
        "model": name,
        "labels of version": metrics.source["labels"],
        **{count: metrics[count] for count in ("tp", "fp", "fn")},
        **{rate: f"{metrics[rate] or 0:.3f}" for rate in rates},
    }


_MARGIN: Final = 2.0
_SHOWN: Final = 5


def review_loose_boxes(
    console: Console,
    project: lakehouse.Project,
    dataset: lakehouse.Dataset,
    frame_id: str,
) -> lakehouse.Segment:
    """A reviewer collects boxes that are too loose, and a labeller mends them.

    Args:
        console: Where it is told.
        project: Where the segment is made.
        dataset: Whose boxes.
        frame_id: A frame whose boxes have a margin of two pixels.
    """
    console.print(
        f"[bold]7. A reviewer finds the new boxes of {frame_id} too loose[/bold], "
        "and keeps the largest in a segment."
    )
    _, labels = dataset.latest().frame(frame_id)
    area = pl.col("width") * pl.col("height")
    loose = labels.sort(area, "label_id", descending=[True, False]).head(_SHOWN)
    segment = project.create_segment(
        "bounding box too loose", type="label_quality", element_type="label"
    )
    segment.add(dataset, labels=loose.select("frame_id", "label_id"))
    segment.comment("A margin of two pixels on every side.")
    segment.set_state("in_progress")
    console.print(f"   {segment!r}", markup=False)

    upload = dataset.modify(labels=_tight(loose), message="boxes made tight")
    console.print(f"   The labeller mends them: {upload!r}", markup=False)
    _compare(console, segment)
    segment.set_status(None, "done")
    segment.set_state("resolved")
    segment.archive()
    listed = [one.name for one in project.segments()]
    console.print(
        f"   Resolved and archived: {segment!r}; segments listed now: {listed}.\n",
        markup=False,
    )
    return segment


def _tight(loose: pl.DataFrame) -> pl.DataFrame:
    """The boxes without their margin."""
    return loose.select(
        "frame_id",
        "label_id",
        *(pl.col(name) + _MARGIN for name in ("top", "left")),
        *(pl.col(name) - 2 * _MARGIN for name in ("width", "height")),
    )


def _compare(console: Console, segment: lakehouse.Segment) -> None:
    """The segment shows what was found, says that it is old, and what is there now."""
    was, now, stale = segment.elements(), segment.current(), segment.out_of_date()
    table = was.select("label_id", "version", was="width").with_columns(
        now=now["width"], out_of_date=stale["reason"], fields=stale["fields"]
    )
    show_rows(console, table)
    console.print(
        f"   The segment still shows the loose boxes of version {was['version'][0]}."
    )


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
