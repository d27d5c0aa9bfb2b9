"""Labels in the client's spelling: one method a type.

`add_<type>` gives a whole label. There are two families, ground truth and
inferences. They differ in the rule for confidence, and in the second name that
each method has there: `add_label_<type>`, `add_inference_<type>`.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from lakehouse.aquarium.values import (
    Attributes,
    Number,
    checked_area,
    checked_attributes,
    checked_confidence,
    checked_floats,
    checked_id,
    checked_instance_id,
    checked_numbers,
    checked_vector,
    is_filler,
    refused,
    require_no_confidence,
    require_no_mask_data,
)
from lakehouse.model.labels import MASK_CLASS


class LabelAdder(ABC):
    """Whole labels of one frame, by their ids, and the fields set of the frame itself.

    Sizes and positions are in pixels of the sensor's image.
    """

    def __init__(self, *, frame_id: str) -> None:
        self.frame_id = checked_id(frame_id, "frame_id")
        self.labels: dict[str, dict[str, Any]] = {}
        self.crop_model_id = ""
        self.fields: dict[str, Any] = {}
        self.types: dict[str, str] = {}

    def to_row(self) -> dict[str, Any]:
        """The frame as a native row: what was set, and nothing else."""
        return {"frame_id": self.frame_id, **self.fields}

    @abstractmethod
    def _confidence_field(
        self, label_id: str, confidence: float | None
    ) -> dict[str, Any]:
        """The field `confidence`, if labels of this family have one."""

    def _keep(
        self,
        label_id: str,
        label_type: str,
        fields: Mapping[str, Any],
        *,
        coordinate_frame: str | None = None,
        user_attrs: Attributes = None,
        op: str = "ADD",
    ) -> None:
        checked_id(label_id, "label_id")
        # A dict would keep the last one silently; a lake refuses a key that is sent
        # twice.
        if label_id in self.labels:
            raise refused(
                f"Label {label_id!r} is given twice for one frame.", "label.repeated"
            )
        # In a change, a field that is not given keeps its stored value.
        given = {name: value for name, value in fields.items() if value is not None}
        if coordinate_frame is not None:
            given["coordinate_frame"] = coordinate_frame
        # `_op` is the operation of the label within its frame; it becomes no column.
        self.labels[label_id] = {
            "label_id": label_id,
            "label_type": label_type,
            **given,
            **checked_attributes(user_attrs),
            "_op": op,
        }

    def _space(self, coord_frame_id: str | None) -> str:
        """The 3-D coordinate frame of a label: the world when none is named."""
        if coord_frame_id is None:
            return "world"
        return checked_id(coord_frame_id, "coord_frame_id")

    def add_crop_embedding(
        self, *, label_id: str, embedding: list[float], model_id: str = ""
    ) -> None:
        """Give a label of this frame its vector; `[0, 0, 0]`, a filler, is none.

        Raises:
            InvalidInputError: If the label was not added, or the vector is none.
        """
        if label_id not in self.labels:
            raise refused(
                f"Label {label_id!r} is not here: add it before its embedding."
            )
        vector = checked_vector(embedding)
        if not is_filler(vector):
            self.labels[label_id]["embedding"] = vector
            # One upload names one model for all vectors of labels.
            self.crop_model_id = model_id

    def _add(
        self,
        label_id: str,
        label_type: str,
        classification: str | None,
        fields: Mapping[str, Any],
        *,
        confidence: float | None = None,
        sensor: str = "DEFAULT",
        user_attrs: Attributes = None,
    ) -> None:
        self._keep(
            label_id,
            label_type,
            {
                "class_name": classification,
                **fields,
                **self._confidence_field(label_id, confidence),
            },
            coordinate_frame=sensor,
            user_attrs=user_attrs,
        )

    def _add_mask(
        self,
        label_id: str,
        label_type: str,
        mask_url: str | None,
        resize_mode: str | None,
        sensor: str,
    ) -> None:
        # A mask has one class and no confidence in either family.
        fields = {"class_name": MASK_CLASS, "mask_url": mask_url}
        fields |= {"resize_mode": resize_mode}
        self._keep(label_id, label_type, fields, coordinate_frame=sensor)

    # ---------------------- SHAPES IN TWO DIMENSIONS ------------------------ #

    def add_2d_bbox(
        self,
        *,
        sensor_id: str = "DEFAULT",
        label_id: str,
        classification: str,
        top: Number,
        left: Number,
        width: Number,
        height: Number,
        confidence: float | None = None,
        area: float | None = None,
        iscrowd: bool | None = None,
        user_attrs: Attributes = None,
        links: Attributes = None,
    ) -> None:
        """A 2-D box."""
        fields: dict[str, Any] = checked_numbers(
            top=top, left=left, width=width, height=height
        )
        fields |= {
            "area": checked_area(area),
            "iscrowd": iscrowd,
            "links": links or None,
        }
        self._add(
            label_id,
            "BBOX_2D",
            classification,
            fields,
            confidence=confidence,
            sensor=sensor_id,
            user_attrs=user_attrs,
        )

    def add_2d_line_segment(
        self,
        *,
        sensor_id: str = "DEFAULT",
        label_id: str,
        classification: str,
        x1: Number,
        y1: Number,
        x2: Number,
        y2: Number,
        confidence: float | None = None,
        iscrowd: bool | None = None,
        user_attrs: Attributes = None,
        links: Attributes = None,
    ) -> None:
        """A 2-D line segment."""
        fields: dict[str, Any] = checked_numbers(x1=x1, y1=y1, x2=x2, y2=y2)
        fields |= {"iscrowd": iscrowd, "links": links or None}
        self._add(
            label_id,
            "LINE_SEGMENT_2D",
            classification,
            fields,
            confidence=confidence,
            sensor=sensor_id,
            user_attrs=user_attrs,
        )

    def add_2d_keypoints(
        self,
        *,
        sensor_id: str = "DEFAULT",
        label_id: str,
        classification: str,
        keypoints: list[dict[str, Any]],
        confidence: float | None = None,
        top: Number | None = None,
        left: Number | None = None,
        width: Number | None = None,
        height: Number | None = None,
        polygons: list[dict[str, Any]] | None = None,
        center: list[Number] | None = None,
        user_attrs: Attributes = None,
    ) -> None:
        """Named points; a box only counts with all of its four numbers."""
        # The client takes the sides one by one and uses them only when all are there.
        box = (top, left, width, height)
        fields: dict[str, Any] = {
            "keypoints": keypoints,
            "polygons": polygons,
            "center": center,
        }
        if all(side is not None for side in box):
            fields |= checked_numbers(top=top, left=left, width=width, height=height)
        self._add(
            label_id,
            "KEYPOINTS_2D",
            classification,
            fields,
            confidence=confidence,
            sensor=sensor_id,
            user_attrs=user_attrs,
        )

    def add_2d_polygon_list(
        self,
        *,
        sensor_id: str = "DEFAULT",
        label_id: str,
        classification: str,
        polygons: list[dict[str, Any]],
        confidence: float | None = None,
        center: list[Number] | None = None,
        user_attrs: Attributes = None,
    ) -> None:
        """Polygons, each `{"vertices": [(x, y), …]}`."""
        self._add(
            label_id,
            "POLYGON_LIST_2D",
            classification,
            {"polygons": polygons, "center": center},
            confidence=confidence,
            sensor=sensor_id,
            user_attrs=user_attrs,
        )

    # --------------------- SHAPES IN THREE DIMENSIONS ----------------------- #

    def add_3d_cuboid(
        self,
        *,
        label_id: str,
        classification: str,
        position: list[float],
        dimensions: list[float],
        rotation: list[float],
        confidence: float | None = None,
        iscrowd: bool | None = None,
        user_attrs: Attributes = None,
        links: Attributes = None,
        coord_frame_id: str | None = None,
    ) -> None:
        """A cuboid: centre and extent in metres, rotation as x, y, z, w."""
        fields = checked_floats(position, "position", 3) | checked_floats(
            dimensions, "dimensions", 3
        )
        # A quaternion, its real part w last, as the client has it.
        fields |= checked_floats(rotation, "rotation", 4)
        fields |= {"iscrowd": iscrowd, "links": links or None}
        self._add(
            label_id,
            "CUBOID_3D",
            classification,
            fields,
            confidence=confidence,
            sensor=self._space(coord_frame_id),
            user_attrs=user_attrs,
        )

    # ------------------------------- MASKS ---------------------------------- #

    def add_2d_semseg(
        self,
        *,
        sensor_id: str = "DEFAULT",
        label_id: str,
        mask_url: str | None = None,
        mask_data: object | None = None,
        resize_mode: str | None = None,
    ) -> None:
        """A semantic segmentation mask."""
        # The client took pixels in BATCH mode only; a lake keeps the URL of the mask.
        require_no_mask_data(mask_data)
        self._add_mask(
            label_id, "SEMANTIC_LABEL_URL_2D", mask_url, resize_mode, sensor_id
        )

    def add_2d_instance_seg(
        self,
        *,
        sensor_id: str = "DEFAULT",
        label_id: str,
        mask_url: str | None = None,
        mask_data: object | None = None,
        instance_mapping: list[dict[str, Any]],
        resize_mode: str | None = None,
    ) -> None:
        """An instance mask, and a label for each instance in it."""
        require_no_mask_data(mask_data)
        # An instance is a label of its own, named after the mask and its pixel value.
        for instance in instance_mapping:
            number = checked_instance_id(label_id, instance)
            fields = {"instance_id": number, "resize_mode": resize_mode}
            self._keep(
                f"{label_id}_{number}",
                "INSTANCE_LABEL_2D",
                {"class_name": instance.get("classification"), **fields},
                coordinate_frame=sensor_id,
                user_attrs=instance.get("attributes"),
            )
        self._add_mask(
            label_id, "INSTANCE_LABEL_URL_2D", mask_url, resize_mode, sensor_id
        )

    # -------------------------- CLASSES AND TEXT ---------------------------- #

    def add_2d_classification(
        self,
        *,
        sensor_id: str = "DEFAULT",
        label_id: str,
        classification: str,
        confidence: float | None = None,
        secondary_labels: dict[str, Any] | None = None,
        user_attrs: Attributes = None,
    ) -> None:
        """The class of the whole image."""
        self._add(
            label_id,
            "CLASSIFICATION_2D",
            classification,
            {"secondary_labels": secondary_labels or None},
            confidence=confidence,
            sensor=sensor_id,
            user_attrs=user_attrs,
        )

    def add_3d_classification(
        self,
        *,
        label_id: str,
        classification: str,
        confidence: float | None = None,
        coord_frame_id: str | None = None,
        user_attrs: Attributes = None,
    ) -> None:
        """The class of the whole scene."""
        self._add(
            label_id,
            "CLASSIFICATION_3D",
            classification,
            {},
            confidence=confidence,
            sensor=self._space(coord_frame_id),
            user_attrs=user_attrs,
        )

    def add_text_token(
        self,
        *,
        sensor_id: str = "DEFAULT",
        label_id: str,
        index: int,
        token: str,
        classification: str,
        visible: bool,
        confidence: float | None = None,
        user_attrs: Attributes = None,
    ) -> None:
        """A token of a text."""
        self._add(
            label_id,
            "TEXT_TOKEN",
            classification,
            {"index": index, "token": token, "visible": visible},
            confidence=confidence,
            sensor=sensor_id,
            user_attrs=user_attrs,
        )


class TruthAdder(LabelAdder):
    """Labels of ground truth: `add_label_<type>`, or `add_<type>`."""

    def _confidence_field(
        self, label_id: str, confidence: float | None
    ) -> dict[str, Any]:
        # Ground truth is certain; the argument is there since both families share the
        # methods.
        require_no_confidence(label_id, confidence)
        return {}

    add_label_2d_bbox = LabelAdder.add_2d_bbox
    add_label_2d_line_segment = LabelAdder.add_2d_line_segment
    add_label_2d_keypoints = LabelAdder.add_2d_keypoints
    add_label_2d_polygon_list = LabelAdder.add_2d_polygon_list
    add_label_3d_cuboid = LabelAdder.add_3d_cuboid
    add_label_2d_semseg = LabelAdder.add_2d_semseg
    add_label_2d_instance_seg = LabelAdder.add_2d_instance_seg
    add_label_2d_classification = LabelAdder.add_2d_classification
    add_label_3d_classification = LabelAdder.add_3d_classification
    add_label_text_token = LabelAdder.add_text_token


class InferenceAdder(LabelAdder):
    """Inferences: `add_inference_<type>`, or `add_<type>`.

    All but masks need a `confidence`, a float from 0.0 to 1.0.
    """

    def _confidence_field(
        self, label_id: str, confidence: float | None
    ) -> dict[str, Any]:
        return {"confidence": checked_confidence(label_id, confidence)}

    add_inference_2d_bbox = LabelAdder.add_2d_bbox
    add_inference_2d_line_segment = LabelAdder.add_2d_line_segment
    add_inference_2d_keypoints = LabelAdder.add_2d_keypoints
    add_inference_2d_polygon_list = LabelAdder.add_2d_polygon_list
    add_inference_3d_cuboid = LabelAdder.add_3d_cuboid
    add_inference_2d_semseg = LabelAdder.add_2d_semseg
    add_inference_2d_instance_seg = LabelAdder.add_2d_instance_seg
    add_inference_2d_classification = LabelAdder.add_2d_classification
    add_inference_3d_classification = LabelAdder.add_3d_classification
    add_inference_text_token = LabelAdder.add_text_token
