"""Two cell detectors that run offline: a plain one and a better one.

Neither is trained, so they run anywhere and detect the same cells each time. They
need scikit-image: the extra `demo`.

* `otsu`: smooth, then one threshold for the whole frame (Otsu), then connected
  parts. Cells that touch become one, dim cells are missed.
* `watershed`: smooth, then a threshold for each neighbourhood, then parts are split
  where they are thin (watershed of the distance to the edge).
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lakehouse.cli.demo.data import extra

# By eye, on these frames: a cell is 15 to 30 pixels wide.
_SMOOTHING_SIGMA: Final = 1.0
_MIN_CELL_PIXELS: Final = 40
_NEIGHBOURHOOD_PIXELS: Final = 101
_ABOVE_NEIGHBOURHOOD: Final = 10
_MIN_DISTANCE_PIXELS: Final = 10

Picture = npt.NDArray[Any]
Instances = npt.NDArray[np.int64]


def otsu(picture: Picture) -> Instances:
    """Cells by one threshold for the whole frame.

    Args:
        picture: `uint16[height, width]`.

    Returns:
        `int64[height, width]`: the number of the cell at each pixel, 0 for none.
    """
    filters, measure = extra("skimage.filters"), extra("skimage.measure")
    smooth = filters.gaussian(picture, sigma=_SMOOTHING_SIGMA, preserve_range=True)
    return _large_enough(measure.label(smooth > filters.threshold_otsu(smooth)))


def watershed(picture: Picture) -> Instances:
    """Cells by a threshold for each neighbourhood, split where they are thin.

    Args:
        picture: `uint16[height, width]`.

    Returns:
        `int64[height, width]`: the number of the cell at each pixel, 0 for none.
    """
    filters, measure = extra("skimage.filters"), extra("skimage.measure")
    feature, segmentation = extra("skimage.feature"), extra("skimage.segmentation")
    smooth = filters.gaussian(picture, sigma=_SMOOTHING_SIGMA, preserve_range=True)
    local = filters.threshold_local(
        smooth, _NEIGHBOURHOOD_PIXELS, offset=-_ABOVE_NEIGHBOURHOOD
    )
    bright = smooth > local
    depth = extra("scipy.ndimage").distance_transform_edt(bright)
    parts = measure.label(bright)
    middles = feature.peak_local_max(
        depth, min_distance=_MIN_DISTANCE_PIXELS, labels=parts
    )
    markers = np.zeros(bright.shape, np.int64)
    markers[tuple(middles.T)] = np.arange(1, len(middles) + 1)
    return _large_enough(segmentation.watershed(-depth, markers, mask=bright))


DETECTORS: Final[Mapping[str, Callable[[Picture], Instances]]] = MappingProxyType(
    {"otsu": otsu, "watershed": watershed}
)
"""Name to detector, the plain one first."""


def detect(name: str, pictures: Mapping[str, Picture]) -> list[dict[str, Any]]:
    """The inferences of a detector: a box around each cell.

    The confidence is the cell's solidity: the share of its convex hull that it fills.
    Cells that were detected as one have dents.

    Args:
        name: One of DETECTORS.
        pictures: Frame id to `uint16[height, width]`.

    Returns:
        Rows of inferences; the label ids are numbered in each frame.

    Raises:
        LakehouseError: If scikit-image is not installed.
    """
    regionprops = extra("skimage.measure").regionprops
    rows: list[dict[str, Any]] = []
    for frame_id, picture in pictures.items():
        for cell in regionprops(DETECTORS[name](picture)):
            top, left, bottom, right = cell.bbox
            rows.append(
                {
                    "frame_id": frame_id,
                    "label_id": f"{name}_{cell.label:04}",
                    "class_name": "cell",
                    "confidence": float(cell.solidity),
                    "top": float(top),
                    "left": float(left),
                    "width": float(right - left),
                    "height": float(bottom - top),
                }
            )
    return rows


def _large_enough(cells: Instances) -> Instances:
    """The cells without the small ones, which become background."""
    pixels = np.bincount(cells.ravel())
    return np.where(pixels[cells] >= _MIN_CELL_PIXELS, cells, 0)
