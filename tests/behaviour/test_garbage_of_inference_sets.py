"""Old versions of an inference set give their files up, and are read as before."""

from datetime import timedelta

import lakehouse
from lakehouse.testing.invariants import (
    assert_ledger_linear,
    assert_log_replays,
    assert_sound,
)
from tests.rows import box, frame

NOW = timedelta(0)
FRAMES = [f"f{n}" for n in range(6)]


def test_versions_of_inferences_are_collected_and_read_from_the_change_log(
    dataset: lakehouse.Dataset,
) -> None:
    dataset.add([frame(name) for name in FRAMES], [box(name, "a") for name in FRAMES])
    model = dataset.create_inference_set("model")
    for run in range(4):
        model.add([box(name, "x", confidence=run / 4) for name in FRAMES])
        model.compact()
    versions = model.versions()["version"].to_list()[1:]
    before = {version: model.at(version).fingerprint for version in versions}
    figures = model.metrics(cached=False).to_dict()["summary"]

    garbage = model.collect_garbage(retention=NOW, grace=NOW, dry_run=False)

    assert garbage.closed == tuple(versions[:3])
    assert "inferences" in {one.folder for one in garbage.folders}
    assert not garbage.damaged
    for run, (version, fingerprint) in enumerate(before.items()):
        assert model.at(version).fingerprint == fingerprint
        assert_sound(model.at(version))
        confidence = model.at(version).inferences().collect()["confidence"]
        assert set(confidence) == {run / 4}
    assert_log_replays(model)
    assert_ledger_linear(model)
    assert model.metrics(cached=False).to_dict()["summary"] == figures
    assert model.verify().is_sound
    assert not model.collect_garbage(retention=NOW, grace=NOW, dry_run=False).files
