"""Metrics drawn: precision by recall, and the confusion matrix.

Needs matplotlib: the extra `plot`. Equal metrics give equal SVG files.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from lakehouse.errors import InvalidInputError, LakehouseError
from lakehouse.metrics.showing import short

if TYPE_CHECKING:
    from lakehouse.metrics.result import Metrics

try:
    import matplotlib as mpl
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
except ImportError as error:  # pragma: no cover - the extra is installed in tests
    raise LakehouseError(
        "Plots need matplotlib: pip install 'lakehouse[plot]'.", kind="extra.missing"
    ) from error

__all__ = ["Kind", "draw"]

Kind = Literal["precision_recall", "confusion"]
"""What can be drawn."""

_ENDINGS: Final = (".png", ".svg")
_WRITTEN_UP_TO: Final = 20
_LEGEND_UP_TO: Final = 20


def draw(metrics: "Metrics", kind: Kind, path: str | os.PathLike[str] | None) -> Figure:
    """Draw a figure, and save it if a path is given.

    Raises:
        InvalidInputError: If there is no such kind, or the path has another ending.
    """
    faults: list[str] = []
    if kind not in {"precision_recall", "confusion"}:
        faults.append(
            f"Plot {kind!r} is not known: precision_recall and confusion are."
        )
    if path is not None and Path(path).suffix.lower() not in _ENDINGS:
        faults.append(f"{os.fspath(path)!r} does not end in {' or '.join(_ENDINGS)}.")
    if faults:
        raise InvalidInputError(" ".join(faults), kind="metrics.plot")
    figure = _curves(metrics) if kind == "precision_recall" else _matrix(metrics)
    if path is not None:
        # Neither a date nor random ids: the same metrics give the same bytes.
        dateless = {"Date": None} if Path(path).suffix.lower() == ".svg" else None
        with mpl.rc_context({"svg.hashsalt": "lakehouse"}):
            figure.savefig(path, metadata=dateless)
    return figure


def _curves(metrics: "Metrics") -> Figure:
    figure = Figure(figsize=(7, 5), layout="constrained")
    axes: Axes = figure.subplots()
    rows = metrics.curve()
    names = rows.get_column("class_name").unique(maintain_order=True).to_list()
    for name in names:
        line = rows.filter(class_name=name)
        axes.plot(line["recall"].to_numpy(), line["precision"].to_numpy(), label=name)
    axes.set(
        xlabel="recall",
        ylabel="precision",
        xlim=(0, 1),
        ylim=(0, 1.02),
        title=_title(metrics),
    )
    if 0 < len(names) <= _LEGEND_UP_TO:
        axes.legend(loc="lower left", fontsize="small")
    return figure


def _matrix(metrics: "Metrics") -> Figure:
    table = metrics.confusion()
    names = table.get_column("label_class").to_list()
    counts = table.drop("label_class").to_numpy().astype(np.float64)
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0)
    side = 2.5 + 0.45 * len(names)
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axes: Axes = figure.subplots()
    drawn = axes.imshow(shares, vmin=0, vmax=1, cmap="Blues")
    figure.colorbar(drawn, ax=axes, label="share of the labels' class")
    places = range(len(names))
    axes.set_xticks(places, names, rotation=90)
    axes.set_yticks(places, names)
    axes.set(xlabel="inference", ylabel="label", title=_title(metrics))
    if len(names) <= _WRITTEN_UP_TO:
        for row, column in np.argwhere(counts > 0).tolist():
            axes.text(
                column,
                row,
                f"{int(counts[row, column]):,}",
                ha="center",
                va="center",
                fontsize=7,
                color="white" if shares[row, column] > 1 / 2 else "black",
            )
    return figure


def _title(metrics: "Metrics") -> str:
    thresholds = f"IoU {metrics.parameters['iou']}, confidence {metrics.parameters['confidence']}"
    return f"{metrics.task}, {short(metrics.counts['frames'])} frames, {thresholds}"
