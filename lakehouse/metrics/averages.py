"""COCO's figures: averages of precision and recall over classes and IoUs.

A class without labels has no precision and is in no average (COCO).
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from lakehouse.metrics.arrays import Flags, Floats
from lakehouse.metrics.matching import AREAS
from lakehouse.metrics.precision import Walk
from lakehouse.metrics.ranking import Ranking

__all__ = ["averages", "class_averages"]

_AT_75: Final = 5
_FEW: Final = (1, 10)
_SIZES: Final = tuple(area.name for area in AREAS[1:])


def averages(ranking: Ranking, images: Flags | None = None) -> dict[str, float | None]:
    """COCO's figures, by name: AP…, AR…; None where no class has labels.

    Args:
        ranking: What became of the inferences.
        images: Which images count; None: all.
    """
    walks = ranking.every_area(images)
    precision = {name: _known(one, "precision") for name, one in walks.items()}
    recall = {f"AR_{name}": _known(walks[name], "recall") for name in _SIZES}
    few = {
        f"AR{most}": _known(ranking.walks("all", images, most), "recall")
        for most in _FEW
        if most < ranking.most
    }
    parts = {
        "AP": precision["all"],
        "AP50": [one[:1] for one in precision["all"]],
        "AP75": [one[_AT_75 : _AT_75 + 1] for one in precision["all"]],
        **{f"AP_{name}": precision[name] for name in _SIZES},
        **few,
        f"AR{ranking.most}": _known(walks["all"], "recall"),
        **recall,
    }
    return {name: _mean(part) for name, part in parts.items()}


def class_averages(ranking: Ranking) -> dict[str, list[float | None]]:
    """`ap`, `ap50`, `ap75`, `ap_small` … and `ar` of each class, by its number."""
    walks = ranking.every_area()
    whole = walks["all"]
    found = {
        "ap": [_part(one, "precision") for one in whole],
        "ap50": [_part(one, "precision", 0) for one in whole],
        "ap75": [_part(one, "precision", _AT_75) for one in whole],
    }
    for name in _SIZES:
        found[f"ap_{name}"] = [_part(one, "precision") for one in walks[name]]
    return found | {"ar": [_part(one, "recall") for one in whole]}


def _part(one: Walk | None, name: str, iou: int | None = None) -> float | None:
    """The mean of a class's precision or recall, over all IoUs or at one."""
    if one is None:
        return None
    values: Floats = getattr(one, name)
    return float(np.mean(values if iou is None else values[iou]))


def _known(walks: Sequence[Walk | None], name: str) -> list[Floats]:
    return [getattr(one, name) for one in walks if one is not None]


def _mean(parts: list[Floats]) -> float | None:
    """The mean over all entries of the classes' arrays, in COCO's order."""
    return float(np.mean(np.stack(parts, axis=-1))) if parts else None
