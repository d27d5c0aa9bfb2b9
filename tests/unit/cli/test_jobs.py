"""The jobs: one function each, for the whole lake or for one of its parts."""

from datetime import timedelta

import pytest

import lakehouse
from lakehouse.jobs.clone import clone  # type: ignore[import-not-found]
from lakehouse.jobs.collect_garbage import (  # type: ignore[import-not-found]
    collect_garbage,
)
from lakehouse.jobs.compact import compact  # type: ignore[import-not-found]
from lakehouse.jobs.merge import merge  # type: ignore[import-not-found]
from lakehouse.jobs.verify import verify  # type: ignore[import-not-found]
from tests.rows import box, frame


@pytest.fixture
def staged(lake: lakehouse.Lake, dataset: lakehouse.Dataset) -> lakehouse.Lake:
    """A lake where a dataset and an inference set have a staged upload each."""
    dataset.create_inference_set("model")
    later = lakehouse.connect(lake.root, merge="deferred")
    waiting = later.project("cells").dataset("hela")
    waiting.add([frame("f1")])
    waiting.inference_set("model").add([box("f1", "a", confidence=0.5)])
    return later


def test_a_merge_of_the_lake_settles_every_collection(staged: lakehouse.Lake) -> None:
    assert [upload.status for upload in merge(staged)] == ["DONE", "DONE"]
    assert merge(staged) == []


@pytest.mark.parametrize("target", ["cells/hela", "cells/hela/model"])
def test_a_merge_of_a_target_settles_that_alone(
    staged: lakehouse.Lake, target: str
) -> None:
    assert len(merge(staged, target)) == 1
    assert len(merge(staged)) == 1


def test_jobs_answer_by_address(staged: lakehouse.Lake) -> None:
    addresses = ["cells/hela", "cells/hela/model"]

    assert list(verify(staged)) == list(compact(staged)) == addresses
    assert list(verify(staged, "cells/hela/model")) == addresses[1:]
    assert list(compact(staged, "cells/hela")) == addresses[:1]
    assert list(collect_garbage(staged)) == [*addresses, "lake"]
    old = timedelta(0)
    (only,) = collect_garbage(staged, "cells/hela", retention=old, grace=old).items()
    assert (only[0], only[1].dry_run) == ("cells/hela", True)


def test_clones_are_completed_once(staged: lakehouse.Lake) -> None:
    staged.project("cells").dataset("hela").clone("copy", 0)

    assert list(clone(staged)) == ["cells/copy"]
    assert clone(staged) == {}


def test_a_target_that_is_not_there_is_refused(staged: lakehouse.Lake) -> None:
    for target in ("cells", "cells/other", "cells/hela/other", "other/hela"):
        with pytest.raises(lakehouse.NotFoundError):
            merge(staged, target)
