"""What is sent by calls, and what is written to files and loaded, is the same."""

import io
import json
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings, strategies as st

import lakehouse
import lakehouse.aquarium as al
from tests.aquarium.drawing import FRAMES, changed, labels_of, whole
from tests.aquarium.guesses import BOX, SURE

Row = dict[str, Any]


class Folder:
    """A folder of captured calls, in order, in the form of either client line."""

    def __init__(self, path: Path, *, newer: bool = False) -> None:
        self.path = path
        self.newer = newer
        self.requests: list[Row] = []

    def send(self, content: al.LabeledDataset, **body: Any) -> None:
        number = len(self.requests)
        frames, crops = io.StringIO(), io.StringIO()
        content.write_frames_to_file_streaming(frames)
        content.write_labels_to_file_streaming(crops)
        urls = {
            "frame": [self._lines(f"{number}_frame", frames)],
            "crop": [self._lines(f"{number}_crop", crops)],
        }
        for kind in ("frame", "crop"):
            vectors = io.BytesIO()
            write = getattr(content, f"write_{kind}_embeddings_to_file_streaming")
            write(vectors)
            if vectors.getvalue():
                name = f"{number}_{kind}_embeddings_batch_000001.arrow"
                (self.path / name).write_bytes(vectors.getvalue())
                urls[f"{kind}_embeddings"] = [f"gs://bucket/{name}"]
        self._request("/p/datasets", {"dataset_id": "d", "data_url": urls} | body)

    def infer(self, content: al.Inferences, name: str) -> None:
        number, lines = len(self.requests), io.StringIO()
        content.write_to_file(lines)
        body: Row = {
            "inferences_id": name,
            "data_url": [self._lines(f"{number}_inference", lines)],
            "pipeline_mode": "STREAMING",
        }
        vectors = io.BytesIO()
        content.write_embeddings_to_file(vectors)
        if vectors.getvalue():
            file = f"{number}_inference_embeddings_batch_000001.arrow"
            (self.path / file).write_bytes(vectors.getvalue())
            body["embeddings_url"] = f"gs://bucket/{file}"
        self._request("/p/datasets/d/inferences", body)

    def _request(self, path: str, body: Row) -> None:
        self.requests.append({"path": f"/api/v1/projects{path}", "json": body})
        (self.path / "requests.json").write_text(json.dumps(self.requests))

    def _lines(self, name: str, text: io.StringIO) -> str:
        rows = [json.loads(line) for line in text.getvalue().splitlines()]
        if self.newer:
            rows = [newer(row) for row in rows]
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        file = f"{name}_data_batch_000001.jsonl"
        (self.path / file).write_text(lines)
        return f"gs://bucket/{file}"


def newer(row: Row) -> Row:
    """The row as the newer client writes it: what differs is what does not count."""
    if "label_data" in row:
        labels = [newer_label(label) for label in row["label_data"]]
        return row | {"label_data": labels, "type": "Inference"}
    frames = [
        {"coordinate_frame_metadata": json.dumps({"parent_frame_id": None})} | one
        for one in row["coordinate_frames"]
    ]
    keys = row.get("explicitly_set_keys")
    more = ["user_metadata_modes", "user_metadata_types"]
    listed = {} if keys is None else {"explicitly_set_keys": [*more, *keys]}
    defaults = {"device_id": row["device_id"] or "default_device"}
    return (
        row
        | defaults
        | listed
        | {"coordinate_frames": frames, "geo_data": json.dumps(row["geo_data"])}
    )


def newer_label(label: Row) -> Row:
    old = {name: value for name, value in label.items() if name != "linked_labels"}
    nulls = {"center": None, "index": None, "visible": None}
    attributes = (nulls if label["change"] == "MODIFY" else {}) | label["attributes"]
    return (
        {"label_coordinate_frame": None, "class_id": None}
        | old
        | {"attributes": attributes}
    )


def bundle(
    frames: Iterable[al.LabeledFrame], deleted: Iterable[str] = ()
) -> al.LabeledDataset:
    content = al.LabeledDataset()
    for frame in frames:
        content.add_frame(frame)
    for frame_id in deleted:
        content.delete_frame(frame_id)
    return content


def as_frame(update: al.UpdateGTLabelSet) -> al.LabeledFrame:
    """A label set as it travels: a change of its frame that changes no field."""
    frame = al.LabeledFrame(frame_id=update.frame_id, update_type="MODIFY")
    frame.labels = update.labels
    return frame


def clients() -> tuple[al.Client, al.Client]:
    made: list[al.Client] = []
    for _ in range(2):
        client = al.Client(api_endpoint=tempfile.mkdtemp(), compaction="manual")
        classes = al.LabelClassMap.from_classnames(["cat", "dog"])
        client.create_project("p", classes)
        made.append(client)
    return made[0], made[1]


def content_of(client: al.Client) -> str:
    return client.lake.project("p").dataset("d").latest().fingerprint


def told(upload: lakehouse.Upload) -> tuple[Any, ...]:
    """What does not depend on when and how it was sent."""
    problems = upload.errors().select("frame_id", "label_id", "rule", "severity")
    return (
        upload.status,
        upload.counts,
        upload.label_counts,
        sorted(map(str, problems.rows())),
    )


@settings(max_examples=6)
@given(
    first=FRAMES,
    second=FRAMES,
    third=FRAMES,
    vectors=st.booleans(),
    newer_client=st.booleans(),
)
def test_frames_sent_and_frames_loaded_from_files_are_equal(
    *,
    first: Row,
    second: Row,
    third: Row,
    vectors: bool,
    newer_client: bool,
) -> None:
    sending, loading = clients()
    with tempfile.TemporaryDirectory() as place:
        folder = Folder(Path(place), newer=newer_client)
        added = bundle(
            [whole("f", first, vectors=vectors), whole("g", second, vectors=vectors)]
        )
        again = bundle([whole("g", third, vectors=vectors, keeps=vectors)], ["none"])
        sent = [
            sending.create_dataset("p", "d", dataset=added),
            sending.update_dataset_frames("p", "d", [changed("f", second)]),
            sending.update_dataset_labels("p", "d", [labels_of("f", third)]),
            sending.create_or_update_dataset("p", "d", dataset=again),
        ]
        folder.send(added)
        folder.send(bundle([changed("f", second)]))
        folder.send(bundle([as_frame(labels_of("f", third))]))
        folder.send(again)

        loaded = al.ingest(loading.lake, "p", place)

    assert [told(one) for one in loaded] == [told(one) for one in sent]
    assert content_of(loading) == content_of(sending)
    assert sent[0].status == "DONE"


@settings(max_examples=6)
@given(facts=st.lists(st.floats(0, 1), min_size=1, max_size=4), vectors=st.booleans())
def test_inferences_sent_and_loaded_from_files_are_equal(
    *, facts: list[float], vectors: bool
) -> None:
    sending, loading = clients()
    frame = al.LabeledFrame(frame_id="f")
    frame.add_image(image_url="f.png")
    with tempfile.TemporaryDirectory() as place:
        folder = Folder(Path(place))
        content = al.Inferences()
        said = al.InferencesFrame(frame_id="f")
        for number, confidence in enumerate(facts):
            fields = SURE | {"confidence": confidence}
            said.add_inference_2d_bbox(label_id=f"i{number}", **BOX, **fields)
            if vectors:
                said.add_crop_embedding(
                    label_id=f"i{number}", embedding=[1.0, confidence]
                )
        if vectors:
            said.add_frame_embedding(embedding=[2.0, *facts])
        said.add_visualization_asset("heat", "h.png")
        said.add_user_metadata("split", "a")
        content.add_frame(said)
        content.delete_frame("none")
        sending.create_dataset("p", "d", dataset=bundle([frame]))
        sent = sending.create_inferences("p", "d", "m", inferences=content)
        folder.send(bundle([frame]))
        folder.infer(content, "m")

        _, loaded = al.ingest(loading.lake, "p", place)

    assert told(loaded) == told(sent)
    sets = [
        one.lake.project("p").dataset("d").inference_set("m")
        for one in (sending, loading)
    ]
    assert sets[0].latest().fingerprint == sets[1].latest().fingerprint
    assert sets[1].latest().rows["labels"] == len(facts)


def test_folders_below_a_folder_are_loaded_in_the_order_of_their_names(
    tmp_path: Path,
) -> None:
    client, _ = clients()
    for number, name in enumerate(["10_later", "02_first"]):
        (tmp_path / name).mkdir()
        frame = al.LabeledFrame(frame_id="f", device_id=f"cam{number}")
        frame.add_image(image_url="f.png")
        Folder(tmp_path / name).send(bundle([frame]))

    uploads = al.ingest(client.lake, "p", tmp_path)

    assert [one.counts["created"] for one in uploads] == [1, 0]
    (device,) = (
        client.lake.project("p").dataset("d").latest().frames().collect()["device_id"]
    )
    assert device == "cam0"


def test_one_file_at_fault_in_a_tree_of_folders_loads_nothing(tmp_path: Path) -> None:
    client, _ = clients()
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        frame = al.LabeledFrame(frame_id="f")
        frame.add_image(image_url="f.png")
        Folder(tmp_path / name).send(bundle([frame]))
    next((tmp_path / "b").glob("*crop*")).unlink()

    with pytest.raises(lakehouse.InvalidInputError, match="crop"):
        al.ingest(client.lake, "p", tmp_path)
    assert client.get_datasets("p", include_archived=True) == []


def test_rows_and_files_say_what_was_set() -> None:
    frame = al.LabeledFrame(frame_id="f", update_type="MODIFY")
    frame.add_user_metadata("split", "train")
    frame.add_label_2d_bbox(label_id="a", classification="cat", **BOX)
    content = bundle([frame], ["g"])

    first = content.get_first_frame_dict()

    assert first == frame.to_dict() | {"label_data": first["label_data"]}
    assert set(first["explicitly_set_keys"]) == {
        "user__split",
        "reuse_latest_embedding",
    }
    assert first["user_metadata_types"] == {"user__split": "str"}
    (label,) = first["label_data"]
    assert (label["uuid"], label["change"], label["attributes"]["top"]) == (
        "a",
        "ADD",
        1,
    )
    lines = io.StringIO()
    content.write_to_file(lines)
    changes = [json.loads(line)["change"] for line in lines.getvalue().splitlines()]
    assert changes == ["MODIFY", "DELETE"]
    for write in (content.write_embeddings_to_file, content.write_label_assets_to_file):
        nothing = io.BytesIO()
        write(nothing)
        assert not nothing.getvalue()


def test_vectors_are_written_with_the_ids_of_their_frames() -> None:
    frame = al.LabeledFrame(frame_id="f")
    frame.add_label_2d_bbox(label_id="a", classification="cat", **BOX)
    frame.add_frame_embedding(embedding=[1, 2])
    assert frame.validate_and_backfill_crop_embeddings()
    frame.add_crop_embedding(label_id="a", embedding=[3.0, 4.0])
    assert not frame.validate_and_backfill_crop_embeddings()
    written = io.BytesIO()

    bundle([frame]).write_embeddings_to_file(written)

    assert pl.read_ipc(written.getvalue()).to_dicts() == [
        {
            "frame_ids": "f",
            "frame_embeddings": [1.0, 2.0],
            "crop_ids": ["a"],
            "crop_embeddings": [[3.0, 4.0]],
        }
    ]
