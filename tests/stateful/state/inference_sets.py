"""Inference sets of the machine's dataset: what they hold, and a pin that stays."""

import copy
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

import lakehouse
from lakehouse.errors import InvalidInputError
from lakehouse.testing.invariants import (
    assert_equals_model,
    assert_ledger_linear,
    assert_log_replays,
    assert_plain_engine_agrees,
    assert_sound,
    assert_verified,
)
from lakehouse.testing.model import ModelDataset
from lakehouse.testing.strategies import FRAME_IDS
from tests.rows import box

Confidences = dict[str, dict[str, float]]
"""Frame id to inference id to confidence."""

NAMES = ("model_a", "model_b")


@dataclass
class Known:
    """What is known of an inference set."""

    pin: int
    versions: dict[int, Confidences]
    figures: Any = field(default=None)
    """The summary as it was computed when the set or its pin changed last."""

    @property
    def latest(self) -> Confidences:
        """What the newest version holds."""
        return self.versions[max(self.versions)]


class ModelRules(RuleBasedStateMachine):
    """Rules on inference sets; mixed into the dataset's machine."""

    dataset: lakehouse.Dataset
    model: ModelDataset
    expected: dict[int, int]
    known: dict[str, Known]

    def settle(self) -> None:
        """Merge what waits, as both machines expect it."""
        raise AssertionError("the machine that mixes this in does it")

    def some(self, data: st.DataObject) -> tuple[lakehouse.InferenceSet, Known]:
        """One of the sets."""
        name = data.draw(st.sampled_from(sorted(self.known)), "inference set")
        return self.dataset.inference_set(name), self.known[name]

    @precondition(lambda self: len(self.known) < len(NAMES))
    @rule(data=st.data())
    def create_inference_set(self, data: st.DataObject) -> None:
        """Pinned to the latest version, or to any other."""
        self.settle()
        name = NAMES[len(self.known)]
        at = data.draw(st.sampled_from([None, *sorted(self.expected)]), "at")
        made = self.dataset.create_inference_set(name, at=at)
        self.known[name] = Known(self.dataset.version if at is None else at, {0: {}})
        self.noted(made, self.known[name])

    @precondition(lambda self: self.known)
    @rule(
        data=st.data(),
        frames=st.sets(st.sampled_from(FRAME_IDS), min_size=1, max_size=3),
        confidence=st.sampled_from([0.05, 0.5, 1.0]),
    )
    def add_inferences(
        self, data: st.DataObject, frames: set[str], confidence: float
    ) -> None:
        """What is said of a frame is replaced; unknown frames are rejected."""
        self.settle()
        inference_set, known = self.some(data)
        class_name = data.draw(st.sampled_from(sorted(self.model.classes)), "class")
        ids = data.draw(st.sets(st.sampled_from("xyz"), max_size=2), "ids")
        rows = [
            box(name, one, class_name=class_name, confidence=confidence)
            for name in sorted(frames)
            for one in sorted(ids)
        ]
        upload = inference_set.add(rows, frames=sorted(frames))

        ever = {key[0] for state in self.model.versions for key in state.frames}
        there = self.model.versions[self.expected[known.pin]].frames
        problems = upload.errors()
        rejected = problems.filter(severity="error")["frame_id"]
        warned = problems.filter(severity="warning")["frame_id"]
        assert set(rejected) == frames - ever
        assert set(warned) == {one for one in frames & ever if (one,) not in there}
        after = copy.deepcopy(known.latest)
        after |= {name: dict.fromkeys(ids, confidence) for name in frames & ever}
        self.took(inference_set, known, upload, after)

    @precondition(lambda self: self.known)
    @rule(data=st.data(), frame_id=st.sampled_from(FRAME_IDS), whole=st.booleans())
    def delete_inferences(
        self, data: st.DataObject, frame_id: str, *, whole: bool
    ) -> None:
        """A frame with all that was said of it, or one inference."""
        inference_set, known = self.some(data)
        after = copy.deepcopy(known.latest)
        if whole:
            upload = inference_set.delete([frame_id])
            after.pop(frame_id, None)
        else:
            upload = inference_set.delete(
                inferences=[{"frame_id": frame_id, "label_id": "x"}]
            )
            after.get(frame_id, {}).pop("x", None)
        self.took(inference_set, known, upload, after)

    @precondition(lambda self: self.known)
    @rule(data=st.data(), reverts=st.booleans())
    def undo_inferences(self, data: st.DataObject, *, reverts: bool) -> None:
        """An earlier version as a new one, or the newest one undone."""
        inference_set, known = self.some(data)
        earlier = sorted(known.versions)
        if not reverts:
            version = data.draw(st.sampled_from(earlier), "version")
            upload = inference_set.restore(version)
        elif len(earlier) > 1 and known.latest != known.versions[earlier[-2]]:
            version = earlier[-2]
            upload = inference_set.revert(earlier[-1])
        else:
            return
        self.took(inference_set, known, upload, copy.deepcopy(known.versions[version]))

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def repin(self, data: st.DataObject) -> None:
        """Only this moves a pin, and it is told."""
        self.settle()
        inference_set, known = self.some(data)
        version = data.draw(st.sampled_from(sorted(self.expected)), "pin")
        moves = inference_set.pins().height
        assert inference_set.repin(version) == version
        assert inference_set.pins().height == moves + (version != known.pin)
        known.pin = version
        self.noted(inference_set, known)

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def keep_house(self, data: st.DataObject) -> None:
        """Compaction changes nothing."""
        inference_set, known = self.some(data)
        inference_set.compact()
        self.hold(inference_set, known)

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def look_at_inferences(self, data: st.DataObject) -> None:
        """The pin's labels, any version's inferences, and figures that stay."""
        inference_set, known = self.some(data)
        self.hold(inference_set, known)
        version = data.draw(st.sampled_from(sorted(known.versions)), "version")
        assert confidences(inference_set.at(version)) == known.versions[version]
        assert figures(inference_set) == known.figures

    def took(
        self,
        inference_set: lakehouse.InferenceSet,
        known: Known,
        upload: lakehouse.Upload,
        after: Confidences,
    ) -> None:
        """An upload made a version with this content."""
        assert upload.version is not None
        known.versions[upload.version] = after
        self.noted(inference_set, known)

    def noted(self, inference_set: lakehouse.InferenceSet, known: Known) -> None:
        """The set changed: its figures may have."""
        known.figures = figures(inference_set)
        self.hold(inference_set, known)

    def hold(self, inference_set: lakehouse.InferenceSet, known: Known) -> None:
        """The set and its pin are as they should be."""
        assert inference_set.version == max(known.versions)
        assert confidences(inference_set.latest()) == known.latest
        assert inference_set.pin == known.pin
        truth = inference_set.ground_truth()
        assert_equals_model(truth, self.model.versions[self.expected[known.pin]])
        # Its files stay, so that plain engines read it too.
        assert not truth._collection.is_closed(truth.version)
        assert_plain_engine_agrees(truth)

    def hold_all(self, dataset: lakehouse.Dataset) -> None:
        """All sets, in a lake opened afresh."""
        for name, known in self.known.items():
            inference_set = dataset.inference_set(name)
            self.hold(inference_set, known)
            assert figures(inference_set) == known.figures
            assert_ledger_linear(inference_set)
            assert_log_replays(inference_set)
            assert_verified(inference_set)
            for version, content in known.versions.items():
                assert confidences(inference_set.at(version)) == content
                assert_sound(inference_set.at(version))
        with pytest.raises(lakehouse.NotFoundError):
            dataset.inference_set("model_c")


def confidences(snapshot: lakehouse.Snapshot) -> Confidences:
    """What a version of an inference set holds."""
    by_frame: Confidences = {
        name: {} for name in snapshot.frames().collect()["frame_id"]
    }
    for row in snapshot.inferences().collect().iter_rows(named=True):
        by_frame[row["frame_id"]][row["label_id"]] = row["confidence"]
    return by_frame


def figures(model: lakehouse.InferenceSet) -> Any:
    """The summary, computed anew; or why there is none."""
    try:
        return repr(model.metrics(cached=False).to_dict()["summary"])
    except InvalidInputError as error:
        return error.kind
