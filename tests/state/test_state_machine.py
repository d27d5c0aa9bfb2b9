"""Every operation, in any order, against the model in plain dicts."""

import shutil
import tempfile
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

import lakehouse
from lakehouse.testing.invariants import (
    assert_equals_model,
    assert_ledger_linear,
    assert_sound,
)
from lakehouse.testing.model import ModelDataset, Sent
from lakehouse.testing.sending import operations_of
from lakehouse.testing.strategies import uploads

Upload = tuple[list[Sent], list[Sent]]


class DatasetMachine(RuleBasedStateMachine):
    """A dataset and its model take the same uploads."""

    @initialize()
    def create(self) -> None:
        self.root = tempfile.mkdtemp()
        self.lake = lakehouse.connect(self.root, author="mira")
        project = self.lake.create_project("cells", classes=["cell", "debris"])
        self.dataset = project.create_dataset("hela")
        self.model = ModelDataset(["cell", "debris"])
        self.expected: dict[int, int] = {0: 0}
        self.pending: list[tuple[str, Upload, str]] = []
        self.sent: list[tuple[str, Upload, frozenset[str]]] = []

    @rule(upload=uploads(), on_error=st.sampled_from(["reject", "reject", "abort"]))
    def submit(self, upload: Upload, on_error: Any) -> None:
        self.merge()
        done = self.dataset.submit(operations_of(*upload), on_error=on_error)
        self.check(done, upload, on_error)

    @rule(upload=uploads())
    def stage(self, upload: Upload) -> None:
        deferred = lakehouse.connect(self.root, author="noor", merge="deferred")
        dataset = deferred.project("cells").dataset("hela")
        done = dataset.submit(operations_of(*upload))
        assert done.status == "PENDING"
        self.pending.append((done.id, upload, "reject"))

    @precondition(lambda self: self.pending)
    @rule()
    def merge(self) -> None:
        merged = {upload.id: upload for upload in self.dataset.merge_pending()}
        assert list(merged) == [upload_id for upload_id, *_ in self.pending]
        for upload_id, upload, on_error in self.pending:
            self.check(merged[upload_id], upload, on_error)
        self.pending.clear()

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def send_again(self, data: st.DataObject) -> None:
        """The same id with the same rows is the same upload."""
        upload_id, upload, _ = data.draw(st.sampled_from(self.sent))
        self.merge()
        before = self.dataset.version
        self.dataset.submit(operations_of(*upload), upload_id=upload_id)
        assert self.dataset.version == before

    @rule()
    def reopen(self) -> None:
        self.lake = lakehouse.connect(self.root, author="mira")
        self.dataset = self.lake.project("cells").dataset("hela")

    @precondition(lambda self: len(self.expected) > 1)
    @rule(data=st.data())
    def look_back(self, data: st.DataObject) -> None:
        version = data.draw(st.sampled_from(sorted(self.expected)))
        state = self.model.versions[self.expected[version]]
        assert_equals_model(self.dataset.at(version), state)

    @rule()
    def history(self) -> None:
        """The last image in a frame's history is the row that is there."""
        for frame_id, row in self.model.latest.frames.items():
            if self.pending:
                return
            found = self.dataset.history(frame_id).filter(table="frames")
            assert found["op"][-1] != "DELETE"
            assert found["version"].is_sorted()
            assert row["frame_id"] == frame_id

    def check(self, upload: lakehouse.Upload, sent: Upload, on_error: str) -> None:
        """The upload did to the dataset what it did to the model."""
        rejected = self.model.submit(*sent, on_error=on_error)
        found = upload.errors().filter(severity="error")["frame_id"].unique()
        assert set(found.to_list()) == rejected
        touched = {one.row["frame_id"] for part in sent for one in part}
        assert sum(upload.counts.values()) == len(touched)
        assert upload.counts["rejected"] == len(rejected)
        version = upload.version
        assert version is not None
        self.expected[version] = len(self.model.versions) - 1
        self.sent.append((upload.id, sent, rejected))
        if version == self.dataset.version:
            last = self.model.versions[self.expected[version]]
            if not self.pending or self.pending[-1][0] == upload.id:
                assert_equals_model(self.dataset.latest(), last)

    def teardown(self) -> None:
        if not hasattr(self, "root"):
            return
        self.merge()
        assert_ledger_linear(self.dataset)
        for version, place in self.expected.items():
            snapshot = self.dataset.at(version)
            assert_equals_model(snapshot, self.model.versions[place])
            assert_sound(snapshot)
        shutil.rmtree(self.root)


TestDataset = DatasetMachine.TestCase
