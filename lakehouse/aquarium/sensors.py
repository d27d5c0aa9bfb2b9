"""Sensors and coordinate frames in the client's spelling."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from lakehouse.aquarium.values import checked_date, checked_id, checked_number, refused

Number = int | float

_CAMERAS: Final = ("brown_conrady", "fisheye")
_ORIGIN: Final = {"x": 0.0, "y": 0.0, "z": 0.0}
_UPRIGHT: Final = {"w": 1.0, "x": 0.0, "y": 0.0, "z": 0.0}
_MATRIX: Final = 4


class SensorAdder:
    """The media of a frame, and where they are in space."""

    def __init__(self) -> None:
        self.sensors: list[dict[str, Any]] = []
        self.coordinate_frames: list[dict[str, Any]] = []

    def add_image(
        self,
        *,
        sensor_id: str = "DEFAULT",
        image_url: str,
        preview_url: str | None = None,
        date_captured: str | None = None,
        width: int | None = None,
        height: int | None = None,
        coord_frame_id: str | None = None,
        mirror_asset: bool | None = False,
    ) -> None:
        """An image; width and height in pixels."""
        urls = {"image_url": image_url, "preview_url": preview_url}
        fields = urls | {"width": width, "height": height}
        frame = self._image_frame(sensor_id, coord_frame_id)
        self._sensor(sensor_id, "IMAGE_V0", fields, frame, date_captured, mirror_asset)

    def add_image_overlay(
        self,
        *,
        sensor_id: str = "DEFAULT",
        overlay_id: str,
        image_url: str,
        date_captured: str | None = None,
        width: int | None = None,
        height: int | None = None,
        mirror_asset: bool | None = False,
        resize_mode: str | None = None,
    ) -> None:
        """An image laid over another.

        Where `sensor_id` is that of a sensor added before, the overlay is kept
        as sensor `<sensor_id>:<overlay_id>`, in that sensor's coordinate frame.
        """
        mode = None if resize_mode == "None" else resize_mode
        fields = {"image_url": image_url, "overlay_id": overlay_id, "width": width}
        fields |= {"height": height, "resize_mode": mode}
        frame = self._own_frame(sensor_id, "IMAGE")
        taken = any(known["sensor_id"] == sensor_id for known in self.sensors)
        own = f"{sensor_id}:{overlay_id}" if taken else sensor_id
        self._sensor(
            own, "IMAGE_OVERLAY_V0", fields, frame, date_captured, mirror_asset
        )

    def add_text(
        self, *, sensor_id: str = "DEFAULT", text: str, date_captured: str | None = None
    ) -> None:
        """A text, or where it is."""
        frame = self._own_frame(sensor_id, "TEXT")
        self._sensor(sensor_id, "TEXT", {"text": text}, frame, date_captured, None)

    def add_audio(
        self,
        *,
        sensor_id: str = "DEFAULT",
        audio_url: str,
        date_captured: str | None = None,
        mirror_asset: bool | None = False,
    ) -> None:
        """A sound."""
        fields, frame = {"audio_url": audio_url}, self._own_frame(sensor_id, "AUDIO")
        self._sensor(sensor_id, "AUDIO_V0", fields, frame, date_captured, mirror_asset)

    def add_video(
        self,
        *,
        sensor_id: str = "DEFAULT",
        video_url: str,
        date_captured: str | None = None,
        mirror_asset: bool | None = False,
    ) -> None:
        """A film."""
        fields, frame = {"video_url": video_url}, self._own_frame(sensor_id, "VIDEO")
        self._sensor(sensor_id, "VIDEO_V0", fields, frame, date_captured, mirror_asset)

    def add_point_cloud_pcd(
        self,
        *,
        sensor_id: str,
        pcd_url: str,
        coord_frame_id: str | None = None,
        date_captured: str | None = None,
        mirror_asset: bool | None = False,
    ) -> None:
        """A point cloud in PCD format."""
        fields, frame = {"pcd_url": pcd_url}, self._world(coord_frame_id)
        self._sensor(
            sensor_id, "POINTCLOUD_PCD_V0", fields, frame, date_captured, mirror_asset
        )

    def add_point_cloud_bins(
        self,
        *,
        sensor_id: str,
        pointcloud_url: str | None = None,
        kitti_format_url: str | None = None,
        intensity_url: str | None = None,
        range_url: str | None = None,
        coord_frame_id: str | None = None,
        date_captured: str | None = None,
        mirror_asset: bool | None = False,
    ) -> None:
        """A point cloud in binary files, or in KITTI's format."""
        if (pointcloud_url is None) == (kitti_format_url is None):
            raise refused("Give exactly one of pointcloud_url and kitti_format_url.")
        fields = {
            "pointcloud_url": pointcloud_url,
            "kitti_format_url": kitti_format_url,
        }
        fields |= {"intensity_url": intensity_url, "range_url": range_url}
        frame = self._world(coord_frame_id)
        self._sensor(
            sensor_id, "POINTCLOUD_V0", fields, frame, date_captured, mirror_asset
        )

    def add_obj(
        self,
        *,
        sensor_id: str,
        obj_url: str,
        coord_frame_id: str | None = None,
        date_captured: str | None = None,
        mirror_asset: bool | None = False,
    ) -> None:
        """A mesh in OBJ format."""
        fields, frame = {"obj_url": obj_url}, self._world(coord_frame_id)
        self._sensor(sensor_id, "OBJ_V0", fields, frame, date_captured, mirror_asset)

    def add_coordinate_frame_3d(
        self,
        *,
        coord_frame_id: str,
        position: Mapping[str, Number] | None = None,
        orientation: Mapping[str, Number] | None = None,
        parent_frame_id: str | None = None,
    ) -> None:
        """A coordinate frame in space: metres, orientation as w, x, y, z."""
        metadata = {
            "position": _parts(position or _ORIGIN, _ORIGIN, "position"),
            "orientation": _parts(orientation or _UPRIGHT, _UPRIGHT, "orientation"),
        }
        self._coordinate_frame(coord_frame_id, "WORLD", parent_frame_id, metadata)

    def add_coordinate_frame_2d(
        self,
        *,
        coord_frame_id: str,
        fx: Number,
        fy: Number,
        camera_model: Literal["brown_conrady", "fisheye"] | None = None,
        position: Mapping[str, Number] | None = None,
        orientation: Mapping[str, Number] | None = None,
        camera_matrix: list[list[Number]] | None = None,
        parent_frame_id: str | None = None,
        **distortion: Number | None,
    ) -> None:
        """A camera: focal lengths fx and fy in pixels, distortion as k1…k6, p1, p2, cx, cy, s1…s4, skew."""
        known = {*(f"k{n}" for n in range(1, 7)), "p1", "p2", "cx", "cy", "skew"}
        known |= {f"s{n}" for n in range(1, 5)}
        if unknown := set(distortion) - known:
            raise TypeError(
                f"add_coordinate_frame_2d() has no arguments {sorted(unknown)}"
            )
        given = {"fx": fx, "fy": fy} | {
            k: v for k, v in distortion.items() if v is not None
        }
        metadata: dict[str, Any] = {
            name: checked_number(value, name) for name, value in given.items()
        }
        if not metadata["fx"] or not metadata["fy"]:
            raise refused("fx and fy are not 0.")
        if ("cx" in metadata) != ("cy" in metadata):
            raise refused("cx and cy come together.")
        if min(metadata.get("cx", 1), metadata.get("cy", 1)) <= 0:
            raise refused("cx and cy are above 0.")
        metadata["camera_model"] = camera_model or "brown_conrady"
        if metadata["camera_model"] not in _CAMERAS:
            raise refused(
                f"camera_model is one of {', '.join(_CAMERAS)}, not {camera_model!r}."
            )
        if position is not None:
            metadata["position"] = _parts(position, _ORIGIN, "position")
        if orientation is not None:
            metadata["orientation"] = _parts(orientation, _UPRIGHT, "orientation")
        if camera_matrix is not None:
            metadata["camera_matrix"] = _matrix(camera_matrix)
        self._coordinate_frame(
            coord_frame_id, "IMAGE_PROJECTION", parent_frame_id, metadata
        )

    # ------------------------------------------------------------------------ #

    def _sensor(
        self,
        sensor_id: str,
        sensor_type: str,
        fields: Mapping[str, Any],
        coordinate_frame: str,
        date_captured: str | None,
        mirror_asset: bool | None,
    ) -> None:
        checked_id(sensor_id, "sensor_id")
        for name in ("width", "height"):
            size = fields.get(name)
            if not isinstance(size, int | None) or isinstance(size, bool):
                raise refused(f"{name} is {size!r}: it is a whole number of pixels.")
        if any(known["sensor_id"] == sensor_id for known in self.sensors):
            raise refused(f"Sensor {sensor_id!r} is given twice.")
        self.sensors.append(
            {
                "sensor_id": sensor_id,
                "sensor_type": sensor_type,
                "coordinate_frame": coordinate_frame,
                "date_captured": checked_date(date_captured),
                "mirror_asset": mirror_asset,
                **fields,
            }
        )

    def _image_frame(self, sensor_id: str, given: str | None) -> str:
        if given is None:
            return self._own_frame(sensor_id, "IMAGE")
        self._require_frame(given)
        return given

    def _own_frame(self, sensor_id: str, kind: str) -> str:
        if not self._has_frame(sensor_id):
            self._coordinate_frame(sensor_id, kind, None, {})
        return sensor_id

    def _world(self, given: str | None) -> str:
        if given is not None:
            self._require_frame(given)
            return given
        if not self._has_frame("world"):
            self.coordinate_frames.append(
                {"coordinate_frame_id": "world", "coordinate_frame_type": "WORLD"}
            )
        return "world"

    def _has_frame(self, name: str) -> bool:
        return any(
            known["coordinate_frame_id"] == name for known in self.coordinate_frames
        )

    def _require_frame(self, name: str) -> None:
        if name != "world" and not self._has_frame(name):
            raise refused(
                f"Coordinate frame {name!r} is not here: add it before what is in it."
            )

    def _coordinate_frame(
        self, name: str, kind: str, parent: str | None, metadata: Mapping[str, Any]
    ) -> None:
        checked_id(name, "coord_frame_id")
        if name == "world" or self._has_frame(name):
            raise refused(f"Coordinate frame {name!r} is reserved, or there already.")
        if parent is not None:
            self._require_frame(parent)
        self.coordinate_frames.append(
            {
                "coordinate_frame_id": name,
                "coordinate_frame_type": kind,
                "parent_frame_id": parent,
                "metadata": dict(metadata),
            }
        )


def _parts(
    given: Mapping[str, Number], wanted: Mapping[str, Number], what: str
) -> dict[str, float]:
    if set(given) != set(wanted):
        raise refused(f"{what} is {dict(given)!r}: it has {', '.join(wanted)}.")
    return {part: checked_number(given[part], f"{what}.{part}") for part in wanted}


def _matrix(given: Sequence[Sequence[Number]]) -> list[list[float]]:
    if [len(row) for row in given] != [_MATRIX] * _MATRIX:
        raise refused("camera_matrix is 4 rows of 4 numbers.")
    return [[checked_number(item, "camera_matrix") for item in row] for row in given]
