"""A client on a fresh lake, and short hands for what tests send and read."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import polars as pl
import pytest

import lakehouse
import lakehouse.aquarium as al
from tests.unit.aquarium.inference_frames import BOX


@dataclass
class Bench:
    client: al.Client
    project: str = "p"
    name: str = "d"

    @property
    def dataset(self) -> lakehouse.Dataset:
        return self.client.lake.project(self.project).dataset(self.name)

    def send(self, *frames: al.LabeledFrame, **options: Any) -> lakehouse.Upload:
        content = al.LabeledDataset()
        for frame in frames:
            content.add_frame(frame)
        return self.client.create_or_update_dataset(
            self.project, self.name, dataset=content, **options
        )

    def frames(self) -> pl.DataFrame:
        return self.dataset.latest().frames().sort("frame_id").collect()

    def labels(self) -> pl.DataFrame:
        rows = self.dataset.latest().labels()
        return rows.sort("frame_id", "label_id").collect()

    def label(self, label_id: str) -> dict[str, Any]:
        (row,) = self.labels().filter(label_id=label_id).to_dicts()
        return row


@pytest.fixture
def bench(lake_root: str) -> Bench:
    client = al.Client(api_endpoint=lake_root)
    client.create_project("p", al.LabelClassMap.from_classnames(["cat", "dog"]))
    return Bench(client)


@pytest.fixture
def frame() -> Callable[..., al.LabeledFrame]:
    def made(frame_id: str = "f", **options: Any) -> al.LabeledFrame:
        new = al.LabeledFrame(frame_id=frame_id, **options)
        new.add_image(image_url=f"https://x.test/{frame_id}.jpg")
        return new

    return made


@pytest.fixture
def client(bench: Bench, frame: Callable[..., al.LabeledFrame]) -> al.Client:
    """A dataset of two frames with a box each, and a metric of one's own."""
    made = [frame(name) for name in ("f", "g")]
    for one in made:
        one.add_label_2d_bbox(label_id=f"{one.frame_id}_l", classification="cat", **BOX)
    bench.send(*made)
    project = bench.client.lake.project("p")
    metric = al.CustomMetricsDefinition("loss", "objective").to_dict()
    project.set_metadata(project.metadata | {"custom_metrics": [metric]})
    return bench.client
