"""Inference sets by the client: what makes them, what pins them, what they refuse."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

import lakehouse
import lakehouse.aquarium as al
from tests.unit.aquarium.inference_frames import (
    BOX,
    PLACE,
    SURE,
    guess,
    inferences,
    native,
    rows,
    send,
)


def version(client: al.Client) -> int:
    return client.lake.project("p").dataset("d").version


def relabel(client: al.Client, left: float = 90) -> None:
    label_set = al.UpdateGTLabelSet(frame_id="f")
    label_set.update_label_2d_bbox(label_id="f_l", left=left)
    client.update_dataset_labels("p", "d", [label_set])


# ---------------------------------- THE PAGE ----------------------------------- #


def test_example_adding_frames_to_an_existing_set(
    client: al.Client,
) -> None:
    EXISTING_PROJECT_NAME, AL_DATASET, AL_SET = "p", "d", "m"  # noqa: N806 - the page's
    client.create_inferences(
        EXISTING_PROJECT_NAME, AL_DATASET, AL_SET, inferences=inferences(guess("f"))
    )
    before = rows(client)

    upload = client.create_or_update_inferences(
        EXISTING_PROJECT_NAME, AL_DATASET, AL_SET, inferences=inferences(guess("g"))
    )

    assert upload.status == "DONE"
    assert native(client).latest().counts == {"frames": 2, "labels": 2}
    assert rows(client).filter(frame_id="f").equals(before)
    assert native(client).at(1).inferences().collect().equals(before)


def test_either_name_makes_the_same_set(client: al.Client) -> None:
    for name, call in (
        ("a", client.create_inferences),
        ("b", client.create_or_update_inferences),
    ):
        call("p", "d", name, inferences=inferences(guess("f"), guess("g", "j")))

    one, other = (native(client, name) for name in "ab")
    assert one.latest().fingerprint == other.latest().fingerprint
    assert one.pin == other.pin


def test_a_wrong_project_or_dataset_is_an_error(client: al.Client) -> None:
    content = inferences(guess())

    with pytest.raises(lakehouse.NotFoundError, match="project 'q'"):
        client.create_or_update_inferences("q", "d", "m", inferences=content)
    with pytest.raises(lakehouse.NotFoundError, match="dataset 'e'"):
        client.create_or_update_inferences("p", "e", "m", inferences=content)
    assert not client.inferences_exists("p", "d", "m")


def test_an_unknown_class_is_refused(client: al.Client) -> None:
    with pytest.raises(lakehouse.InvalidInputError, match="cow"):
        send(client, guess("f"), guess("g", "j", classification="cow"))

    assert not client.inferences_exists("p", "d", "m")


def test_frames_are_deleted(client: al.Client) -> None:
    send(client, guess("f"), guess("g", "j"))
    content = al.Inferences()
    for frame_id in ["f"]:
        content.delete_frame(frame_id)

    client.create_or_update_inferences(**PLACE, inferences=content)

    assert rows(client)["frame_id"].to_list() == ["g"]
    assert native(client).at(1).counts["frames"] == 2


def test_the_pin_is_the_version_at_the_first_submission(
    client: al.Client,
) -> None:
    content = inferences(guess("f"))
    relabel(client, left=80)
    first = version(client)

    client.create_or_update_inferences(**PLACE, inferences=content)
    relabel(client, left=90)
    send(client, guess("g", "j"))

    assert native(client).pin == first < version(client)
    assert native(client).pins().height == 0


def test_inferences_are_replaced_by_frame(client: al.Client) -> None:
    send(client, guess("f", "i", "j"), guess("g", "k"))

    send(client, guess("f", "i", confidence=0.2))

    assert rows(client).select("frame_id", "label_id", "confidence").rows() == [
        ("f", "i", 0.2),
        ("g", "k", 0.9),
    ]


def test_labels_that_change_move_no_metric(client: al.Client) -> None:
    send(client, guess("f"), guess("g", "j"))
    before = native(client).metrics().per_class()

    relabel(client)

    after = native(client)
    assert after.metrics().per_class().equals(before)
    truth = after.ground_truth().labels().sort("frame_id").collect()
    assert truth["left"].to_list() == [2.0, 2.0]
    assert not after.metrics(at="latest").per_class().equals(before)


# ------------------------------------ CALLS ------------------------------------ #


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"dataset_id": "no d"}, "dataset"),
        ({"inferences_id": "no m"}, "inference set"),
        ({"embedding_distance_metric": "manhattan"}, "euclidean"),
        ({"wait_timeout": 5}, "timedelta"),
        ({"pipeline_mode": "PATCH"}, "STREAMING"),
        ({"inferences": None}, "Inferences"),
        ({"inferences": al.LabeledDataset()}, "Inferences"),
        ({"inferences": al.Inferences()}, "no frames"),
        ({"external_metadata": ["a"]}, "external_metadata"),
    ],
)
def test_a_refused_call_creates_no_set(
    client: al.Client, options: dict[str, Any], match: str
) -> None:
    usual: dict[str, Any] = PLACE | {"inferences": inferences(guess())}

    with pytest.raises(lakehouse.InvalidInputError, match=match):
        client.create_or_update_inferences(**(usual | options))
    assert not client.inferences_exists("p", "d", "m")


def test_the_first_problem_in_the_client_s_order_is_raised(client: al.Client) -> None:
    send(client, guess())
    problems: list[tuple[dict[str, Any], str]] = [
        ({"dataset_id": "no d"}, "cannot name a dataset"),
        ({"inferences_id": "no m"}, "inference set: names are"),
        ({"embedding_distance_metric": "x"}, "euclidean"),
        ({"wait_timeout": 5}, "timedelta"),
        ({"dataset_id": "none"}, "no dataset"),
        ({"pipeline_mode": "BATCH"}, "only creates"),
        ({"inferences": al.Inferences()}, "no frames"),
    ]
    bad = guess("g", "j", classification="cow")
    bad.add_custom_metric("f1", 0.5)
    usual: dict[str, Any] = PLACE | {"inferences": inferences(bad)}

    for place in range(len(problems)):
        options = {**usual}
        for options_of_problem, _ in reversed(problems[place:]):
            options |= options_of_problem
        with pytest.raises(lakehouse.LakehouseError, match=problems[place][1]):
            client.create_or_update_inferences(**options)
    with pytest.raises(lakehouse.InvalidInputError, match="cow"):
        client.create_or_update_inferences(**usual)


def test_batch_makes_a_set_once_all_or_nothing(client: al.Client) -> None:
    nowhere = inferences(guess("f"), guess("nowhere", "j"), pipeline_mode="BATCH")
    whole = inferences(guess("f"), guess("g", "j"))

    failed = client.create_inferences(**PLACE, inferences=nowhere)
    done = client.create_inferences(**PLACE, inferences=whole, pipeline_mode="BATCH")

    assert (failed.status, done.status) == ("FAILED", "DONE")
    with pytest.raises(lakehouse.InvalidInputError, match="only creates"):
        client.create_inferences(**PLACE, inferences=whole, pipeline_mode="BATCH")
    with pytest.raises(lakehouse.InvalidInputError, match="loaded already"):
        client.create_or_update_inferences(**PLACE, inferences=whole)
    assert native(client).version == done.version


def test_a_streamed_set_is_no_batch(client: al.Client) -> None:
    send(client, guess())

    with pytest.raises(lakehouse.InvalidInputError, match="only creates"):
        send(client, guess(), pipeline_mode="BATCH")


def test_what_was_deleted_takes_no_inferences(client: al.Client) -> None:
    send(client, guess())
    native(client).archive()
    with pytest.raises(
        lakehouse.ArchivedError, match="The inference set 'm' is archived"
    ):
        send(client, guess())
    assert client.inferences_exists("p", "d", "m")

    native(client).archive(archived=False)
    client.delete_dataset("p", "d")
    with pytest.raises(lakehouse.ArchivedError, match="The dataset 'd' is archived"):
        send(client, guess())


def test_metadata_of_a_set_are_replaced(client: al.Client) -> None:
    send(client, guess(), external_metadata={"epochs": 3})
    send(client, guess(), external_metadata={"by": "mira"})
    assert native(client).metadata == {"by": "mira"}

    client.update_inferences_metadata("p", "m", {"epochs": 4})
    assert native(client).metadata == {"epochs": 4}
    with pytest.raises(lakehouse.NotFoundError):
        client.update_inferences_metadata("p", "n", {})
    other = client.lake.project("p").create_dataset("e")
    other.create_inference_set("m")
    with pytest.raises(lakehouse.InvalidInputError, match="inferences_e_m"):
        client.update_inferences_metadata("p", "m", {})
    client.update_inferences_metadata("p", "inferences_e_m", {"epochs": 5})
    assert other.inference_set("m").metadata == {"epochs": 5}


def test_a_set_tells_how_it_stands(
    client: al.Client, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not client.inferences_exists("p", "d", "m")

    upload = send(client, guess("f"), guess("nowhere", "j"), wait_until_finish=True)

    assert "p/d/m" in capsys.readouterr().out
    assert upload.status == "PARTIAL"
    assert client.inferences_exists("p", "d", "m")
    assert client.is_inferences_processed("p", "d", "m")
    state = client.current_inferences_process_state("p", "d", "m")
    assert state == ("WINDOW_ERRORED", 100.0)
    (log,) = client.get_inferences_ingest_error_logs("p", "d", "m")
    assert (log["frame_id"], log["aquarium_dataflow_step"]) == ("nowhere", "merge")


def test_the_pin_waits_for_what_was_sent_to_the_dataset_before(
    client: al.Client, lake_root: str, frame: Callable[..., al.LabeledFrame]
) -> None:
    deferred = al.Client(api_endpoint=lake_root, merge="deferred")
    late = al.LabeledDataset()
    late.add_frame(frame("late"))
    deferred.create_or_update_dataset("p", "d", dataset=late)

    upload = send(deferred, guess("late"), wait_timeout=timedelta(0))

    assert upload.status == "PENDING"
    assert not deferred.is_inferences_processed("p", "d", "m")
    state, _ = deferred.current_inferences_process_state("p", "d", "m")
    assert state == "PENDING"
    client.lake.project("p").dataset("d").merge_pending()
    native(client).merge_pending()
    assert native(client).pin == version(client)
    assert upload.status == "DONE"
    assert deferred.is_inferences_processed("p", "d", "m")


def test_binary_models_name_the_positive_class_alone(lake_root: str) -> None:
    client = al.Client(api_endpoint=lake_root)
    client.create_project(
        "p",
        al.LabelClassMap.from_classnames(["cat", "none"]),
        primary_task="BINARY_CLASSIFICATION",
        binary_classification_negative_class="none",
    )
    client.lake.project("p").create_dataset("d").add([{"frame_id": "f"}])
    frame = al.InferencesFrame(frame_id="f")
    frame.add_inference_2d_classification(
        label_id="i", classification="none", confidence=0.9
    )

    with pytest.raises(lakehouse.InvalidInputError, match="negative class"):
        send(client, frame)
    assert send(client, _positive()).status == "DONE"


def _positive() -> al.InferencesFrame:
    frame = al.InferencesFrame(frame_id="f")
    frame.add_inference_2d_classification(
        label_id="i", classification="cat", confidence=0.1
    )
    return frame


# -------------------------------- SINGLE CHANGES ------------------------------- #


def test_single_inferences_are_added_and_changed(client: al.Client) -> None:
    first = guess("f", "i", "j")
    first.add_custom_metric("loss", 0.5)
    send(client, first)
    change = al.UpdateInferenceLabelSet(frame_id="f")
    change.update_label_2d_bbox(label_id="i", confidence=0.1)
    change.add_2d_bbox(label_id="k", **BOX, **SURE)
    change.add_custom_metric("loss", 0.25)
    unknown = al.UpdateInferenceLabelSet(frame_id="g")
    unknown.add_2d_bbox(label_id="x", **BOX, **SURE)

    upload = client.update_inference_labels(
        "p", "d", [change, unknown], inferences_id="m"
    )

    assert upload.status == "DONE"
    assert upload.errors().select("frame_id", "severity").rows() == [("g", "warning")]
    labels = rows(client).select("label_id", "confidence", "left").rows()
    assert labels == [("i", 0.1, 2.0), ("j", 0.9, 2.0), ("k", 0.9, 2.0)]
    frame, _ = native(client).latest().frame("f")
    assert frame["custom_metrics"] == '{"loss": 0.25}'
    with pytest.raises(lakehouse.InvalidInputError, match="confidence"):
        change.update_label_2d_bbox(label_id="l", confidence=1)


def test_single_changes_name_their_set(client: al.Client) -> None:
    send(client, guess())
    change = al.UpdateInferenceLabelSet(frame_id="f")
    other_kind: Any = al.UpdateGTLabelSet(frame_id="f")

    with pytest.raises(lakehouse.InvalidInputError, match="inferences_id"):
        client.update_inference_labels("p", "d", [change])
    with pytest.raises(lakehouse.InvalidInputError, match="UpdateGTLabelSet"):
        client.update_inference_labels("p", "d", [other_kind], inferences_id="m")
    with pytest.raises(lakehouse.InvalidInputError, match="given twice"):
        client.update_inference_labels("p", "d", [change] * 2, inferences_id="m")
    with pytest.raises(lakehouse.NotFoundError):
        client.update_inference_labels("p", "d", [change], inferences_id="n")
