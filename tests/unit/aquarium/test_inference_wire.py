"""Captured inferences of both client lines, as the service was sent them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

import lakehouse
import lakehouse.aquarium as al
from tests.unit.aquarium.captured import INFERENCE
from tests.unit.aquarium.inference_frames import BOX, native, rows

FIXTURES = Path(__file__).parent / "fixtures"
Row = dict[str, Any]
Capture = Callable[..., Path]

FULL: Row = {
    "date_captured": "2026-11-22 13:42:44.544022",
    "device_id": "default_device",
    "coordinate_frames": [
        {
            "coordinate_frame_id": "world",
            "coordinate_frame_type": "WORLD",
            "coordinate_frame_metadata": '{"parent_frame_id": null}',
        }
    ],
    "sensor_data": [],
    "geo_data": {},
    "user_metadata_types": {},
    "user_metadata_modes": {},
}
"""What the newer client adds to each row of inferences: its defaults."""


def inference(label_id: str, kind: str = "BBOX_2D", **attributes: Any) -> Row:
    return {
        "uuid": label_id,
        "linked_labels": [],
        "label_type": kind,
        "label": "cat",
        "label_coordinate_frame": "DEFAULT",
        "attributes": {**BOX, "confidence": 0.9} | attributes,
        "reuse_latest_embedding": False,
        "change": "ADD",
    }


def row(frame_id: str, *labels: Row, **fields: Any) -> Row:
    usual = {
        "task_id": frame_id,
        "type": "Inference",
        "custom_metrics": {},
        "inference_metadata": {"visualization_assets": {}, "user_metadata": {}},
        "inference_data": list(labels),
        "reuse_latest_embedding": False,
        "change": "ADD",
    }
    return usual | fields


def newer(frame_id: str, *labels: Row, **fields: Any) -> Row:
    """The same row as the newer client writes it."""
    old = row(frame_id, *labels, **fields)
    del old["type"]
    if not old["custom_metrics"]:
        del old["custom_metrics"]
    return FULL | old | {"label_data": old["inference_data"]}


@pytest.fixture
def captured(tmp_path: Path) -> Capture:
    """Write rows as a captured folder."""

    def written(*rows: Row, vectors: Row | None = None, **body: Any) -> Path:
        place = tmp_path / f"capture_{len(list(tmp_path.iterdir()))}"
        place.mkdir()
        lines = "\n".join(json.dumps(one) for one in rows)
        (place / "data_batch_000001.jsonl").write_text(lines)
        request = {
            "inferences_id": "m",
            "data_url": ["gs://bucket/9b25-0e6f_data_batch_000001.jsonl"],
            "pipeline_mode": "STREAMING",
        }
        if vectors is not None:
            pl.DataFrame(vectors).write_ipc(place / "embeddings_batch_000001.arrow")
            name = "9b25-0e6f_embeddings_batch_000001.arrow"
            request["embeddings_url"] = f"gs://bucket/{name}"
        path = "/api/v1/projects/p/datasets/d/inferences"
        requests = [
            {"path": f"{path}/m/process_state"},
            {"path": path, "json": request | body},
        ]
        (place / "requests.json").write_text(json.dumps(requests))
        return place

    return written


# --------------------------------- THE FIXTURES -------------------------------- #


def test_the_captured_inferences_land_as_the_rows_say(lake: lakehouse.Lake) -> None:
    project = lake.create_project("proj", classes=["cat", "dog"])
    al.ingest(lake, "proj", FIXTURES / "add_frame_bbox_metadata")

    (upload,) = al.ingest(lake, "proj", FIXTURES / "inferences_add_delete")

    assert (upload.status, upload.counts["created"]) == ("DONE", 1)
    (warning,) = upload.errors().to_dicts()
    assert (warning["frame_id"], warning["rule"]) == ("frame_2", "frame.unknown")
    model = project.dataset("ds1").inference_set("m1")
    (frame,) = model.latest().frames().collect().to_dicts()
    assert {name: value for name, value in frame.items() if value is not None} == {
        "frame_id": "frame_1",
        "custom_metrics": '{"my_metric": 0.5}',
        "visualization_assets": '{"heat": "https://x.test/h.png"}',
        "user__m": "v",
    }
    (label,) = model.latest().inferences().collect().to_dicts()
    assert {
        name: value for name, value in label.items() if value is not None
    } == INFERENCE
    assert model.pin == 1


def test_captured_inferences_loaded_twice_are_one_upload(
    lake: lakehouse.Lake,
) -> None:
    project = lake.create_project("proj", classes=["cat", "dog"])
    al.ingest(lake, "proj", FIXTURES / "add_frame_bbox_metadata")

    first, again = (
        al.ingest(lake, "proj", FIXTURES / "inferences_add_delete") for _ in range(2)
    )

    assert first[0].id == again[0].id
    assert project.dataset("ds1").inference_set("m1").version == 1


def test_captured_inferences_need_their_dataset(lake: lakehouse.Lake) -> None:
    project = lake.create_project("proj", classes=["cat"])

    with pytest.raises(lakehouse.NotFoundError, match="ds1"):
        al.ingest(lake, "proj", FIXTURES / "inferences_add_delete")
    assert project.datasets() == []


# ------------------------------------ ROWS ------------------------------------- #


def test_the_newer_client_s_inferences_land(
    client: al.Client, captured: Capture
) -> None:
    metadata = {"user_metadata": {"split": "test"}}
    both = newer(
        "f", inference("i"), custom_metrics={"loss": 2}, inference_metadata=metadata
    )
    both["label_data"] = [inference("not_read")]
    only = newer("g", inference("j"))
    del only["inference_data"]
    (upload,) = al.ingest(client.lake, "p", captured(both, only))

    assert (upload.status, upload.errors().height) == ("DONE", 0)
    frame, labels = native(client).latest().frame("f")
    assert (frame["custom_metrics"], frame["user__split"]) == ('{"loss": 2}', "test")
    assert (frame["date_captured"], frame["coordinate_frames"]) == (None, None)
    assert labels["confidence"].to_list() == [0.9]
    assert rows(client)["label_id"].to_list() == ["i", "j"]


def test_deleted_and_replaced_frames_of_a_set(
    client: al.Client, captured: Capture
) -> None:
    al.ingest(
        client.lake, "p", captured(row("f", inference("i")), row("g", inference("j")))
    )
    gone = row("g", change="DELETE", reuse_latest_embedding=True)

    al.ingest(
        client.lake, "p", captured(row("f", inference("k", confidence=0.0)), gone)
    )

    assert rows(client).select("label_id", "confidence").rows() == [("k", 0.0)]


def test_masks_and_classes_of_a_whole_image_are_read(
    client: al.Client, captured: Capture
) -> None:
    mask = inference("m", "INSTANCE_LABEL_URL_2D") | {"label": "__mask"}
    instance = inference("m_7", "INSTANCE_LABEL_2D")
    mask["attributes"] = {"url": "m.png", "resize_mode": None}
    instance["attributes"] = {"id": 7, "attributes": {"alive": True}}
    whole = inference("c", "CLASSIFICATION_2D")
    whole["attributes"] = {"confidence": 0.5}

    (upload,) = al.ingest(client.lake, "p", captured(row("f", mask, instance, whole)))

    assert upload.errors().to_dicts() == []
    labels = rows(client).select("label_id", "confidence", "secondary_labels").rows()
    assert labels == [("c", 0.5, None), ("m", None, None), ("m_7", None, None)]


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"custom_metrics": {"loss": "high"}}, "value.type"),
        ({"custom_metrics": [0.5]}, "value.type"),
        ({"inference_metadata": {"visualization_assets": {"a": 1}}}, "value.type"),
        ({"inference_metadata": {"user_metadata": {"no spaces": 1}}}, "name.invalid"),
        ({"inference_metadata": {"user_metadata": {"a": {}}}}, "metadata.type"),
        ({"inference_data": [inference("i", confidence=None)]}, "confidence.missing"),
        ({"inference_data": [inference("i", confidence=2)]}, "value.range"),
        ({"change": "UPSERT"}, "wire.change"),
    ],
)
def test_an_invalid_row_rejects_only_the_frame_it_is_of(
    client: al.Client, captured: Capture, fields: Row, rule: str
) -> None:
    bad = row("f", inference("i")) | fields

    (upload,) = al.ingest(client.lake, "p", captured(bad, row("g", inference("j"))))

    assert upload.status == "PARTIAL"
    errors = upload.errors().filter(severity="error")
    assert rule in errors["rule"].to_list()
    assert rows(client)["frame_id"].to_list() == ["g"]


def test_vectors_come_with_the_rows_and_stay_where_they_say_so(
    client: al.Client, captured: Capture
) -> None:
    table = {
        "frame_ids": ["f", "g"],
        "frame_embeddings": [[1.0, 2.0], [3.0, 4.0]],
        "crop_ids": [["i"], ["j"]],
        "crop_embeddings": [[[5.0, 6.0]], [[7.0, 8.0]]],
    }
    zeros = {
        "frame_ids": ["f", "g"],
        "frame_embeddings": [[0.0, 0.0], [9.0, 9.0]],
        "crop_ids": [["i"], ["j"]],
        "crop_embeddings": [[[0.0, 0.0]], [[9.0, 9.0]]],
    }
    kept = {"reuse_latest_embedding": True}
    al.ingest(
        client.lake,
        "p",
        captured(row("f", inference("i")), row("g", inference("j")), vectors=table),
    )

    al.ingest(
        client.lake,
        "p",
        captured(
            row("f", inference("i") | kept, **kept),
            row("g", inference("j")),
            vectors=zeros,
        ),
    )

    latest = native(client).latest()
    frames = latest.frame_embeddings().sort("frame_id").collect()
    crops = latest.label_embeddings().sort("frame_id").collect()
    assert frames["embedding"].to_list() == [[1.0, 2.0], [9.0, 9.0]]
    assert crops["embedding"].to_list() == [[5.0, 6.0], [9.0, 9.0]]


def test_a_captured_batch_is_loaded_once(client: al.Client, captured: Capture) -> None:
    batch = captured(
        row("f", inference("i")), pipeline_mode="BATCH", external_metadata={"k": 1}
    )

    (upload,) = al.ingest(client.lake, "p", batch)

    assert (native(client).mode, native(client).metadata) == ("BATCH", {"k": 1})
    assert al.ingest(client.lake, "p", batch)[0].id == upload.id
    with pytest.raises(lakehouse.InvalidInputError, match="loaded already"):
        native(client).delete(["f"])


# ----------------------------- THE CLIENT AND THE WIRE ------------------------- #

NUMBERS = st.integers(0, 50) | st.floats(0, 50)
BOXES = st.fixed_dictionaries(
    {
        "class_name": st.sampled_from(["cat", "dog"]),
        "confidence": st.floats(0, 1),
        "top": NUMBERS,
        "width": st.floats(1, 50),
        "attributes": st.dictionaries(st.sampled_from("ab"), st.booleans()),
    }
)
FACTS = st.fixed_dictionaries(
    {
        "boxes": st.lists(BOXES, max_size=3),
        "metrics": st.dictionaries(st.just("loss"), NUMBERS | st.just([[1, 2.5]])),
        "assets": st.dictionaries(st.sampled_from(["heat", "é"]), st.just("u.png")),
        "metadata": st.dictionaries(st.just("split"), st.sampled_from(["a", "b"])),
    }
)


def by_client(frame_id: str, facts: Row) -> al.InferencesFrame:
    frame = al.InferencesFrame(frame_id=frame_id)
    for number, box in enumerate(facts["boxes"]):
        frame.add_inference_2d_bbox(
            label_id=f"{frame_id}_{number}",
            classification=box["class_name"],
            confidence=box["confidence"],
            top=box["top"],
            left=0,
            width=box["width"],
            height=4,
            user_attrs=box["attributes"],
        )
    for name, value in facts["metrics"].items():
        frame.add_custom_metric(name, value)
    for name, url in facts["assets"].items():
        frame.add_visualization_asset(name, url)
    for name, value in facts["metadata"].items():
        frame.add_user_metadata(name, value)
    return frame


def by_wire(frame_id: str, facts: Row) -> Row:
    labels: list[Row] = []
    for number, box in enumerate(facts["boxes"]):
        user = {f"user__{name}": value for name, value in box["attributes"].items()}
        sides = {"top": box["top"], "left": 0, "width": box["width"], "height": 4}
        new = inference(
            f"{frame_id}_{number}", **sides, confidence=box["confidence"], **user
        )
        labels.append(new | {"label": box["class_name"]})
    metadata = {
        "visualization_assets": facts["assets"],
        "user_metadata": facts["metadata"],
    }
    return row(
        frame_id, *labels, custom_metrics=facts["metrics"], inference_metadata=metadata
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=FACTS, second=FACTS)
def test_client_and_wire_say_the_same(
    client: al.Client, captured: Capture, first: Row, second: Row
) -> None:
    number = len(client.lake.project("p").dataset("d").inference_sets())
    content = al.Inferences()
    for frame_id, facts in (("f", first), ("g", second)):
        content.add_frame(by_client(frame_id, facts))
    wire = [by_wire("f", first), by_wire("g", second)]

    sent = client.create_inferences("p", "d", f"c{number}", inferences=content)
    place = captured(*wire, inferences_id=f"w{number}")
    (loaded,) = al.ingest(client.lake, "p", place)

    assert (sent.status, loaded.status) == ("DONE", "DONE")
    one, other = native(client, f"c{number}"), native(client, f"w{number}")
    assert one.latest().fingerprint == other.latest().fingerprint
