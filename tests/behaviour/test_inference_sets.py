"""Inference sets: versions of their own, and a pin that only repin moves."""

import json
import pickle
from datetime import timedelta
from typing import Any

import polars as pl
import pytest

import lakehouse
from lakehouse.testing.invariants import (
    assert_ledger_linear,
    assert_log_replays,
    assert_plain_engine_agrees,
    assert_sound,
)
from tests.rows import box, frame

NOW = timedelta(0)


def guess(frame_id: str, label_id: str, **fields: Any) -> dict[str, Any]:
    return box(frame_id, label_id, **({"confidence": 0.9} | fields))


@pytest.fixture
def labelled(dataset: lakehouse.Dataset) -> lakehouse.Dataset:
    dataset.add([frame("f1"), frame("f2")], [box("f1", "a"), box("f2", "a")])
    return dataset


@pytest.fixture
def model(labelled: lakehouse.Dataset) -> lakehouse.InferenceSet:
    return labelled.create_inference_set("model_a")


def test_f12_f13_inferences_land_and_more_are_added(
    model: lakehouse.InferenceSet,
) -> None:
    first = model.add([guess("f1", "x")])
    model.add([guess("f2", "y", confidence=0.5)])

    assert first.status == "DONE"
    assert model.latest().counts == {"frames": 2, "labels": 2}
    rows = model.latest().inferences().sort("frame_id").collect()
    assert rows["confidence"].to_list() == [0.9, 0.5]
    assert model.at(1).counts == {"frames": 1, "labels": 1}


def test_f47_adding_a_frame_again_replaces_the_inferences_on_it(
    model: lakehouse.InferenceSet,
) -> None:
    model.add([guess("f1", "x"), guess("f1", "y")])
    model.add([guess("f1", "z")])

    assert model.latest().inferences().collect()["label_id"].to_list() == ["z"]
    assert model.at(1).inferences().collect().height == 2


def test_f21_frames_and_single_inferences_are_deleted(
    model: lakehouse.InferenceSet,
) -> None:
    model.add([guess("f1", "x"), guess("f1", "y"), guess("f2", "x")])
    model.delete(inferences=[{"frame_id": "f1", "label_id": "x"}])
    model.delete(["f2"])

    assert model.latest().inferences().collect()["label_id"].to_list() == ["y"]
    assert model.latest().counts["frames"] == 1


def test_modified_fields_are_in_the_history(
    model: lakehouse.InferenceSet,
) -> None:
    model.add([guess("f1", "x")])
    model.modify(inferences=[{"frame_id": "f1", "label_id": "x", "confidence": 0.4}])
    model.upsert_inferences([guess("f1", "y")])

    changed = model.history("f1", label_id="x")["changed"].to_list()[-1]
    assert changed == [{"field": "confidence", "before": "0.9", "after": "0.4"}]
    assert model.latest().counts["labels"] == 2


def test_frames_without_inferences_were_seen(model: lakehouse.InferenceSet) -> None:
    model.add([guess("f1", "x")], frames=["f1", "f2"])

    assert model.latest().counts == {"frames": 2, "labels": 1}
    metrics = {"frame_id": "f2", "custom_metrics": '{"loss": 0.5}', "user__n": 1}
    model.add(None, frames=[metrics])
    row, _ = model.latest().frame("f2")
    assert (row["custom_metrics"], row["user__n"]) == ('{"loss": 0.5}', 1)


def test_metrics_and_pictures_of_frames_are_objects(
    model: lakehouse.InferenceSet,
) -> None:
    metrics = {"loss": 0.5, "confusion": [[3, 1], [0, 4]]}
    good = {"frame_id": "f1", "custom_metrics": metrics}
    bad = {"frame_id": "f2", "visualization_assets": {"heat": 1}}

    upload = model.add(None, frames=[good, bad])

    assert upload.errors()["rule"].to_list() == ["value.type"]
    row, _ = model.latest().frame("f1")
    assert json.loads(row["custom_metrics"]) == metrics


def test_an_instance_in_a_mask_has_no_confidence(
    model: lakehouse.InferenceSet,
) -> None:
    instance = {"frame_id": "f1", "label_id": "m_7", "instance_id": 7}

    upload = model.add([instance | {"class_name": "cell"}])

    assert upload.status == "DONE"


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"confidence": None}, "confidence.missing"),
        ({"confidence": 1.5}, "value.range"),
        ({"confidence": -0.1}, "value.range"),
        ({"confidence": "high"}, "value.type"),
        ({"class_name": "cel"}, "class.unknown"),
        ({"width": 0.0}, "box.degenerate"),
    ],
)
def test_f16_a_bad_inference_rejects_its_frame_alone(
    model: lakehouse.InferenceSet, fields: dict[str, Any], rule: str
) -> None:
    upload = model.add([guess("f1", "x") | fields, guess("f2", "y")])

    assert (upload.status, upload.counts["rejected"]) == ("PARTIAL", 1)
    assert rule in upload.errors()["rule"].to_list()
    assert model.latest().inferences().collect()["frame_id"].to_list() == ["f2"]
    mended = upload.retry(labels=[guess("f1", "x")])
    assert mended.status == "DONE"


def test_labels_have_no_confidence_and_datasets_no_inferences(
    labelled: lakehouse.Dataset,
) -> None:
    with pytest.raises(lakehouse.InvalidInputError, match="inference set"):
        labelled.upsert_labels([guess("f1", "x")])
    with pytest.raises(lakehouse.InvalidInputError, match="labels"):
        labelled.latest().inferences()


def test_a_frame_that_the_dataset_never_had_is_rejected(
    model: lakehouse.InferenceSet,
) -> None:
    upload = model.add([guess("f1", "x"), guess("nowhere", "x")])

    errors = upload.errors()
    assert errors["rule"].to_list() == ["frame.not_in_dataset"]
    assert upload.status == "PARTIAL"


def test_a_frame_that_is_not_in_the_pin_is_kept_with_a_warning(
    labelled: lakehouse.Dataset, model: lakehouse.InferenceSet
) -> None:
    labelled.add([frame("late")])

    upload = model.add([guess("late", "x")])

    assert upload.status == "DONE"
    (warning,) = upload.errors().to_dicts()
    assert (warning["rule"], warning["severity"]) == ("frame.not_pinned", "warning")
    assert model.latest().counts["frames"] == 1


# ------------------------------------- PIN ------------------------------------ #


def test_f02_f46_f48_f50_the_pin_stays(
    labelled: lakehouse.Dataset, model: lakehouse.InferenceSet
) -> None:
    model.add([guess("f1", "x")])
    labelled.upsert_labels([box("f1", "a", width=9.0), box("f1", "b")])
    model.add([guess("f2", "x")])
    labelled.delete(["f2"])

    assert model.pin == 1
    truth = model.ground_truth().labels().collect()
    assert truth["width"].to_list() == [3.0, 3.0]
    assert model.ground_truth().fingerprint == labelled.at(1).fingerprint


def test_the_pin_is_the_version_asked_for(labelled: lakehouse.Dataset) -> None:
    labelled.checkpoint("base")
    labelled.delete(["f2"])

    assert labelled.create_inference_set("a", at="base").pin == 1
    assert labelled.create_inference_set("b", at=0).pin == 0
    assert labelled.create_inference_set("c").pin == labelled.version
    with pytest.raises(lakehouse.NotFoundError):
        labelled.create_inference_set("d", at="nothing")
    assert [one.name for one in labelled.inference_sets()] == ["a", "b", "c"]


def test_repinning_is_explicit_and_recorded(
    labelled: lakehouse.Dataset, model: lakehouse.InferenceSet
) -> None:
    labelled.delete(["f2"])

    assert model.repin("latest", message="labels were mended") == labelled.version

    assert model.pin == labelled.version
    (move,) = model.pins().to_dicts()
    assert (move["from"], move["to"], move["author"]) == (1, labelled.version, "mira")
    assert move["message"] == "labels were mended"
    model.repin("latest")
    assert model.pins().height == 1


def test_the_pin_waits_for_uploads_acknowledged_before(
    labelled: lakehouse.Dataset,
) -> None:
    lake = lakehouse.connect(store=labelled._collection.store, merge="deferred")
    deferred = lake.project("cells").dataset("hela")
    deferred.add([frame("f3")])
    model = deferred.create_inference_set("early")
    deferred.add([frame("f4")])

    assert model.pin is None
    with pytest.raises(lakehouse.ConflictError, match="wait to be merged"):
        model.ground_truth()
    with pytest.raises(lakehouse.ConflictError, match="wait to be merged"):
        model.repin(1)
    labelled.merge_pending()
    labelled.delete(["f1"])

    # Both uploads that waited shared a version; the deletion is not in it.
    assert labelled.inference_set("early").pin == 2


def test_garbage_collection_honours_the_pin(
    labelled: lakehouse.Dataset, model: lakehouse.InferenceSet
) -> None:
    model.add([guess("f1", "x")])
    for width in (5.0, 6.0):
        labelled.upsert_labels(
            [box("f1", "a", width=width), box("f2", "a", width=width)]
        )
        labelled.compact()

    garbage = labelled.collect_garbage(retention=NOW, grace=NOW, dry_run=False)

    assert garbage.closed
    assert not labelled._collection.is_closed(1)
    assert_plain_engine_agrees(model.ground_truth())
    assert_sound(model.latest())


# ---------------------------------- VERSIONS ---------------------------------- #


def test_a_set_has_every_operation_that_versions_have(
    model: lakehouse.InferenceSet,
) -> None:
    model.add([guess("f1", "x"), guess("f2", "x")])
    model.upsert_inferences([guess("f1", "x", confidence=0.1)])
    model.delete(["f2"])
    model.compact()
    model.restore(1)
    model.revert(1)
    before = {v: model.at(v).fingerprint for v in model.versions()["version"]}
    model.collect_garbage(retention=NOW, grace=NOW, dry_run=False)

    assert {v: model.at(v).fingerprint for v in before} == before
    for version in before:
        assert_sound(model.at(version))
        assert_plain_engine_agrees(model.at(version))
    assert_ledger_linear(model)
    assert_log_replays(model)


def test_a_snapshot_of_a_set_is_pickled(model: lakehouse.InferenceSet) -> None:
    model.add([guess("f1", "x")])

    again = pickle.loads(pickle.dumps(model.latest()))

    assert again.inferences().collect().equals(model.latest().inferences().collect())


def test_sets_are_created_once_opened_and_archived(
    labelled: lakehouse.Dataset, model: lakehouse.InferenceSet
) -> None:
    with pytest.raises(lakehouse.AlreadyExistsError):
        labelled.create_inference_set("model_a")
    assert labelled.create_inference_set("model_a", exist_ok=True).pin == 1
    with pytest.raises(lakehouse.NotFoundError, match="model_a"):
        labelled.inference_set("model_b")
    with pytest.raises(lakehouse.InvalidInputError):
        labelled.create_inference_set("model a")

    model.archive()
    with pytest.raises(lakehouse.ArchivedError):
        model.add([guess("f1", "x")])
    assert labelled.inference_sets() == []
    assert [one.name for one in labelled.inference_sets(archived=True)] == ["model_a"]
    model.archive(archived=False)
    model.set_metadata({"epochs": 3})
    assert labelled.inference_set("model_a").metadata == {"epochs": 3}


def test_a_batch_set_is_loaded_once_all_or_nothing(
    labelled: lakehouse.Dataset,
) -> None:
    model = labelled.create_inference_set("model_b", mode="BATCH")

    failed = model.add([guess("f1", "x"), guess("nowhere", "x")])
    done = model.add([guess("f1", "x")])

    assert (failed.status, done.status) == ("FAILED", "DONE")
    with pytest.raises(lakehouse.InvalidInputError, match="loaded already"):
        model.add([guess("f2", "x")])
    wrong: Any = "PATCH"
    with pytest.raises(lakehouse.InvalidInputError, match="STREAMING"):
        labelled.create_inference_set("model_c", mode=wrong)


def test_a_dataset_and_a_set_of_another_may_share_a_name(
    project: lakehouse.Project, labelled: lakehouse.Dataset
) -> None:
    other = project.create_dataset("other")
    labelled.create_inference_set("model")
    other.create_inference_set("model")
    project.create_dataset("model")

    assert [one.name for one in project.datasets()] == ["hela", "model", "other"]


def test_several_verbs_make_one_version(model: lakehouse.InferenceSet) -> None:
    model.add([guess("f1", "x")])

    with model.open_upload(message="second epoch") as upload:
        upload.add_inferences([guess("f2", "y")])
        upload.delete(labels=[{"frame_id": "f1", "label_id": "x"}])

    assert upload.upload is not None
    assert upload.upload.version == model.version == 2
    assert model.latest().inferences().collect()["label_id"].to_list() == ["y"]


def test_many_inferences_are_staged_as_images(labelled: lakehouse.Dataset) -> None:
    ids = [f"g{n:05}" for n in range(12_000)]
    labelled.add(pl.DataFrame({"frame_id": ids, "image_url": ids}))
    model = labelled.create_inference_set("large")
    rows = pl.DataFrame({"frame_id": ids}).with_columns(
        label_id=pl.lit("x"),
        class_name=pl.lit("cell"),
        confidence=pl.int_range(len(ids)) / len(ids),
        **{side: pl.lit(1.0) for side in ("top", "left", "width", "height")},
    )

    upload = model.add(rows)

    assert upload.status == "DONE"
    assert model.latest().inferences().collect()["confidence"].max() == 11999 / 12000
    assert_sound(model.latest())


@pytest.mark.s3
def test_sets_live_on_s3(s3_root: str, s3_options: dict[str, str]) -> None:
    lake = lakehouse.connect(s3_root, storage_options=s3_options)
    dataset = lake.create_project("cells", classes=["cell"]).create_dataset("hela")
    dataset.add([frame("f1")], [box("f1", "a")])
    model = dataset.create_inference_set("model_a")

    model.add([guess("f1", "x")])
    dataset.delete(["f1"])

    assert model.ground_truth().counts == {"frames": 1, "labels": 1}
    assert_sound(model.latest())
