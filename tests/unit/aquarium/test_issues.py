"""Issues and work queues of the client: segments, with the client's names and checks."""

from collections.abc import Callable
from typing import Any

import pytest

import lakehouse
import lakehouse.aquarium as al
from tests.unit.aquarium.conftest import Bench
from tests.unit.aquarium.inference_frames import BOX


@pytest.fixture
def issues(client: al.Client) -> al.IssueManager:
    return client.get_issue_manager("p")


def crop(name: str, **options: Any) -> al.IssueElement:
    return al.IssueElement(f"{name}_l", name, "crop", "p.d", **options)


def whole(name: str) -> al.IssueElement:
    return al.IssueElement(name, name, "frame", "d")


def relabel(client: al.Client, width: int) -> None:
    update = al.UpdateGTLabelSet(frame_id="f")
    update.update_label_2d_bbox(label_id="f_l", width=width)
    client.update_dataset_labels("p", "d", [update])


def test_an_issue_shows_labels_as_they_were(
    client: al.Client, issues: al.IssueManager
) -> None:
    made = issues.create_issue(
        "loose", "d", [crop("f"), crop("g")], "crop", issue_type="Label Quality"
    )
    relabel(client, 99)

    issue = issues.get_issue(made)
    first = issue.elements[0]
    assert (issue.name, issue.state, issue.template_type) == (
        "loose",
        "triage",
        "labelQuality",
    )
    assert (first.element_id, first.frame_id, first.dataset) == ("f_l", "f", "p.d")
    assert first.status == "unstarted"
    assert first.crop_data is not None
    assert first.crop_data["width"] == BOX["width"] != 99
    assert first.to_dict()["element_type"] == "crop"
    bare = issues.get_issue(made, exclude_frame_data=True)
    assert [one.crop_data for one in bare.elements] == [None, None]
    assert issue.to_dict()["issue_id"] == made


def test_frames_are_shown_with_their_labels(
    client: al.Client, issues: al.IssueManager
) -> None:
    made = issues.create_issue("blurred", "p.d", [whole("f")], "frame")
    relabel(client, 99)

    (element,) = issues.get_issue(made).elements
    assert element.frame_data is not None
    assert element.frame_data["image_url"] == "https://x.test/f.jpg"
    (label,) = element.frame_data["labels"]
    assert (label["label_id"], label["width"]) == ("f_l", BOX["width"])


def test_inferences_are_crops_of_an_inference_set(
    client: al.Client, issues: al.IssueManager
) -> None:
    inferences = al.Inferences()
    frame = al.InferencesFrame(frame_id="f")
    frame.add_inference_2d_bbox(
        label_id="x", classification="cat", confidence=0.5, **BOX
    )
    inferences.add_frame(frame)
    client.create_or_update_inferences("p", "d", "m", inferences=inferences)
    element = al.IssueElement("x", "f", "crop", "d", inference_set="m")

    made = issues.create_issue("misses", "d", [element], "crop", inference_set="m")

    (element,) = issues.get_issue(made).elements
    assert (element.inference_set, element.label_metadata) == ("m", {"confidence": 0.5})


def test_an_issue_moves_through_states_and_is_deleted(issues: al.IssueManager) -> None:
    made = issues.create_issue("loose", "d", [crop("f")], "crop")

    issues.update_issue_state(made, "inProgress")
    issues.update_issue_name(made, "very loose")
    issues.update_elements_status(made, ["f_l"], "done")
    issues.add_elements_to_issue(made, [crop("g")])
    (issue,) = issues.list_issues()
    assert (issue.name, issue.state) == ("very loose", "inProgress")
    assert [one.status for one in issue.elements] == ["done", "unstarted"]
    issues.remove_elements_from_issue(made, [crop("f")])
    assert [one.element_id for one in issues.get_issue(made).elements] == ["g_l"]
    issues.delete_issue(made)
    assert issues.list_issues() == []
    assert issues.get_issue(made).name == "very loose"


def test_comments_come_when_asked_for(
    client: al.Client, issues: al.IssueManager
) -> None:
    made = issues.create_issue("loose", "d", [crop("f")], "crop")
    client.lake.project("p").segment(made).comment("look", ["f_l"])

    assert issues.get_issue(made).elements[0].comments is None
    issue = issues.get_issue(made, include_comment_data=True)
    assert issue.elements[0].comments[0]["text"] == "look"
    assert issue.comments == []


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda one: one.create_issue("n", "d", [], "crop"), "not empty"),
        (lambda one: one.create_issue("n", "d", ["f"], "crop"), "are no labels"),
        (
            lambda one: one.create_issue("n", "d", [whole("f")], "crop"),
            "are no labels, such as Issue",
        ),
        (
            lambda one: one.create_issue("n", "d", [crop("f")], "box"),
            "'frame' or 'crop'",
        ),
        (lambda one: one.create_issue("", "d", [crop("f")], "crop"), "name is ''"),
        (
            lambda one: one.create_issue("n", "d", [crop("f")], "crop", None, "Odd"),
            "Odd",
        ),
        (
            lambda one: one.create_issue("n", "d", [crop("f"), crop("zz")], "crop"),
            "'zz_l' of frame 'zz' is not in",
        ),
        (lambda _: al.IssueElement("x", "", "crop", "d"), "frame_id is ''"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_made(
    issues: al.IssueManager, call: Callable[[al.IssueManager], Any], message: str
) -> None:
    with pytest.raises(lakehouse.InvalidInputError, match=message):
        call(issues)
    assert issues.list_issues() == []


def test_unknown_datasets_and_issues_are_refused(issues: al.IssueManager) -> None:
    with pytest.raises(lakehouse.NotFoundError, match="no dataset 'e'"):
        issues.create_issue("n", "e", [crop("f")], "crop")
    with pytest.raises(lakehouse.NotFoundError, match="no segment 'nothing'"):
        issues.get_issue("nothing")
    made = issues.create_issue("n", "d", [crop("f")], "crop")
    with pytest.raises(lakehouse.InvalidInputError, match="no state of a segment"):
        issues.update_issue_state(made, "finished")


def test_a_work_queue_has_batches(
    bench: Bench, client: al.Client, issues: al.IssueManager, frame: Any
) -> None:
    bench.send(*[frame(f"q{n}") for n in range(5)])
    elements = [whole(f"q{n}") for n in range(5)]
    made = issues.create_work_queue("queue", "d", elements, "frame", None, 2)
    client.lake.project("p").segment(made).assign_batch("batch_2", "noor")
    issues.update_elements_status(made, ["q0"], "done")
    queues = client.get_work_queue_manager("p")

    (listed,) = queues.list_work_queues()
    queue = queues.get_work_queue(made)
    assert (listed.elements, listed.element_count) == (None, 5)
    assert queue.batch_statuses == {
        "batch_1": "queued",
        "batch_2": "assigned",
        "batch_3": "queued",
    }
    assert queue.batch_assignees == {"batch_2": "noor"}
    assert queue.elements is not None
    assert [(one.batch_name, one.status) for one in queue.elements] == [
        ("batch_1", "done"),
        ("batch_1", "queued"),
        ("batch_2", "assigned"),
        ("batch_2", "assigned"),
        ("batch_3", "queued"),
    ]
    assert queue.to_dict()["elements"][0]["element_id"] == "q0"
    other = issues.create_issue("plain", "d", [whole("q0")], "frame")
    with pytest.raises(lakehouse.InvalidInputError, match="is no work queue"):
        queues.get_work_queue(other)
