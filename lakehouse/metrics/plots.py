"""Metrics drawn: precision by recall, and the confusion matrix.

Needs matplotlib: the extra `plot`. Equal metrics give equal SVG files.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Literal

import numpy as np
import polars as pl

from lakehouse.errors import InvalidInputError, LakehouseError

try:
    import matplotlib as mpl
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
except ImportError as error:  # pragma: no cover - the extra is installed in tests
    raise LakehouseError(
        "Plots need matplotlib: pip install 'lakehouse[plot]'.", kind="extra.missing"
    ) from error


Kind = Literal["precision_recall", "confusion"]
"""What can be drawn."""

_ENDINGS: Final = (".png", ".svg")
_CLASSES_WITH_NUMBERS: Final = 20  # of more the cells are too small for them
_CLASSES_WITH_LEGEND: Final = 20  # of more the legend hides the curves


def draw(
    kind: Kind,
    tables: Mapping[Kind, Callable[[], pl.DataFrame]],
    title: str,
    path: str | os.PathLike[str] | None,
) -> Figure:
    """Draw a figure, and save it if a path is given.

    Args:
        kind: What to draw.
        tables: Makes the rows of each kind: `Metrics.curve` and `Metrics.confusion`.
        title: Written above it.
        path: Where to save it, if anywhere; its ending is the format.

    Raises:
        InvalidInputError: If there is no such kind, or the path has another ending.
    """
    problems: list[str] = []
    if kind not in {"precision_recall", "confusion"}:
        problems.append(
            f"Plot {kind!r} is not known: precision_recall and confusion are."
        )
    if path is not None and Path(path).suffix.lower() not in _ENDINGS:
        problems.append(f"{os.fspath(path)!r} does not end in {' or '.join(_ENDINGS)}.")
    if problems:
        raise InvalidInputError(" ".join(problems), kind="metrics.plot")
    rows = tables[kind]()
    figure = _curves(rows) if kind == "precision_recall" else _matrix(rows)
    figure.axes[0].set_title(title)
    if path is not None:
        # Neither a date nor random ids: the same metrics give the same bytes.
        metadata = {"Date": None} if Path(path).suffix.lower() == ".svg" else None
        with mpl.rc_context({"svg.hashsalt": "lakehouse"}):
            figure.savefig(path, metadata=metadata)
    return figure


def _curves(rows: pl.DataFrame) -> Figure:
    figure = Figure(figsize=(7, 5), layout="constrained")
    axes: Axes = figure.subplots()
    names = rows.get_column("class_name").unique(maintain_order=True).to_list()
    for name in names:
        line = rows.filter(class_name=name)
        axes.plot(line["recall"].to_numpy(), line["precision"].to_numpy(), label=name)
    axes.set(
        xlabel="recall",
        ylabel="precision",
        xlim=(0, 1),
        ylim=(0, 1.02),
    )
    if 0 < len(names) <= _CLASSES_WITH_LEGEND:
        axes.legend(loc="lower left", fontsize="small")
    return figure


def _matrix(table: pl.DataFrame) -> Figure:
    names = table.get_column("label_class").to_list()
    counts = table.drop("label_class").to_numpy().astype(np.float64)
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0)
    side = 2.5 + 0.45 * len(names)
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axes: Axes = figure.subplots()
    picture = axes.imshow(shares, vmin=0, vmax=1, cmap="Blues")
    figure.colorbar(picture, ax=axes, label="share of the labels' class")
    ticks = range(len(names))
    axes.set_xticks(ticks, names, rotation=90)
    axes.set_yticks(ticks, names)
    axes.set(xlabel="inference", ylabel="label")
    if len(names) <= _CLASSES_WITH_NUMBERS:
        for row, column in np.argwhere(counts > 0).tolist():
            axes.text(
                column,
                row,
                f"{int(counts[row, column]):,}",
                ha="center",
                va="center",
                fontsize=7,
                # The background is the darker, the greater the share.
                color="white" if shares[row, column] > 1 / 2 else "black",
            )
    return figure
