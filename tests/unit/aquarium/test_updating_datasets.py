"""The page's own examples and promises, feature by feature."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

import lakehouse
import lakehouse.aquarium as al

PROJECT = "Rareplanes_Wingtype_Project"
DATASET = "initial_train_labels"


@pytest.fixture
def client(lake_root: str) -> al.Client:
    client = al.Client(api_endpoint=lake_root)
    client.set_credentials(api_key="YOURKEY")
    client.create_project(
        PROJECT, al.LabelClassMap.from_classnames(["straight", "swept"])
    )
    return client


def labeled(frame_id: str, labels: int = 1, **kwargs: Any) -> al.LabeledFrame:
    frame = al.LabeledFrame(frame_id=frame_id, **kwargs)
    frame.add_image(image_url=f"https://x.test/{frame_id}.jpg")
    frame.add_user_metadata("split", "train")
    for number in range(labels):
        frame.add_label_2d_bbox(
            label_id=f"{frame_id}_gt_{number}",
            classification="straight",
            top=1,
            left=2,
            width=10,
            height=10,
        )
    return frame


def upload(client: al.Client, *frames: al.LabeledFrame) -> lakehouse.Upload:
    dataset = al.LabeledDataset()
    for frame in frames:
        dataset.add_frame(frame)
    return client.create_or_update_dataset(PROJECT, DATASET, dataset=dataset)


def native(client: al.Client) -> lakehouse.Dataset:
    return client.lake.project(PROJECT).dataset(DATASET)


def frames(client: al.Client, ref: int | str = "latest") -> pl.DataFrame:
    return native(client).at(ref).frames().sort("frame_id").collect()


def labels(client: al.Client, ref: int | str = "latest") -> pl.DataFrame:
    return native(client).at(ref).labels().sort("frame_id", "label_id").collect()


# --------------------------------- THE EXAMPLES --------------------------------- #


def test_example_adding_frames_to_an_existing_dataset(client: al.Client) -> None:
    EXISTING_PROJECT_NAME, AL_DATASET = PROJECT, DATASET  # noqa: N806 - the page's names
    upload(client, labeled("frame_1"))
    dataset = al.LabeledDataset()
    dataset.add_frame(labeled("frame_2"))

    client.create_or_update_dataset(EXISTING_PROJECT_NAME, AL_DATASET, dataset=dataset)

    assert frames(client)["frame_id"].to_list() == ["frame_1", "frame_2"]
    before, after = frames(client, 1), frames(client).filter(frame_id="frame_1")
    assert before.equals(after)


def test_example_deleting_frames(
    client: al.Client, capsys: pytest.CaptureFixture[str]
) -> None:
    upload(client, labeled("frame_1"), labeled("frame_2"))
    capsys.readouterr()
    labeledDatset = al.LabeledDataset()  # noqa: N806 - the page's name
    frame_ids = ["frame_1"]
    for id in frame_ids:  # noqa: A001 - the page's name
        labeledDatset.delete_frame(id)

    client.create_or_update_dataset(
        project_id=PROJECT, dataset_id=DATASET, dataset=labeledDatset
    )

    assert frames(client)["frame_id"].to_list() == ["frame_2"]
    assert labels(client)["frame_id"].to_list() == ["frame_2"]
    assert frames(client, 1)["frame_id"].to_list() == ["frame_1", "frame_2"]
    assert "DONE" in capsys.readouterr().out
    assert client.is_dataset_processed(PROJECT, DATASET)


def test_an_empty_frame_id_is_refused() -> None:
    with pytest.raises(lakehouse.InvalidInputError, match="is empty"):
        al.LabeledDataset().delete_frame("")


def test_example_a_new_metadata_field(client: al.Client) -> None:
    upload(client, labeled("FRAME_ID"))
    before = labels(client)
    labeled_frame_list_to_modify: list[al.LabeledFrame] = []
    frame = al.LabeledFrame(frame_id="FRAME_ID", update_type="MODIFY")
    frame.add_user_metadata("test_metadata_field", "test_added_metadata_value")
    labeled_frame_list_to_modify.append(frame)

    client.update_dataset_frames(
        project_id=PROJECT, dataset_id=DATASET, update=labeled_frame_list_to_modify
    )

    (row,) = frames(client).to_dicts()
    assert row["user__test_metadata_field"] == "test_added_metadata_value"
    assert row["user__split"] == "train"
    assert row["sensors"][0]["image_url"] == "https://x.test/FRAME_ID.jpg"
    assert labels(client).equals(before)
    assert "user__test_metadata_field" not in frames(client, 1).columns


def test_example_adding_and_modifying_labels(client: al.Client) -> None:
    frame_id = "100_1040010039437200_tile_460"
    label_id = "100_1040010039437200_tile_460_gt_0"
    upload(client, labeled(frame_id, labels=2), labeled("other"))
    sibling = labels(client).filter(label_id=f"{frame_id}_gt_1")
    updateGTLabelSet_list: list[al.UpdateGTLabelSet] = []  # noqa: N806 - the page's name
    update_GT_label_set = al.UpdateGTLabelSet(frame_id=frame_id)  # noqa: N806
    update_GT_label_set.add_2d_bbox(
        label_id=label_id,
        classification="swept",
        top=5,
        left=6,
        width=7,
        height=8,
        user_attrs={"occluded": True},
    )
    update_GT_label_set.add_2d_bbox(
        label_id="brand_new", classification="swept", top=0, left=0, width=1, height=1
    )
    updateGTLabelSet_list.append(update_GT_label_set)
    other = al.UpdateGTLabelSet(frame_id="other")
    other.update_label_2d_bbox(label_id="other_gt_0", top=99)
    updateGTLabelSet_list.append(other)

    client.update_dataset_labels(PROJECT, DATASET, updateGTLabelSet_list)

    by_id = {row["label_id"]: row for row in labels(client).to_dicts()}
    changed = by_id[label_id]
    assert (changed["class_name"], changed["class_id"]) == ("swept", 1)
    assert [changed[side] for side in ("top", "left", "width", "height")] == [
        5,
        6,
        7,
        8,
    ]
    assert changed["user__occluded"] is True
    assert "brand_new" in by_id
    assert (by_id["other_gt_0"]["top"], by_id["other_gt_0"]["left"]) == (99, 2)
    assert (
        labels(client)
        .filter(label_id=f"{frame_id}_gt_1")
        .drop("user__occluded")
        .equals(sibling)
    )
    assert native(client).version == 2


def test_example_deleting_labels(client: al.Client) -> None:
    upload(client, labeled("FRAME_ID", labels=4), labeled("untouched"))
    labeled_dataset = al.LabeledDataset()
    new_labeled_frame = al.LabeledFrame(frame_id="FRAME_ID", update_type="ADD")
    new_labeled_frame.add_label_2d_bbox(
        label_id="LABEL_ID", classification="straight", top=1, left=2, width=3, height=4
    )
    new_labeled_frame.add_image(image_url="ADD_IMAGE_SOURCE_URL")
    labeled_dataset.add_frame(new_labeled_frame)

    client.create_or_update_dataset(PROJECT, DATASET, dataset=labeled_dataset)

    of_frame = labels(client).filter(frame_id="FRAME_ID")
    assert of_frame["label_id"].to_list() == ["LABEL_ID"]
    assert labels(client, 1).filter(frame_id="FRAME_ID").height == 4
    history = native(client).history("FRAME_ID").filter(table="labels", version=2)
    assert sorted(history["op"].to_list()) == ["ADD"] + ["DELETE"] * 4
    assert native(client).history("untouched")["version"].unique().to_list() == [1]


def test_a_readded_frame_may_keep_label_ids(client: al.Client) -> None:
    upload(client, labeled("f", labels=3))

    upload(client, labeled("f", labels=1))

    assert labels(client)["label_id"].to_list() == ["f_gt_0"]


# ----------------------------------- PROMISES ----------------------------------- #


def test_frames_are_streamed_one_at_a_time(client: al.Client) -> None:
    for number in range(5):
        upload(client, labeled(f"f{number}"))
        assert frames(client).height == number + 1


def test_only_the_bad_frame_fails_and_is_mended(
    client: al.Client,
) -> None:
    upload(client, labeled("first"))
    bad = labeled("bad", labels=0)
    bad.add_user_metadata("split", 3)

    sent = upload(client, labeled("good"), bad)

    assert sent.status == "PARTIAL"
    assert frames(client)["frame_id"].to_list() == ["first", "good"]
    (error,) = sent.errors().filter(severity="error").to_dicts()
    assert (error["frame_id"], error["rule"]) == ("bad", "metadata.type")
    logs = client.get_dataset_ingest_error_logs(PROJECT, DATASET)
    assert any("user__split" in log["msg"] for log in logs)
    mended = sent.retry(frames=[{"frame_id": "bad", "user__split": "test"}])
    assert mended.status == "DONE"
    assert frames(client)["frame_id"].to_list() == ["bad", "first", "good"]


def test_create_dataset_is_streaming_by_default(client: al.Client) -> None:
    dataset = al.LabeledDataset()
    dataset.add_frame(labeled("f"))

    client.create_dataset(PROJECT, DATASET, dataset=dataset)

    assert native(client).mode == "STREAMING"
    assert client.get_dataset(PROJECT, DATASET)["is_mutable"]


def test_a_frame_id_is_given_once(client: al.Client) -> None:
    dataset = al.LabeledDataset()
    dataset.add_frame(labeled("f"))

    with pytest.raises(
        lakehouse.InvalidInputError, match="one upload has a frame once"
    ):
        dataset.add_frame(labeled("f", labels=0))


def test_a_wrong_project_is_an_error(client: al.Client) -> None:
    dataset = al.LabeledDataset()
    dataset.add_frame(labeled("f"))

    with pytest.raises(lakehouse.NotFoundError, match="Did you mean"):
        client.create_or_update_dataset(PROJECT + "s", DATASET, dataset=dataset)


def test_an_unknown_class_is_refused(client: al.Client) -> None:
    upload(client, labeled("f"))
    label_set = al.UpdateGTLabelSet(frame_id="f")
    label_set.add_2d_bbox(
        label_id="l", classification="round", top=0, left=0, width=1, height=1
    )
    frame = labeled("g", labels=0)
    frame.add_label_2d_bbox(
        label_id="x", classification="round", top=0, left=0, width=1, height=1
    )

    sent = client.update_dataset_labels(PROJECT, DATASET, [label_set])

    assert (sent.status, sent.errors()["rule"].to_list()) == (
        "FAILED",
        ["class.unknown"],
    )
    with pytest.raises(lakehouse.InvalidInputError, match="round"):
        upload(client, frame)
    assert labels(client)["class_name"].unique().to_list() == ["straight"]


def test_credentials_are_asked_for_and_accepted(lake_root: str) -> None:
    client = al.Client(api_endpoint=lake_root)

    with pytest.raises(lakehouse.InvalidInputError, match="api_key"):
        client.set_credentials()


def test_sensors_change_in_bulk(client: al.Client) -> None:
    names = [f"f{number:04}" for number in range(1_100)]
    upload(client, *(labeled(name) for name in names))
    before = labels(client)
    changes: list[al.LabeledFrame] = []
    for name in names:
        frame = al.LabeledFrame(frame_id=name, update_type="MODIFY")
        frame.add_image(image_url=f"https://new.test/{name}.jpg")
        changes.append(frame)

    client.update_dataset_frames(PROJECT, DATASET, changes)

    after = frames(client)
    assert after["image_url"].to_list() == [
        f"https://new.test/{name}.jpg" for name in names
    ]
    assert after["user__split"].unique().to_list() == ["train"]
    assert labels(client).equals(before)


def test_only_modify_frames_are_updated(client: al.Client) -> None:
    upload(client, labeled("f"))

    with pytest.raises(lakehouse.InvalidInputError, match="takes MODIFY"):
        client.update_dataset_frames(PROJECT, DATASET, [labeled("f")])


def test_a_frame_sent_again_continues_the_history(client: al.Client) -> None:
    upload(client, labeled("f", labels=0))
    upload(client, labeled("f", labels=1))

    assert frames(client).height == 1
    assert native(client).history("f")["version"].unique().sort().to_list() == [1, 2]


def test_two_label_sets_of_one_frame_are_refused(client: al.Client) -> None:
    upload(client, labeled("f"))
    sets = [al.UpdateGTLabelSet(frame_id="f"), al.UpdateGTLabelSet(frame_id="f")]

    with pytest.raises(lakehouse.InvalidInputError, match="given twice"):
        client.update_dataset_labels(PROJECT, DATASET, sets)


def test_every_element_can_change(client: al.Client) -> None:
    upload(client, labeled("f"))
    client.update_frames_metadata(PROJECT, DATASET, {"f": {"split": "test"}})
    label_set = al.UpdateGTLabelSet(frame_id="f")
    label_set.update_label_2d_bbox(label_id="f_gt_0", classification="swept", left=50)
    client.update_dataset_labels(PROJECT, DATASET, [label_set])

    assert frames(client)["user__split"].to_list() == ["test"]
    (label,) = labels(client).to_dicts()
    assert (label["class_name"], label["left"], label["top"]) == ("swept", 50, 1)


def test_the_type_of_a_metadata_field_is_fixed(client: al.Client) -> None:
    upload(client, labeled("f"))
    frame = al.LabeledFrame(frame_id="f", update_type="MODIFY")
    frame.add_user_metadata("split", 7)

    sent = client.update_dataset_frames(PROJECT, DATASET, [frame])

    assert sent.errors()["rule"].to_list() == ["metadata.type"]
    assert frames(client)["user__split"].to_list() == ["train"]
    with pytest.raises(lakehouse.InvalidInputError, match="split"):
        client.update_frames_metadata(PROJECT, DATASET, {"f": {"split": 7}})


def test_the_length_of_embeddings_is_fixed(client: al.Client) -> None:
    first, second = labeled("f", labels=0), labeled("g", labels=0)
    first.add_frame_embedding(embedding=[1.0, 2.0, 3.0])
    second.add_frame_embedding(embedding=[1.0, 2.0])
    upload(client, first)

    sent = upload(client, second)

    assert sent.errors()["rule"].to_list() == ["embedding.dimension"]


def test_uploads_are_listed_with_counts_and_contents(
    client: al.Client,
) -> None:
    sent = upload(client, labeled("a", labels=2), labeled("b"))

    (row,) = client.lake.project(PROJECT).uploads().to_dicts()
    assert (row["upload_id"], row["status"]) == (sent.id, "DONE")
    assert (row["frame_count"], row["label_count"]) == (2, 3)
    items = sent.items()
    assert items.filter(pl.col("label_id").is_null())["frame_id"].to_list() == [
        "a",
        "b",
    ]
    assert items.drop_nulls("label_id")["label_id"].to_list() == [
        "a_gt_0",
        "a_gt_1",
        "b_gt_0",
    ]


def test_getters_give_a_frame_that_can_be_sent_again(client: al.Client) -> None:
    upload(client, labeled("f", labels=2))

    frame = client.get_frame(PROJECT, DATASET, "f")
    sent = client.update_dataset_frames(PROJECT, DATASET, [frame])

    assert client.get_frame_ids(PROJECT, DATASET) == ["f"]
    assert set(client.get_frames(PROJECT, DATASET, ["f", "none"])) == {"f"}
    assert sent.counts["unchanged"] == 1


def test_batch_datasets_are_loaded_once(client: al.Client) -> None:
    dataset = al.LabeledDataset(pipeline_mode="BATCH")
    dataset.add_frame(labeled("f"))
    client.create_dataset(PROJECT, "batch", dataset=dataset, pipeline_mode="BATCH")

    with pytest.raises(lakehouse.InvalidInputError, match="BATCH"):
        client.create_or_update_dataset(
            PROJECT, "batch", dataset=dataset, pipeline_mode="BATCH"
        )
    assert not client.get_dataset(PROJECT, "batch")["is_mutable"]


def test_errors_are_downloaded(client: al.Client, tmp_path: Path) -> None:
    upload(client, labeled("f"))
    bad = labeled("g", labels=0)
    bad.add_user_metadata("split", 1)
    errors = upload(client, bad).errors()

    errors.write_csv(tmp_path / "errors.csv")

    assert pl.read_csv(tmp_path / "errors.csv")["frame_id"].to_list() == ["g"]
