"""Sensors of a frame: images, overlays, text, point clouds, meshes, audio, video."""

from typing import Any

from lakehouse.aquarium.checks import (
    check_date,
    check_id,
    check_optional_whole,
    check_text,
    refuse,
)
from lakehouse.aquarium.state import FrameState

__all__ = ["SensorVerbs"]


class SensorVerbs(FrameState):
    """The verbs that add sensors; every sensor of a frame has an id of its own."""

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
        """Add an image.

        Args:
            sensor_id: The sensor's name in the frame.
            image_url: Where the image is.
            preview_url: Where a smaller one is.
            date_captured: ISO 8601; UTC where it has no zone.
            width: Pixels.
            height: Pixels.
            coord_frame_id: A 2-D coordinate frame added before; else the image's own.
            mirror_asset: Whether Aquarium was to keep a copy; only noted.

        Raises:
            InvalidInputError: If a value is unusable or the sensor is there already.
        """
        fields = {"image_url": image_url, "preview_url": preview_url}
        size = {"width": width, "height": height}
        frame = self._projection(sensor_id, coord_frame_id)
        self._sensor("IMAGE_V0", sensor_id, frame, date_captured, mirror_asset, fields, size)

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
        """Add an image that lies over another sensor's.

        An overlay whose `sensor_id` is that of a sensor added before is kept
        as sensor `<sensor_id>:<overlay_id>` in that sensor's coordinate frame.

        Args:
            sensor_id: The sensor it lies over.
            overlay_id: The overlay's name.
            image_url: Where the overlay is.
            date_captured: ISO 8601; UTC where it has no zone.
            width: Pixels.
            height: Pixels.
            mirror_asset: Whether Aquarium was to keep a copy; only noted.
            resize_mode: `fill`, or None.

        Raises:
            InvalidInputError: If a value is unusable or the sensor is there already.
        """
        named = check_text("overlay_id", overlay_id)
        taken = any(sensor["sensor_id"] == sensor_id for sensor in self._sensors)
        own = f"{sensor_id}:{named}" if taken else sensor_id
        fields = {
            "image_url": image_url,
            "overlay_id": named,
            "resize_mode": None if resize_mode == "None" else resize_mode,
        }
        size = {"width": width, "height": height}
        self._sensor(
            "IMAGE_OVERLAY_V0", own, sensor_id, date_captured, mirror_asset, fields, size
        )

    def add_text(
        self, *, sensor_id: str = "DEFAULT", text: str, date_captured: str | None = None
    ) -> None:
        """Add a text.

        Raises:
            InvalidInputError: If a value is unusable or the sensor is there already.
        """
        self._sensor("TEXT", sensor_id, sensor_id, date_captured, None, {"text": text})

    def add_audio(
        self,
        *,
        sensor_id: str = "DEFAULT",
        audio_url: str,
        date_captured: str | None = None,
        mirror_asset: bool | None = False,
    ) -> None:
        """Add a sound recording.

        Raises:
            InvalidInputError: If a value is unusable or the sensor is there already.
        """
        fields = {"audio_url": audio_url}
        self._sensor("AUDIO_V0", sensor_id, sensor_id, date_captured, mirror_asset, fields)

    def add_video(
        self,
        *,
        sensor_id: str = "DEFAULT",
        video_url: str,
        date_captured: str | None = None,
        mirror_asset: bool | None = False,
    ) -> None:
        """Add a video.

        Raises:
            InvalidInputError: If a value is unusable or the sensor is there already.
        """
        fields = {"video_url": video_url}
        self._sensor("VIDEO_V0", sensor_id, sensor_id, date_captured, mirror_asset, fields)

    def add_point_cloud_pcd(
        self,
        *,
        sensor_id: str,
        pcd_url: str,
        coord_frame_id: str | None = None,
        date_captured: str | None = None,
        mirror_asset: bool | None = False,
    ) -> None:
        """Add a point cloud in a PCD file.

        Raises:
            InvalidInputError: If a value is unusable or the sensor is there already.
        """
        frame = self._require_frame(coord_frame_id)
        fields = {"pcd_url": pcd_url}
        self._sensor(
            "POINTCLOUD_PCD_V0", sensor_id, frame, date_captured, mirror_asset, fields
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
        """Add a point cloud in binary files.

        Args:
            sensor_id: The sensor's name in the frame.
            pointcloud_url: Where x, y, z are; this, or `kitti_format_url`.
            kitti_format_url: Where x, y, z and intensity are, as in KITTI.
            intensity_url: Where the intensities are.
            range_url: Where the ranges are.
            coord_frame_id: A 3-D coordinate frame added before; else the world.
            date_captured: ISO 8601; UTC where it has no zone.
            mirror_asset: Whether Aquarium was to keep a copy; only noted.

        Raises:
            InvalidInputError: If a value is unusable, the sensor is there already,
                or not exactly one of the two URLs is given.
        """
        if (pointcloud_url is None) == (kitti_format_url is None):
            raise refuse(
                f"Sensor {sensor_id!r}: give exactly one of pointcloud_url and "
                "kitti_format_url.",
                "sensor.invalid",
            )
        fields = {
            "pointcloud_url": pointcloud_url,
            "kitti_format_url": kitti_format_url,
            "intensity_url": intensity_url,
            "range_url": range_url,
        }
        frame = self._require_frame(coord_frame_id)
        self._sensor(
            "POINTCLOUD_V0", sensor_id, frame, date_captured, mirror_asset, fields
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
        """Add a mesh in an OBJ file.

        Raises:
            InvalidInputError: If a value is unusable or the sensor is there already.
        """
        frame = self._require_frame(coord_frame_id)
        fields = {"obj_url": obj_url}
        self._sensor("OBJ_V0", sensor_id, frame, date_captured, mirror_asset, fields)

    # -------------------------------- INSIDE -------------------------------- #

    def _sensor(
        self,
        sensor_type: str,
        sensor_id: str,
        coordinate_frame: str,
        date_captured: str | None,
        mirror_asset: bool | None,
        texts: dict[str, str | None],
        size: dict[str, int | None] | None = None,
    ) -> None:
        name = check_id("sensor_id", sensor_id)
        if any(sensor["sensor_id"] == name for sensor in self._sensors):
            raise refuse(
                f"Frame {self.frame_id!r} has a sensor {name!r} already. Give each sensor "
                "a sensor_id of its own.",
                "sensor.repeated",
            )
        sensor: dict[str, Any] = {
            "sensor_id": name,
            "sensor_type": sensor_type,
            "coordinate_frame": coordinate_frame,
            "mirror_asset": None if mirror_asset is None else bool(mirror_asset),
        }
        if date_captured is not None:
            sensor["date_captured"] = check_date("date_captured", date_captured)
        required = next(iter(texts)) if sensor_type != "POINTCLOUD_V0" else None
        for field, value in texts.items():
            if value is not None or field == required:
                sensor[field] = check_text(field, value)
        for field, pixels in (size or {}).items():
            if pixels is not None:
                sensor[field] = check_optional_whole(field, pixels)
        self._sensors.append(sensor)

    def _projection(self, sensor_id: str, coord_frame_id: str | None) -> str:
        """An image's coordinate frame: one added before, or its own."""
        if coord_frame_id is None:
            return sensor_id
        if coord_frame_id not in self._coordinate_frames:
            raise self._no_frame(coord_frame_id)
        return coord_frame_id

    def _require_frame(self, coord_frame_id: str | None) -> str:
        if coord_frame_id is None or coord_frame_id == "world":
            return "world"
        if coord_frame_id not in self._coordinate_frames:
            raise self._no_frame(coord_frame_id)
        return coord_frame_id

    def _no_frame(self, coord_frame_id: str) -> Exception:
        known = ", ".join(["world", *self._coordinate_frames])
        return refuse(
            f"Frame {self.frame_id!r} has no coordinate frame {coord_frame_id!r}; it has "
            f"{known}. Add it first with add_coordinate_frame_2d or _3d.",
            "coordinate_frame.unknown",
        )
