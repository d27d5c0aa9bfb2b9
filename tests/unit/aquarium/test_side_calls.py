"""Calls beside the data: previews, addresses of media, schemas, steps, campaigns."""

from pathlib import Path
from typing import Any

import pytest

import lakehouse
import lakehouse.aquarium as al
from tests.unit.aquarium.inference_frames import BOX, guess


def test_a_frame_is_drawn_before_it_is_sent(
    client: al.Client, capsys: pytest.CaptureFixture[str]
) -> None:
    image = pytest.importorskip("PIL.Image")
    frame = al.LabeledFrame(frame_id="new", update_type="MODIFY")
    frame.add_image(image_url="none.png", width=60, height=40)
    frame.add_label_2d_bbox(label_id="a", classification="cat", **BOX)
    sizes: list[tuple[int, int]] = []

    for inferences in (None, guess("new")):
        client.preview_frame("p", frame, inferences)
        place = Path(capsys.readouterr().out.split()[-1])
        with image.open(place) as picture:
            sizes.append(picture.size)
        place.unlink()

    assert sizes == [(60, 62), (128, 62)]
    assert frame.update_type == "MODIFY"
    assert client.get_frame_ids("p", "d") == ["f", "g"]


def test_a_frame_that_would_be_rejected_is_not_drawn(client: al.Client) -> None:
    frame = al.LabeledFrame(frame_id="new")
    frame.add_label_2d_bbox(label_id="a", classification="cow", **BOX)

    with pytest.raises(lakehouse.UploadFailedError, match="cow"):
        client.preview_frame("p", frame)


def test_addresses_of_media_stay_as_they_are(client: al.Client, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"png")

    local = client.upload_asset_from_filepath("p", "d", str(tmp_path / "a.png"))
    remote = client.upload_asset_from_url("p", "d", "https://x.test/a.png")

    assert Path(local).read_bytes() == b"png"
    assert remote == "https://x.test/a.png"
    with pytest.raises(lakehouse.InvalidInputError, match=r"b\.png"):
        client.upload_asset_from_filepath("p", "d", str(tmp_path / "b.png"))
    with pytest.raises(lakehouse.NotFoundError):
        client.upload_asset_from_url("p", "none", "https://x.test/a.png")


def test_metadata_of_labels_are_declared_and_inferred(
    client: al.Client, bench: Any, frame: Any
) -> None:
    new = frame("h")
    new.add_label_2d_bbox(
        label_id="h_l",
        classification="cat",
        **BOX,
        user_attrs={"occluded": True, "tags": ["a"]},
    )
    bench.send(new)
    fields = [
        {"name": "bucket", "type": "STRING"},
        {"name": "scores", "type": "ARRAY<NUMERIC>"},
        {"name": "occluded", "type": "BOOL"},
    ]

    client.update_dataset_object_metadata_schema("p", "d", fields)

    assert client.get_dataset_object_metadata_schema("p", "d") == [
        fields[0],
        fields[2],
        fields[1],
        {"name": "tags", "type": "ARRAY<STRING>"},
    ]
    client.update_project_metadata("p", {"k": 1})
    assert len(client.get_dataset_object_metadata_schema("p", "d")) == 4
    with pytest.raises(lakehouse.InvalidInputError) as caught:
        client.update_dataset_object_metadata_schema(
            "p",
            "d",
            [
                {"name": "occluded", "type": "INTEGER"},
                {"name": "x y", "type": "BOOL"},
                {"name": "z", "type": "DATE"},
            ],
        )
    for problem in ("occluded is BOOL", "'x y'", "z is 'DATE'"):
        assert problem in str(caught.value)


def test_the_steps_of_an_upload_have_statuses(client: al.Client, bench: Any) -> None:
    later = al.Client(api_endpoint=client.lake.root, merge="deferred")

    def step_statuses() -> list[str]:
        steps = later.current_abstract_dataset_process_step_status("p", "d")
        normalize = al.Client.parse_normalize_process_step_status(steps)
        return [normalize, steps["process_step_statuses"]["merge"]["status"]]

    before = step_statuses()
    change = al.UpdateGTLabelSet(frame_id="f")
    change.update_label_2d_bbox(label_id="f_l", top=9)
    later.update_dataset_labels("p", "d", [change])
    during = step_statuses()
    bench.dataset.merge_pending()

    assert [before, during, step_statuses()] == [
        ["DONE", "DONE"],
        ["DONE", "PENDING"],
        ["DONE", "DONE"],
    ]
    with pytest.raises(lakehouse.InvalidInputError, match="process_step_status"):
        al.Client.parse_normalize_process_step_status({})


def test_an_inference_set_has_steps_under_the_service_s_name(client: al.Client) -> None:
    content = al.Inferences()
    content.add_frame(guess("f"))
    client.create_inferences("p", "d", "m", inferences=content)

    steps = client.current_abstract_dataset_process_step_status("p", "inferences_d_m")

    assert steps["process_step_statuses"]["merge"]["status"] == "DONE"


def test_campaigns_are_refused_with_the_way_out(lake_root: str) -> None:
    campaigns = al.CollectionClient(api_endpoint=lake_root)

    for call in (
        lambda: campaigns.sync_state(["p"]),
        lambda: campaigns.sample_probabilities([]),
        lambda: campaigns.save_for_collection(dry_run=True),
        lambda: campaigns.get_unlabeled_results_for_issue(
            issue_uuid="u", unlabeled_dataset_name=None
        ),
    ):
        with pytest.raises(lakehouse.InvalidInputError, match="collection_campaign"):
            call()


def test_changes_of_classes_are_written_in_the_client_s_keys() -> None:
    entry = al.ClassMapUpdateEntry(
        name="cat", color=(1, 2, 3), keypoint_names=["a", "b"], skeleton=[(0, 1)]
    )

    assert entry.to_dict() == {
        "name": "cat",
        "color": [1, 2, 3],
        "keypoint_names": ["a", "b"],
        "skeleton": [[0, 1]],
    }
