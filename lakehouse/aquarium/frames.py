"""Frames of datasets in the client's spelling: with their media, labels and bundles.

LabeledFrame, UnlabeledFrame        one frame; proposals in place of ground truth
UpdateGTLabelSet                    new and changed labels of a frame that exists
LabeledDataset, UnlabeledDataset    the frames of one call
"""

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, Any, Final, Literal, TypeVar

import polars as pl

from lakehouse.aquarium.base_frame import BaseFrame, UpdateType
from lakehouse.aquarium.bundles import Bundle
from lakehouse.aquarium.inferences import InferencesFrame
from lakehouse.aquarium.label_updates import LabelUpdater
from lakehouse.aquarium.labels import TruthAdder
from lakehouse.aquarium.values import (
    checked_confidence,
    checked_date,
    checked_id,
    checked_metadata,
    checked_number,
    refused,
)
from lakehouse.aquarium.wire_rows import (
    CROP_VECTORS,
    FILLER,
    FRAME_VECTORS,
    crop_row,
    crop_vectors,
    frame_row,
    frame_vector,
    wire_labels,
    write_lines,
)

Number = int | float
Metadatum = str | int | float | bool
FrameT = TypeVar("FrameT", bound=BaseFrame)

PROPOSALS: Final = "proposals"
"""The inference set that proposals go to."""

_CAMERAS: Final = ("brown_conrady", "fisheye")
_ORIGIN: Final = {"x": 0.0, "y": 0.0, "z": 0.0}
_UPRIGHT: Final = {"w": 1.0, "x": 0.0, "y": 0.0, "z": 0.0}
_MATRIX: Final = 4


class LabeledFrame(TruthAdder, BaseFrame):
    """One frame with its labels.

    ADD replaces a frame of that id as a whole; MODIFY changes what is set here and
    keeps the rest.
    """

    def __init__(
        self,
        *,
        frame_id: str,
        date_captured: str | None = None,
        device_id: str | None = None,
        update_type: UpdateType = "ADD",
    ) -> None:
        super().__init__(frame_id=frame_id, update_type=update_type)
        self.sensors: list[dict[str, Any]] = []
        self.coordinate_frames: list[dict[str, Any]] = []
        if date_captured is not None:
            self.fields["date_captured"] = checked_date(date_captured)
        if device_id is not None:
            self.fields["device_id"] = device_id

    def add_user_metadata(
        self, key: str, val: Metadatum | None, val_type: str | None = None
    ) -> None:
        """A metadata field; added again, the last value counts."""
        name, value, kind = checked_metadata(key, val, val_type, is_list=False)
        self.fields[name], self.types[name] = value, kind

    def add_user_metadata_list(
        self, key: str, val: Sequence[Any] | None, list_elt_type: str | None = None
    ) -> None:
        """A metadata field that is a list."""
        name, value, kind = checked_metadata(key, val, list_elt_type, is_list=True)
        self.fields[name], self.types[name] = value, kind

    def add_geo_latlong_data(self, lat: float, lon: float) -> None:
        """The place where the frame was captured, in degrees (EPSG:4326)."""
        self.fields["latitude"] = checked_number(lat, "lat")
        self.fields["longitude"] = checked_number(lon, "lon")

    def to_dict(self) -> dict[str, Any]:
        """The frame as a row of the wire format, without its labels."""
        return frame_row(self, self.sensors, self.coordinate_frames)

    def to_row(self) -> dict[str, Any]:
        """The frame as a native row: what was set, and nothing else."""
        row = super().to_row()
        if self.sensors:
            row["sensors"] = self.sensors
        if self.coordinate_frames:
            row["coordinate_frames"] = self.coordinate_frames
        return row

    # --------------------------------- MEDIA -------------------------------- #

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
        # The client wrote the text "None" where nothing was given.
        mode = None if resize_mode == "None" else resize_mode
        fields = {"image_url": image_url, "overlay_id": overlay_id, "width": width}
        fields |= {"height": height, "resize_mode": mode}
        frame = self._own_frame(sensor_id, "IMAGE")
        # The client allows one id for an image and its overlays; here ids of sensors
        # are unique in a frame.
        taken = any(known["sensor_id"] == sensor_id for known in self.sensors)
        own = f"{sensor_id}:{overlay_id}" if taken else sensor_id
        self._sensor(
            own, "IMAGE_OVERLAY_V0", fields, frame, date_captured, mirror_asset
        )

    def add_text(
        self, *, sensor_id: str = "DEFAULT", text: str, date_captured: str | None = None
    ) -> None:
        """A text, or its URL."""
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
        """An audio file."""
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
        """A video file."""
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
            # The client has w first in orientations and last in the rotation of
            # cuboids; both are kept as they come.
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
        # Distortion that is not given has no entry, which is not the same as 0.
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
        # 1 stands for "not given", which is allowed.
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

    # -------------------------------- INSIDE -------------------------------- #

    def _space(self, coord_frame_id: str | None) -> str:
        """The 3-D coordinate frame of a label, which an added frame must have."""
        space = super()._space(coord_frame_id)
        # A MODIFY frame may name a coordinate frame that the stored frame has.
        if space != "world" and self.update_type == "ADD":
            self._require_frame(space)
        return space

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
        # Labels name their sensor by its id, so an id stands for one sensor.
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
        # A sensor without a coordinate frame gets one of its own, under its id.
        if not self._has_frame(sensor_id):
            self._coordinate_frame(sensor_id, kind, None, {})
        return sensor_id

    def _world(self, given: str | None) -> str:
        if given is not None:
            self._require_frame(given)
            return given
        # "world" is reserved: it exists wherever something is placed in it.
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


class UpdateGTLabelSet(TruthAdder, LabelUpdater):
    """New and changed labels of one frame that exists; its other labels stay."""

    def __init__(self, *, frame_id: str, is_snapshot: bool | None = True) -> None:
        super().__init__(frame_id=frame_id)
        del is_snapshot  # The client ignores it too.

    def to_dict(self) -> dict[str, Any]:
        """The labels as a row of the wire format."""
        return crop_row(self.frame_id, wire_labels(self))


# ---------------------------- FRAMES OF ONE CALL ---------------------------- #


class DatasetBundle(Bundle[FrameT]):
    """Frames of a dataset; files with frames and labels apart can be written as well."""

    def get_first_frame_dict(self) -> dict[str, Any]:
        """The first frame with its labels, as a row.

        Raises:
            InvalidInputError: If there is none.
        """
        for frame in self._changes():
            return self._whole_row(frame)
        raise refused("The dataset has no frames: add or delete some first.")

    def write_frames_to_file_streaming(self, filelike: IO[Any]) -> None:
        """Write the frames, one a line, to a text file."""
        write_lines(filelike, map(self._frame_row, self._changes()))

    def write_labels_to_file_streaming(self, filelike: IO[Any]) -> None:
        """Write the labels, a line a frame, to a text file."""
        write_lines(filelike, map(self._crop_row, self._changes()))

    def write_frame_embeddings_to_file_streaming(self, filelike: IO[Any]) -> None:
        """Write the vectors of frames as Arrow IPC to a binary file, if there are any."""
        rows = [frame_vector(one) for one in self._changes()]
        if any(row["frame_embeddings"] != FILLER for row in rows):
            pl.DataFrame(rows, schema=FRAME_VECTORS).write_ipc(filelike)

    def write_crop_embeddings_to_file_streaming(self, filelike: IO[Any]) -> None:
        """Write the vectors of labels as Arrow IPC to a binary file, if there are any."""
        rows = [crop_vectors(one) for one in self._changes()]
        if any(row["crop_ids"] for row in rows):
            pl.DataFrame(rows, schema=CROP_VECTORS).write_ipc(filelike)

    def _frame_row(self, frame: BaseFrame) -> dict[str, Any]:
        # A deleted frame is a BaseFrame: it has nothing but its id.
        if isinstance(frame, LabeledFrame):
            return frame.to_dict()
        return frame_row(frame, [], [])

    def _crop_row(self, frame: BaseFrame) -> dict[str, Any]:
        labels = wire_labels(frame, frame.update_type)
        return crop_row(frame.frame_id, labels)

    def _whole_row(self, frame: BaseFrame) -> dict[str, Any]:
        labels = wire_labels(frame, frame.update_type)
        return self._frame_row(frame) | {"label_data": labels}


class LabeledDataset(DatasetBundle[LabeledFrame]):
    """Frames of a dataset to add, and ids of frames to delete, in one upload."""

    _takes = LabeledFrame


class UnlabeledFrame(LabeledFrame):
    """A frame without ground truth; its labels are proposals of a model.

    All proposals but masks need a `confidence`, a float from 0.0 to 1.0.
    """

    def __init__(
        self,
        *,
        frame_id: str,
        date_captured: str | None = None,
        device_id: str | None = None,
        reuse_latest_embedding: bool | None = False,
        update_type: UpdateType = "ADD",
    ) -> None:
        super().__init__(
            frame_id=frame_id,
            date_captured=date_captured,
            device_id=device_id,
            update_type=update_type,
        )
        self.reuse_latest_embedding = bool(reuse_latest_embedding)

    def _confidence_field(
        self, label_id: str, confidence: float | None
    ) -> dict[str, Any]:
        return {"confidence": checked_confidence(label_id, confidence)}


class UnlabeledDataset(DatasetBundle[UnlabeledFrame]):
    """Frames without ground truth to add, and ids to delete, in one call."""

    _takes = UnlabeledFrame


# ------------------------ FRAMES AND PROPOSALS APART ------------------------ #


def without_proposals(frame: UnlabeledFrame) -> UnlabeledFrame:
    """The frame without its labels, as the dataset takes it."""
    # A shallow copy: only the dict of labels is replaced, not the labels.
    bare = copy.copy(frame)
    bare.labels = {}
    return bare


def proposals_on(frames: Iterable[UnlabeledFrame]) -> list[InferencesFrame]:
    """The proposals alone, as the inference set takes them.

    A frame that is only changed, without a proposal, is left out.
    """
    proposals: list[InferencesFrame] = []
    for frame in frames:
        # As an inference frame it would change nothing there.
        if frame.update_type == "MODIFY" and not frame.labels:
            continue
        proposal = InferencesFrame(
            frame_id=frame.frame_id,
            reuse_latest_embedding=frame.reuse_latest_embedding,
            update_type=frame.update_type,
        )
        proposal.labels = frame.labels
        proposal.crop_model_id = frame.crop_model_id
        proposals.append(proposal)
    return proposals


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
