"""Mask files: images whose pixels are class ids, read through fsspec.

Needs Pillow. Palette images count by their palette's places, not its colours.
"""

import io
from typing import Any

import fsspec.core
import numpy as np
import numpy.typing as npt

from lakehouse.errors import LakehouseError

try:
    from PIL import Image
except ImportError as error:  # pragma: no cover - the extra is installed in tests
    raise LakehouseError(
        "Masks need Pillow: pip install 'lakehouse[metrics]'.", kind="extra.missing"
    ) from error

__all__ = ["MaskError", "read_mask"]


class MaskError(ValueError):
    """A mask cannot be read, or holds no class ids."""


def read_mask(url: str) -> npt.NDArray[np.int64]:
    """The class ids of a mask file.

    Args:
        url: A path, or a URL that fsspec knows.

    Returns:
        `int64[height, width]`.

    Raises:
        MaskError: If there is no such file, or it is no image of whole numbers.
    """
    try:
        filesystem, path = fsspec.core.url_to_fs(url)
        picture = Image.open(io.BytesIO(filesystem.cat_file(path)))
        values: npt.NDArray[Any] = np.asarray(picture)
    except (OSError, ValueError, ImportError, SyntaxError) as error:
        raise MaskError(f"cannot be read: {error}") from error
    if values.ndim != 2 or values.dtype.kind not in {"b", "u", "i"}:  # noqa: PLR2004 - height, width
        raise MaskError(
            f"is an image of mode {picture.mode}, not of one class id a pixel"
        )
    return values.astype(np.int64)
