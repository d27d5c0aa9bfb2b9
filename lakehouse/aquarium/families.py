"""The two families of labels: ground truth, and what a model says.

Every method of either is that of `LabelAdder` under the name that scripts call it
by. Ground truth is certain, so a confidence is refused; an inference tells it.
"""

from typing import Any

from lakehouse.aquarium.label_values import checked_confidence, require_no_confidence
from lakehouse.aquarium.labels import LabelAdder

__all__ = ["InferenceAdder", "TruthAdder"]


class TruthAdder(LabelAdder):
    """Labels of ground truth: `add_label_<type>`, or `add_<type>`."""

    def _sureness(self, label_id: str, confidence: float | None) -> dict[str, Any]:
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

    def _sureness(self, label_id: str, confidence: float | None) -> dict[str, Any]:
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
