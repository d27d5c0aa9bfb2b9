"""A deletion is an upload like any other: printed, listed, and in progress until merged."""

import re
from collections.abc import Callable
from typing import Any

import pytest

import lakehouse
import lakehouse.aquarium as al
from tests.unit.aquarium.inference_frames import PLACE, guess, native, send

Capture = pytest.CaptureFixture[str]


def deletion(content: Any, frame_id: str) -> Any:
    content.delete_frame(frame_id)
    return content


def delete_from_dataset(client: al.Client) -> lakehouse.Upload:
    content = deletion(al.LabeledDataset(), "f")
    return client.create_or_update_dataset("p", "d", dataset=content)


def delete_from_set(client: al.Client) -> lakehouse.Upload:
    content = deletion(al.Inferences(), "f")
    return client.create_or_update_inferences(**PLACE, inferences=content)


Deletes = Callable[[al.Client], lakehouse.Upload]
deletes = pytest.mark.parametrize(
    ("delete", "target"),
    [(delete_from_dataset, "p/d"), (delete_from_set, "p/d/m")],
    ids=["dataset", "inferences"],
)


@deletes
def test_a_deletion_is_printed_and_listed_like_any_upload(
    client: al.Client, capsys: Capture, delete: Deletes, target: str
) -> None:
    send(client, guess("f"))
    usual = capsys.readouterr().out

    sent = delete(client)

    form = r"Upload (\S+) to (\S+): DONE, 1 frames, \d (?:labels|inferences)\.\n"
    assert re.fullmatch(form, usual)
    match = re.fullmatch(form, capsys.readouterr().out)
    assert match is not None
    assert match.groups() == (sent.id, target)
    row = client.lake.project("p").uploads().row(0, named=True)
    assert (row["upload_id"], row["target"], row["status"]) == (sent.id, target, "DONE")
    assert (row["frame_count"], row["label_count"]) == (1, 0)


@deletes
def test_a_deletion_is_processed_once_it_is_merged(
    client: al.Client, delete: Deletes, target: str
) -> None:
    send(client, guess("f"), guess("g", "j"))
    later = al.Client(api_endpoint=client.lake.root, merge="deferred")
    base = client.lake.project("p").dataset("d")
    of_set = target == "p/d/m"
    where = native(client) if of_set else base
    name = "inferences_d_m" if of_set else "d"

    def observed() -> tuple[bool, bool, str, list[str]]:
        frames = where.latest().frames().collect()["frame_id"].sort().to_list()
        steps = later.current_abstract_dataset_process_step_status("p", name)
        done = (
            later.is_inferences_processed("p", "d", "m")
            if of_set
            else later.is_dataset_processed("p", "d")
        )
        status = steps["process_step_statuses"]["merge"]["status"]
        return where.is_processing, done, status, frames

    seen = [observed()]
    delete(later)
    seen.append(observed())
    where.merge_pending()
    seen.append(observed())

    assert seen == [
        (False, True, "DONE", ["f", "g"]),
        (True, False, "PENDING", ["f", "g"]),
        (False, True, "DONE", ["g"]),
    ]


def test_a_list_of_datasets_shows_that_a_deletion_waits(client: al.Client) -> None:
    later = al.Client(api_endpoint=client.lake.root, merge="deferred")
    client.create_dataset("p", "other", dataset=deletion(al.LabeledDataset(), "f"))

    def observed() -> dict[str, bool]:
        datasets = client.get_datasets("p", include_archived=False)
        return {one["id"]: one["processing"] for one in datasets}

    seen = [observed()]
    delete_from_dataset(later)
    seen.append(observed())
    client.lake.project("p").dataset("d").merge_pending()
    seen.append(observed())

    assert [one.pop("d") for one in seen] == [False, True, False]
    assert seen == [{"other": False}] * 3
