"""Changes to labels in the client's spelling: one method a type.

`update_label_<type>` changes what is given and leaves the rest.
"""

from collections.abc import Mapping
from typing import Any

from lakehouse.aquarium.labels import LabelAdder
from lakehouse.aquarium.values import (
    Attributes,
    Number,
    checked_area,
    checked_floats,
    checked_instance_id,
    checked_numbers,
    require_no_mask_data,
)


class LabelUpdater(LabelAdder):
    """Whole labels, and changes to labels that exist, of either family.

    A changed label that does not exist on its frame is left out, with a warning.
    """

    def _update(
        self,
        label_id: str,
        label_type: str,
        fields: Mapping[str, Any],
        *,
        sensor: str | None,
        confidence: float | None = None,
        user_attrs: Attributes = None,
    ) -> None:
        # Without one, the stored confidence stays, also where the family needs one.
        confidence_field = (
            {} if confidence is None else self._confidence_field(label_id, confidence)
        )
        self._keep(
            label_id,
            label_type,
            {**fields, **confidence_field},
            coordinate_frame=sensor,
            user_attrs=user_attrs,
            op="MODIFY",
        )

    # ---------------------- SHAPES IN TWO DIMENSIONS ------------------------ #

    def update_label_2d_bbox(
        self,
        *,
        label_id: str,
        sensor_id: str | None = None,
        classification: str | None = None,
        confidence: float | None = None,
        top: Number | None = None,
        left: Number | None = None,
        width: Number | None = None,
        height: Number | None = None,
        area: float | None = None,
        iscrowd: bool | None = None,
        user_attrs: Attributes = None,
        links: Attributes = None,
    ) -> None:
        """Change a 2-D box."""
        fields: dict[str, Any] = checked_numbers(
            top=top, left=left, width=width, height=height
        )
        fields |= {"class_name": classification, "area": checked_area(area)}
        fields |= {"iscrowd": iscrowd}
        # An empty dict would replace the stored links by none.
        fields["links"] = links or None
        self._update(
            label_id,
            "BBOX_2D",
            fields,
            sensor=sensor_id,
            confidence=confidence,
            user_attrs=user_attrs,
        )

    def update_label_2d_line_segment(
        self,
        *,
        label_id: str,
        sensor_id: str | None = None,
        classification: str | None = None,
        confidence: float | None = None,
        x1: Number | None = None,
        y1: Number | None = None,
        x2: Number | None = None,
        y2: Number | None = None,
        iscrowd: bool | None = None,
        user_attrs: Attributes = None,
        links: Attributes = None,
    ) -> None:
        """Change a 2-D line segment."""
        fields: dict[str, Any] = checked_numbers(x1=x1, y1=y1, x2=x2, y2=y2)
        fields |= {
            "class_name": classification,
            "iscrowd": iscrowd,
            "links": links or None,
        }
        self._update(
            label_id,
            "LINE_SEGMENT_2D",
            fields,
            sensor=sensor_id,
            confidence=confidence,
            user_attrs=user_attrs,
        )

    def update_label_2d_keypoints(
        self,
        *,
        label_id: str,
        sensor_id: str | None = None,
        classification: str | None = None,
        confidence: float | None = None,
        keypoints: list[dict[str, Any]] | None = None,
        top: Number | None = None,
        left: Number | None = None,
        width: Number | None = None,
        height: Number | None = None,
        polygons: list[dict[str, Any]] | None = None,
        center: list[Number] | None = None,
        user_attrs: Attributes = None,
    ) -> None:
        """Change named points."""
        fields: dict[str, Any] = checked_numbers(
            top=top, left=left, width=width, height=height
        )
        fields |= {"class_name": classification, "keypoints": keypoints}
        fields |= {"polygons": polygons, "center": center}
        self._update(
            label_id,
            "KEYPOINTS_2D",
            fields,
            sensor=sensor_id,
            confidence=confidence,
            user_attrs=user_attrs,
        )

    def update_label_2d_polygon_list(
        self,
        *,
        label_id: str,
        sensor_id: str | None = None,
        classification: str | None = None,
        confidence: float | None = None,
        polygons: list[dict[str, Any]] | None = None,
        center: list[Number] | None = None,
        user_attrs: Attributes = None,
    ) -> None:
        """Change polygons."""
        fields = {"class_name": classification, "polygons": polygons, "center": center}
        self._update(
            label_id,
            "POLYGON_LIST_2D",
            fields,
            sensor=sensor_id,
            confidence=confidence,
            user_attrs=user_attrs,
        )

    # --------------------- SHAPES IN THREE DIMENSIONS ----------------------- #

    def update_label_3d_cuboid(
        self,
        *,
        label_id: str,
        classification: str | None = None,
        confidence: float | None = None,
        position: list[float] | None = None,
        dimensions: list[float] | None = None,
        rotation: list[float] | None = None,
        iscrowd: bool | None = None,
        user_attrs: Attributes = None,
        links: Attributes = None,
        coord_frame_id: str | None = None,
    ) -> None:
        """Change a cuboid."""
        fields = checked_floats(position, "position", 3) | checked_floats(
            dimensions, "dimensions", 3
        )
        fields |= checked_floats(rotation, "rotation", 4)
        fields |= {
            "class_name": classification,
            "iscrowd": iscrowd,
            "links": links or None,
        }
        self._update(
            label_id,
            "CUBOID_3D",
            fields,
            sensor=coord_frame_id,
            confidence=confidence,
            user_attrs=user_attrs,
        )

    # ------------------------------- MASKS ---------------------------------- #

    def update_label_2d_semseg(
        self,
        *,
        label_id: str,
        sensor_id: str | None = None,
        mask_url: str | None = None,
        mask_data: object | None = None,
        resize_mode: str | None = None,
    ) -> None:
        """Change a semantic segmentation mask."""
        require_no_mask_data(mask_data)
        fields = {"mask_url": mask_url, "resize_mode": resize_mode}
        self._update(label_id, "SEMANTIC_LABEL_URL_2D", fields, sensor=sensor_id)

    def update_label_2d_instance_seg(
        self,
        *,
        label_id: str,
        sensor_id: str | None = None,
        mask_url: str | None = None,
        mask_data: object | None = None,
        instance_mapping: list[dict[str, Any]] | None = None,
        resize_mode: str | None = None,
    ) -> None:
        """Change an instance mask and its instances."""
        require_no_mask_data(mask_data)
        # Instances are labels of their own, named as `add_2d_instance_seg` names them.
        for instance in instance_mapping or []:
            self._update(
                f"{label_id}_{checked_instance_id(label_id, instance)}",
                "INSTANCE_LABEL_2D",
                {"class_name": instance.get("classification")},
                sensor=sensor_id,
                user_attrs=instance.get("attributes"),
            )
        fields = {"mask_url": mask_url, "resize_mode": resize_mode}
        self._update(label_id, "INSTANCE_LABEL_URL_2D", fields, sensor=sensor_id)

    # -------------------------- CLASSES AND TEXT ---------------------------- #

    def update_label_2d_classification(
        self,
        *,
        label_id: str,
        sensor_id: str | None = None,
        classification: str | None = None,
        confidence: float | None = None,
        user_attrs: Attributes = None,
        secondary_labels: dict[str, Any] | None = None,
    ) -> None:
        """Change the class of the whole image."""
        fields = {
            "class_name": classification,
            "secondary_labels": secondary_labels or None,
        }
        self._update(
            label_id,
            "CLASSIFICATION_2D",
            fields,
            sensor=sensor_id,
            confidence=confidence,
            user_attrs=user_attrs,
        )

    def update_label_3d_classification(
        self,
        *,
        label_id: str,
        classification: str | None = None,
        confidence: float | None = None,
        coord_frame_id: str | None = None,
        user_attrs: Attributes = None,
    ) -> None:
        """Change the class of the whole scene."""
        fields = {"class_name": classification}
        self._update(
            label_id,
            "CLASSIFICATION_3D",
            fields,
            sensor=coord_frame_id,
            confidence=confidence,
            user_attrs=user_attrs,
        )

    def update_label_text_token(
        self,
        *,
        label_id: str,
        sensor_id: str | None = None,
        index: int | None = None,
        token: str | None = None,
        classification: str | None = None,
        confidence: float | None = None,
        visible: bool | None = None,
        user_attrs: Attributes = None,
    ) -> None:
        """Change a token of a text."""
        fields = {
            "class_name": classification,
            "index": index,
            "token": token,
            "visible": visible,
        }
        self._update(
            label_id,
            "TEXT_TOKEN",
            fields,
            sensor=sensor_id,
            confidence=confidence,
            user_attrs=user_attrs,
        )
