"""Coordinate frames of a frame: where its sensors are, and how cameras project."""

import json
from collections.abc import Mapping
from typing import Any, Final, Literal

from lakehouse.aquarium.checks import (
    check_id,
    check_number,
    check_numbers,
    check_one_of,
    refuse,
)
from lakehouse.aquarium.state import FrameState

__all__ = ["CoordinateFrameVerbs"]

_MATRIX: Final = 4
_ORIGIN: Final = {"x": 0.0, "y": 0.0, "z": 0.0}
_UPRIGHT: Final = {"w": 1.0, "x": 0.0, "y": 0.0, "z": 0.0}


class CoordinateFrameVerbs(FrameState):
    """The verbs that add coordinate frames."""

    def add_coordinate_frame_3d(
        self,
        *,
        coord_frame_id: str,
        position: Mapping[str, float] | None = None,
        orientation: Mapping[str, float] | None = None,
        parent_frame_id: str | None = None,
    ) -> None:
        """Add a 3-D coordinate frame.

        Args:
            coord_frame_id: Its name; `world` is there already.
            position: x, y, z in metres in its parent; the origin when left out.
            orientation: Quaternion w, x, y, z; upright when left out.
            parent_frame_id: A frame added before; the world when left out.

        Raises:
            InvalidInputError: If a value is unusable, the name is taken, or the
                parent is not there.
        """
        metadata = {
            "position": _parts("position", position or _ORIGIN, _ORIGIN),
            "orientation": _parts("orientation", orientation or _UPRIGHT, _UPRIGHT),
        }
        self._frame("WORLD", coord_frame_id, parent_frame_id, metadata)

    def add_coordinate_frame_2d(
        self,
        *,
        coord_frame_id: str,
        fx: float,
        fy: float,
        camera_model: Literal["brown_conrady", "fisheye"] | None = None,
        position: Mapping[str, float] | None = None,
        orientation: Mapping[str, float] | None = None,
        camera_matrix: list[list[float]] | None = None,
        k1: float | None = None,
        k2: float | None = None,
        k3: float | None = None,
        k4: float | None = None,
        k5: float | None = None,
        k6: float | None = None,
        p1: float | None = None,
        p2: float | None = None,
        cx: float | None = None,
        cy: float | None = None,
        s1: float | None = None,
        s2: float | None = None,
        s3: float | None = None,
        s4: float | None = None,
        skew: float | None = None,
        parent_frame_id: str | None = None,
    ) -> None:
        """Add a camera: a 2-D coordinate frame projected from a 3-D one.

        Args:
            coord_frame_id: Its name.
            fx: Focal length in pixels, not 0.
            fy: Focal length in pixels, not 0.
            camera_model: `brown_conrady` when left out.
            position: x, y, z in metres in its parent.
            orientation: Quaternion w, x, y, z.
            camera_matrix: 4 by 4, instead of position and orientation.
            k1: Radial distortion; so are k2 to k6.
            k2: Radial distortion.
            k3: Radial distortion.
            k4: Radial distortion.
            k5: Radial distortion.
            k6: Radial distortion.
            p1: Tangential distortion.
            p2: Tangential distortion.
            cx: Optical centre in pixels, above 0; only with cy.
            cy: Optical centre in pixels, above 0; only with cx.
            s1: Thin-prism distortion; so are s2 to s4.
            s2: Thin-prism distortion.
            s3: Thin-prism distortion.
            s4: Thin-prism distortion.
            skew: Of the pixels.
            parent_frame_id: A frame added before; the world when left out.

        Raises:
            InvalidInputError: If a value is unusable, the name is taken, or the
                parent is not there.
        """
        focal = check_numbers({"fx": fx, "fy": fy})
        if 0.0 in focal.values():
            raise refuse(f"fx={fx}, fy={fy}: focal lengths are not 0.", "value.range")
        model = check_one_of(
            "camera_model", camera_model or "brown_conrady", ("brown_conrady", "fisheye")
        )
        distortion = {
            "k1": k1, "k2": k2, "k3": k3, "k4": k4, "k5": k5, "k6": k6, "p1": p1,
            "p2": p2, "s1": s1, "s2": s2, "s3": s3, "s4": s4, "skew": skew,
        }  # fmt: skip
        metadata: dict[str, Any] = {**focal, "camera_model": model}
        if position is not None:
            metadata["position"] = _parts("position", position, _ORIGIN)
        if orientation is not None:
            metadata["orientation"] = _parts("orientation", orientation, _UPRIGHT)
        if camera_matrix is not None:
            metadata["camera_matrix"] = _matrix(camera_matrix)
        metadata |= check_numbers({k: v for k, v in distortion.items() if v is not None})
        metadata |= _centre(cx, cy)
        self._frame("IMAGE_PROJECTION", coord_frame_id, parent_frame_id, metadata)

    def _frame(
        self, kind: str, name: str, parent: str | None, metadata: dict[str, Any]
    ) -> None:
        check_id("coord_frame_id", name)
        if name == "world" or name in self._coordinate_frames:
            raise refuse(
                f"Frame {self.frame_id!r} has a coordinate frame {name!r} already. Give "
                "each a coord_frame_id of its own.",
                "coordinate_frame.repeated",
            )
        self._coordinate_frames[name] = {
            "coordinate_frame_id": name,
            "coordinate_frame_type": kind,
            "parent_frame_id": self._require_frame(parent),
            "metadata": json.dumps(metadata, sort_keys=True),
        }


def _parts(
    what: str, given: Mapping[str, float], wanted: Mapping[str, float]
) -> dict[str, float]:
    if sorted(given) != sorted(wanted):
        raise refuse(f"{what}={dict(given)!r}; give a dict of {', '.join(wanted)}.")
    return {
        part: check_number(f"{what}.{part}", given[part])
        for part in wanted
    }


def _matrix(matrix: list[list[float]]) -> list[list[float]]:
    if len(matrix) != _MATRIX or any(len(row) != _MATRIX for row in matrix):
        raise refuse("camera_matrix is not 4 by 4; give 4 rows of 4 numbers.")
    return [
        [check_number("camera_matrix", number) for number in row] for row in matrix
    ]


def _centre(cx: float | None, cy: float | None) -> dict[str, float]:
    if cx is None and cy is None:
        return {}
    if cx is None or cy is None:
        raise refuse("cx and cy come together; give both, or neither.", "value.range")
    centre = check_numbers({"cx": cx, "cy": cy})
    if min(centre.values()) <= 0:
        raise refuse(f"cx={cx}, cy={cy}: the centre is above 0.", "value.range")
    return centre
