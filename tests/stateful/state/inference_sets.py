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

Said = dict[str, dict[str, float]]
"""Frame id to inference id to confidence."""

NAMES = ("model_a", "model_b")


@dataclass
class Known:
    """What is known of an inference set."""

    pin: int
    versions: dict[int, Said]
    figures: Any = field(default=None)
    """The summary as it was computed when the set or its pin changed last."""

    @property
    def latest(self) -> Said:
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
        found, known = self.some(data)
        class_name = data.draw(st.sampled_from(sorted(self.model.classes)), "class")
        ids = data.draw(st.sets(st.sampled_from("xyz"), max_size=2), "ids")
        rows = [
            box(name, one, class_name=class_name, confidence=confidence)
            for name in sorted(frames)
            for one in sorted(ids)
        ]
        upload = found.add(rows, frames=sorted(frames))

        ever = {key[0] for state in self.model.versions for key in state.frames}
        there = self.model.versions[self.expected[known.pin]].frames
        told = upload.errors()
        errors = told.filter(severity="error")["frame_id"]
        warned = told.filter(severity="warning")["frame_id"]
        assert set(errors) == frames - ever
        assert set(warned) == {one for one in frames & ever if (one,) not in there}
        after = copy.deepcopy(known.latest)
        after |= {name: dict.fromkeys(ids, confidence) for name in frames & ever}
        self.took(found, known, upload, after)

    @precondition(lambda self: self.known)
    @rule(data=st.data(), frame_id=st.sampled_from(FRAME_IDS), whole=st.booleans())
    def delete_inferences(
        self, data: st.DataObject, frame_id: str, *, whole: bool
    ) -> None:
        """A frame with all that was said of it, or one inference."""
        found, known = self.some(data)
        after = copy.deepcopy(known.latest)
        if whole:
            upload = found.delete([frame_id])
            after.pop(frame_id, None)
        else:
            upload = found.delete(inferences=[{"frame_id": frame_id, "label_id": "x"}])
            after.get(frame_id, {}).pop("x", None)
        self.took(found, known, upload, after)

    @precondition(lambda self: self.known)
    @rule(data=st.data(), reverts=st.booleans())
    def undo_inferences(self, data: st.DataObject, *, reverts: bool) -> None:
        """An earlier version as a new one, or the newest one undone."""
        found, known = self.some(data)
        earlier = sorted(known.versions)
        if not reverts:
            version = data.draw(st.sampled_from(earlier), "version")
            upload = found.restore(version)
        elif len(earlier) > 1 and known.latest != known.versions[earlier[-2]]:
            version = earlier[-2]
            upload = found.revert(earlier[-1])
        else:
            return
        self.took(found, known, upload, copy.deepcopy(known.versions[version]))

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def repin(self, data: st.DataObject) -> None:
        """Only this moves a pin, and it is told."""
        self.settle()
        found, known = self.some(data)
        version = data.draw(st.sampled_from(sorted(self.expected)), "pin")
        moves = found.pins().height
        assert found.repin(version) == version
        assert found.pins().height == moves + (version != known.pin)
        known.pin = version
        self.noted(found, known)

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def keep_house(self, data: st.DataObject) -> None:
        """Compaction changes nothing."""
        found, known = self.some(data)
        found.compact()
        self.hold(found, known)

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def look_at_inferences(self, data: st.DataObject) -> None:
        """The pin's labels, any version's inferences, and figures that stay."""
        found, known = self.some(data)
        self.hold(found, known)
        version = data.draw(st.sampled_from(sorted(known.versions)), "version")
        assert said(found.at(version)) == known.versions[version]
        assert figures(found) == known.figures

    def took(
        self,
        found: lakehouse.InferenceSet,
        known: Known,
        upload: lakehouse.Upload,
        after: Said,
    ) -> None:
        """An upload made a version with this content."""
        assert upload.version is not None
        known.versions[upload.version] = after
        self.noted(found, known)

    def noted(self, found: lakehouse.InferenceSet, known: Known) -> None:
        """The set changed: its figures may have."""
        known.figures = figures(found)
        self.hold(found, known)

    def hold(self, found: lakehouse.InferenceSet, known: Known) -> None:
        """The set and its pin are as they should be."""
        assert found.version == max(known.versions)
        assert said(found.latest()) == known.latest
        assert found.pin == known.pin
        truth = found.ground_truth()
        assert_equals_model(truth, self.model.versions[self.expected[known.pin]])
        # Its files stay, so that plain engines read it too.
        assert not truth._collection.is_closed(truth.version)
        assert_plain_engine_agrees(truth)

    def hold_all(self, dataset: lakehouse.Dataset) -> None:
        """All sets, in a lake opened afresh."""
        for name, known in self.known.items():
            found = dataset.inference_set(name)
            self.hold(found, known)
            assert figures(found) == known.figures
            assert_ledger_linear(found)
            assert_log_replays(found)
            assert_verified(found)
            for version, content in known.versions.items():
                assert said(found.at(version)) == content
                assert_sound(found.at(version))
        with pytest.raises(lakehouse.NotFoundError):
            dataset.inference_set("model_c")


def said(snapshot: lakehouse.Snapshot) -> Said:
    """What a version of an inference set holds."""
    found: Said = {name: {} for name in snapshot.frames().collect()["frame_id"]}
    for row in snapshot.inferences().collect().iter_rows(named=True):
        found[row["frame_id"]][row["label_id"]] = row["confidence"]
    return found


def figures(found: lakehouse.InferenceSet) -> Any:
    """The summary, computed anew; or why there is none."""
    try:
        return repr(found.metrics(cached=False).to_dict()["summary"])
    except InvalidInputError as error:
        return error.kind
