"""Classes are appended and renamed; ids, old rows and old versions stay as they are."""

import pickle

import pytest

import lakehouse
from lakehouse.errors import InvalidInputError, NotFoundError
from tests.rows import box, frame


@pytest.fixture
def project(lake: lakehouse.Lake) -> lakehouse.Project:
    return lake.create_project("cells", classes=["cel", "debris"])


@pytest.fixture
def dataset(project: lakehouse.Project) -> lakehouse.Dataset:
    """Version 1 before a rename, version 2 after it and after a new class."""
    dataset = project.create_dataset("hela")
    dataset.add([frame("f1")], [box("f1", "a", class_name="cel")])
    project.rename_class("cel", "cell")
    project.add_classes(["dust"])
    dataset.add([frame("f2")], [box("f2", "a"), box("f2", "b", class_name="dust")])
    return dataset


def test_old_versions_keep_their_class_map(dataset: lakehouse.Dataset) -> None:
    assert list(dataset.at(0).class_map.ids) == ["cel", "debris"]
    assert dataset.at(1).class_map.ids == {"cel": 0, "debris": 1}
    assert dataset.latest().class_map.ids == {"cell": 0, "debris": 1, "dust": 2}
    dataset.compact()
    dataset.checkpoint("first", 1)
    again = pickle.loads(pickle.dumps(dataset.at("first")))
    assert again.class_map.ids == {"cel": 0, "debris": 1}


def test_rows_keep_the_name_they_were_written_with(dataset: lakehouse.Dataset) -> None:
    rows = dataset.latest().labels().sort("frame_id", "label_id").collect()

    assert rows["class_name"].to_list() == ["cel", "cell", "dust"]
    assert rows["class_id"].to_list() == [0, 0, 2]


def test_metrics_across_a_rename_take_both_names_as_one_class_and_say_so(
    project: lakehouse.Project, dataset: lakehouse.Dataset
) -> None:
    model = dataset.create_inference_set("model_a")
    model.add(
        [box("f1", "x", confidence=0.9), box("f2", "x", confidence=0.9)],
        frames=[{"frame_id": "f1"}, {"frame_id": "f2"}],
    )

    metrics = model.metrics(iou=0.5)

    assert (metrics["tp"], metrics["fp"]) == (2, 0)
    assert metrics.counts["labels under an earlier class name"] == 1
    assert "inferences under an earlier class name" not in metrics.counts
    project.rename_class("cell", "nucleus")
    counts = model.metrics(iou=0.5).counts
    assert counts["labels under an earlier class name"] == 2
    assert counts["inferences under an earlier class name"] == 2


def test_an_earlier_name_is_refused_with_the_one_of_now(
    dataset: lakehouse.Dataset,
) -> None:
    upload = dataset.upsert_labels([box("f1", "c", class_name="cel")])

    (error,) = upload.errors().to_dicts()
    assert error["rule"] == "class.unknown"
    assert error["hint"] == "The class is called 'cell' now."


def test_a_name_that_old_rows_have_is_not_given_to_another_class(
    project: lakehouse.Project, dataset: lakehouse.Dataset
) -> None:
    with pytest.raises(InvalidInputError, match="was the name of class 'cell'"):
        project.add_classes(["cel"])
    with pytest.raises(InvalidInputError, match="was the name of class 'cell'"):
        project.rename_class("debris", "cel")
    with pytest.raises(InvalidInputError):
        project.rename_class("debris", "cell")
    with pytest.raises(NotFoundError):
        project.rename_class("none", "some")

    assert project.rename_class("cell", "cel").ids == {"cel": 0, "debris": 1, "dust": 2}
    assert dataset.at(1).class_map.ids == {"cel": 0, "debris": 1}
    assert list(dataset.latest().class_map.ids) == ["cell", "debris", "dust"]


def test_f_16_an_unknown_class_lands_nowhere_until_it_is_appended(
    project: lakehouse.Project, dataset: lakehouse.Dataset
) -> None:
    before = dataset.latest().fingerprint
    model = dataset.create_inference_set("model_a")
    labels = dataset.upsert_labels([box("f1", "n", class_name="new")])
    guesses = model.add([box("f1", "n", class_name="new", confidence=0.5)])

    assert (labels.status, guesses.status) == ("FAILED", "FAILED")
    assert dataset.latest().fingerprint == before
    project.add_classes(["new"])
    retried = labels.retry(), guesses.retry()
    assert [upload.status for upload in retried] == ["DONE", "DONE"]
