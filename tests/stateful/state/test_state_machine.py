"""Every operation, in any order, against the model in plain dicts."""

import random
import shutil
import tempfile
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    initialize,
    invariant,
    precondition,
    rule,
)

import lakehouse
from lakehouse.errors import ArchivedError, InvalidInputError, StorageError
from lakehouse.model.ids import new_upload_id
from lakehouse.storage import open_store
from lakehouse.testing.faults import Fault, FaultyStore
from lakehouse.testing.invariants import (
    assert_equals_model,
    assert_history,
    assert_ledger_linear,
    assert_log_replays,
    assert_plain_engine_agrees,
    assert_sound,
    assert_verified,
)
from lakehouse.testing.model import ModelDataset
from lakehouse.testing.operations import operations_of
from lakehouse.testing.state import Result, Sent
from lakehouse.testing.strategies import FRAME_IDS, unreadable, uploads
from tests.stateful.state.inference_sets import ModelRules
from tests.stateful.state.retrying import corrections, retried
from tests.stateful.state.segments import SegmentRules

Upload = tuple[list[Sent], list[Sent]]


class DatasetMachine(ModelRules, SegmentRules):
    """A dataset and its model take the same uploads."""

    @initialize()
    def create(self) -> None:
        self.root = tempfile.mkdtemp()
        self.project = lakehouse.connect(self.root, author="mira").create_project(
            "cells", classes=["cell", "debris"]
        )
        self.dataset = self.project.create_dataset("hela")
        self.other = self.open()
        self.model = ModelDataset(["cell", "debris"])
        self.expected: dict[int, int] = {0: 0}
        self.pending: list[tuple[str, Upload, dict[str, Any]]] = []
        self.settled: list[tuple[str, Upload, Result]] = []
        self.sent_otherwise: set[str] = set()
        self.undone: set[str] = set()
        self.checkpoints: dict[str, tuple[int, str]] = {}
        self.known = {}
        self.expected_segments = {}

    def settle(self) -> None:
        """Merge what waits."""
        self.merge(by_other=False)

    def open(self, **options: Any) -> lakehouse.Dataset:
        """The dataset in a lake opened afresh."""
        lake = lakehouse.connect(self.root, author="noor", **options)
        return lake.project("cells").dataset("hela")

    # -------------------------------- WRITING ------------------------------- #

    @rule(
        upload=uploads(),
        on_error=st.sampled_from(["reject", "reject", "abort"]),
        as_tables=st.booleans(),
        data=st.data(),
    )
    def submit(
        self, upload: Upload, on_error: Any, *, as_tables: bool, data: st.DataObject
    ) -> None:
        self.merge(by_other=False)
        base = data.draw(st.sampled_from([None, None, *self.expected]), "based_on")
        operations = operations_of(*upload, as_tables=as_tables)
        done = self.dataset.submit(operations, on_error=on_error, based_on=base)
        place = None if base is None else self.expected[base]
        self.check(done, upload, {"on_error": on_error, "based_on": place})
        if as_tables:
            self.sent_otherwise.add(done.id)

    @rule(
        upload=uploads(),
        on_error=st.sampled_from(["reject", "reject", "abort"]),
        data=st.data(),
    )
    def stage(self, upload: Upload, on_error: Any, data: st.DataObject) -> None:
        base = data.draw(st.sampled_from([None, None, *self.expected]), "based_on")
        done = self.open(merge="deferred").submit(
            operations_of(*upload), on_error=on_error, based_on=base
        )
        assert done.status == "PENDING"
        place = None if base is None else self.expected[base]
        self.pending.append(
            (done.id, upload, {"on_error": on_error, "based_on": place})
        )

    @precondition(lambda self: self.pending)
    @rule(by_other=st.booleans())
    def merge(self, *, by_other: bool) -> None:
        """By this process, or by one that last looked when it was opened."""
        merger = self.other if by_other else self.dataset
        merged = {upload.id: upload for upload in merger.merge_pending()}
        assert list(merged) == [upload_id for upload_id, *_ in self.pending]
        for upload_id, upload, options in self.pending:
            self.check(merged[upload_id], upload, options)
        self.pending.clear()

    @rule(
        upload=uploads(),
        at=st.integers(0, 90),
        fault=st.sampled_from(["before", "lost", "late"]),
    )
    def submit_over_a_bad_line(self, upload: Upload, at: int, fault: Fault) -> None:
        """A storage call fails; the same call again mends it."""
        self.merge(by_other=False)
        upload_id = new_upload_id(
            max((known[0] for known in self.settled), default=None)
        )
        with suppress(StorageError):
            lake = lakehouse.connect(
                store=FaultyStore(open_store(self.root), at, fault)
            )
            dataset = lake.project("cells").dataset("hela")
            dataset.submit(operations_of(*upload), upload_id=upload_id)
        done = self.dataset.submit(operations_of(*upload), upload_id=upload_id)
        self.check(done, upload, {})

    @precondition(lambda self: self.settled)
    @rule(data=st.data(), other=uploads())
    def send_again(self, data: st.DataObject, other: Upload) -> None:
        """The same id with the same rows is the same upload; with others a mistake.

        Rows that came as a table, or put together by a retry, are not sent again
        as dicts: an empty list has a type in one, and none in the other.
        """
        upload_id, upload, _ = data.draw(st.sampled_from(self.settled))
        if upload_id in self.sent_otherwise:
            return
        self.merge(by_other=False)
        before = self.dataset._collection.head().version
        self.dataset.submit(operations_of(*upload), upload_id=upload_id)
        if _keys(other) != _keys(upload):
            with pytest.raises(InvalidInputError, match="is taken"):
                self.dataset.submit(operations_of(*other), upload_id=upload_id)
        assert self.dataset._collection.head().version == before
        assert not self.dataset.is_processing

    @precondition(lambda self: self.retriable())
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        """Corrected rows of rejected frames, and the others as they were."""
        upload_id, upload, result = data.draw(st.sampled_from(self.retriable()))
        self.merge(by_other=False)
        frames, labels = data.draw(corrections(upload, result.rejected))
        done = self.dataset.upload(upload_id).retry(
            frames=[sent.row for sent in frames] or None,
            labels=[sent.row for sent in labels] or None,
        )
        assert done.retry_of == upload_id
        self.check(done, retried(upload, result.rejected, frames, labels), {})
        self.sent_otherwise.add(done.id)

    def retriable(self) -> list[tuple[str, Upload, Result]]:
        """The uploads of which frames were rejected as they were sent."""
        return [
            known
            for known in self.settled
            if known[2].rejected and known[0] not in self.undone
        ]

    @rule()
    def write_back(self) -> None:
        """What a snapshot returns changes nothing when written again, but vectors."""
        self.merge(by_other=False)
        latest, state = self.dataset.latest(), self.model.latest
        done = self.dataset.add(latest.frames(), latest.labels())
        frames = [Sent("ADD", row) for row in state.frames.values()]
        labels = [Sent("ADD", row) for row in state.labels.values()]
        self.check(done, (frames, labels), {})
        self.sent_otherwise.add(done.id)

    @rule(data=st.data())
    def restore(self, data: st.DataObject) -> None:
        """The content of an earlier version, as a new one."""
        self.merge(by_other=False)
        version = data.draw(st.sampled_from(sorted(self.expected)))
        done = self.dataset.restore(version)
        self.check_undone(done, self.model.restore(self.expected[version]))
        assert self.dataset.latest().fingerprint == self.dataset.at(version).fingerprint

    @precondition(lambda self: self.settled)
    @rule(data=st.data(), conflicts=st.sampled_from(["keep", "overwrite"]))
    def revert(self, data: st.DataObject, conflicts: Any) -> None:
        """One upload undone, or all of one version, and later ones kept."""
        self.merge(by_other=False)
        place = data.draw(st.integers(0, len(self.settled) - 1))
        change: str | int = self.settled[place][0]
        places = [place]
        if data.draw(st.booleans(), "the whole version"):
            change = self.version_of(place)
            places = [
                other
                for other in range(len(self.settled))
                if self.version_of(other) == change
            ]
        done = self.dataset.revert(change, conflicts=conflicts)
        self.check_undone(done, self.model.revert(places, conflicts=conflicts))

    def version_of(self, place: int) -> int:
        """The version that settled an upload."""
        return int(self.dataset.upload(self.settled[place][0]).version or 0)

    def check_undone(self, upload: lakehouse.Upload, result: Result) -> None:
        errors = upload.errors()
        assert set(errors["frame_id"].to_list()) == result.rejected
        assert upload.status == result.status
        assert upload.counts == result.counts
        assert upload.label_counts == result.label_counts
        assert upload.version is not None
        self.expected[upload.version] = len(self.model.versions) - 1
        self.settled.append((upload.id, ([], []), result))
        self.sent_otherwise.add(upload.id)
        self.undone.add(upload.id)

    @rule(data=st.data(), name=st.sampled_from(["a", "b", "v1.0"]))
    def checkpoint(self, data: st.DataObject, name: str) -> None:
        """A name for a version; it never names another."""
        version = data.draw(st.sampled_from(sorted(self.expected)))
        if name in self.checkpoints and self.checkpoints[name][0] != version:
            with pytest.raises(lakehouse.AlreadyExistsError):
                self.other.checkpoint(name, version)
            return
        fingerprint = self.other.at(version).fingerprint
        assert self.other.checkpoint(name, version).version == version
        self.checkpoints[name] = (version, fingerprint)

    @precondition(lambda self: self.checkpoints)
    @rule(data=st.data(), archived=st.booleans())
    def archive_checkpoint(self, data: st.DataObject, *, archived: bool) -> None:
        name = data.draw(st.sampled_from(sorted(self.checkpoints)))
        self.dataset.get_checkpoint(name).archive(archived=archived)
        assert (name in self.other.checkpoints()["name"]) is not archived

    @rule(leased=st.booleans(), keep=st.booleans())
    def collect_garbage(self, *, leased: bool, keep: bool) -> None:
        """Files that only old versions need go; every version is read as before."""
        if not leased:
            path = self.dataset._collection.path
            shutil.rmtree(f"{self.root}/{path}/leases", ignore_errors=True)
        retention = timedelta(days=1) if keep else timedelta(0)
        garbage = self.dataset.collect_garbage(
            retention=retention, grace=timedelta(0), dry_run=False
        )
        assert not garbage.damaged
        assert not (garbage.closed and keep)
        assert self.dataset.version == max(self.expected)

    @rule()
    def compact(self) -> None:
        """Fewer files, and nothing else."""
        before = self.dataset.version, self.dataset.latest().fingerprint
        self.dataset.compact()
        assert (self.dataset.version, self.dataset.latest().fingerprint) == before

    @rule(upload=unreadable())
    def be_refused(self, upload: Upload) -> None:
        before = self.dataset.uploads().height
        with pytest.raises(InvalidInputError) as caught:
            self.dataset.submit(operations_of(*upload))
        assert caught.value.problems
        assert self.dataset.uploads().height == before

    # ------------------------------- AROUND IT ------------------------------ #

    @precondition(lambda self: len(self.model.classes) < 5)
    @rule()
    def add_class(self) -> None:
        name = f"new{len(self.model.classes) - 2}"
        self.project.add_classes([name])
        self.model.classes[name] = len(self.model.classes)

    @rule(back=st.booleans())
    def rename_class(self, *, back: bool) -> None:
        old, new = ("cel", "cell") if back else ("cell", "cel")
        if old not in self.model.classes:
            with pytest.raises(lakehouse.NotFoundError):
                self.project.rename_class(old, new)
            return
        self.project.rename_class(old, new)
        self.model.classes[new] = self.model.classes.pop(old)

    @rule(upload=uploads())
    def archive(self, upload: Upload) -> None:
        self.dataset.archive()
        with pytest.raises(ArchivedError):
            self.other.submit(operations_of(*upload))
        self.other.archive(archived=False)

    @rule()
    def reopen(self) -> None:
        self.dataset = self.open()

    # -------------------------------- READING ------------------------------- #

    @precondition(lambda self: len(self.expected) > 1)
    @rule(data=st.data())
    def look_back(self, data: st.DataObject) -> None:
        version = data.draw(st.sampled_from(sorted(self.expected)))
        state = self.model.versions[self.expected[version]]
        snapshot = self.other.at(version)
        assert_equals_model(snapshot, state)
        assert_plain_engine_agrees(snapshot)
        assert self.dataset.at(snapshot.time).version == version

    @precondition(lambda self: self.checkpoints)
    @rule(data=st.data())
    def look_at_a_checkpoint(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.checkpoints)))
        version, fingerprint = self.checkpoints[name]
        snapshot = self.dataset.at(name)
        assert (snapshot.version, snapshot.fingerprint) == (version, fingerprint)
        assert_equals_model(snapshot, self.model.versions[self.expected[version]])

    @rule(frame_id=st.sampled_from(FRAME_IDS))
    def history(self, frame_id: str) -> None:
        changes = (change for *_, result in self.settled for change in result.changes)
        if all(change.key[0] != frame_id for change in changes):
            with pytest.raises(lakehouse.NotFoundError):
                self.dataset.history(frame_id)
            return
        ids = [upload_id for upload_id, *_ in self.settled]
        assert_history(self.dataset, frame_id, self.model, ids)

    def check(
        self, upload: lakehouse.Upload, sent: Upload, options: dict[str, Any]
    ) -> None:
        """The upload did to the dataset what it did to the model."""
        result = self.model.submit(*sent, **options)
        errors = upload.errors().filter(severity="error")
        assert set(errors["frame_id"].to_list()) == result.rejected
        assert upload.status == result.status
        assert upload.counts == result.counts
        assert upload.label_counts == result.label_counts
        assert upload.frame_count == sum(result.counts.values())
        rejected = upload.rejected()
        ids = {row for part in rejected if part.height for row in part["frame_id"]}
        assert ids == result.rejected
        assert upload.version is not None
        self.expected[upload.version] = len(self.model.versions) - 1
        self.settled.append((upload.id, sent, result))

    @invariant()
    def the_latest_and_two_others(self) -> None:
        if not hasattr(self, "root"):
            return
        assert self.dataset.version == max(self.expected)
        assert self.dataset.versions()["version"].to_list() == sorted(self.expected)
        assert self.dataset.is_processing == bool(self.pending)
        draw = random.Random(len(self.settled))
        some = draw.sample(sorted(self.expected), min(2, len(self.expected)))
        for version in {*some, self.dataset.version}:
            state = self.model.versions[self.expected[version]]
            snapshot = self.dataset.at(version)
            assert_equals_model(snapshot, state)
            wanted = {"frames": len(state.frames), "labels": len(state.labels)}
            assert snapshot.counts == wanted

    def teardown(self) -> None:
        if not hasattr(self, "root"):
            return
        self.merge(by_other=True)
        assert_ledger_linear(self.dataset)
        assert_log_replays(self.dataset)
        assert_verified(self.open())
        for version, place in self.expected.items():
            snapshot = self.open().at(version)
            assert_equals_model(snapshot, self.model.versions[place])
            assert_sound(snapshot)
            assert_plain_engine_agrees(snapshot)
        for name, (version, fingerprint) in self.checkpoints.items():
            snapshot = self.open().at(name)
            assert (snapshot.version, snapshot.fingerprint) == (version, fingerprint)
        self.hold_all(self.open())
        self.hold_segments()
        shutil.rmtree(self.root)


def _keys(upload: Upload) -> set[tuple[str, ...]]:
    return {sent.key for part in upload for sent in part}


TestDataset = DatasetMachine.TestCase
