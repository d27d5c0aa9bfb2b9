"""The part of the story about models: two detectors, a checkpoint, and new labels."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console

import lakehouse
from lakehouse.demo.detectors import DETECTORS, Picture, detected
from lakehouse.demo.showing import show_rows
from lakehouse.metrics import Metrics

__all__ = ["measure_again", "measure_detectors"]


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
