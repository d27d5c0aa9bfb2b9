"""A model of a segment, in plain dicts: the rows that it must give."""

from typing import Any

import lakehouse

__all__ = ["ExpectedSegment", "rows_of"]

Key = tuple[str, str, str]


class ExpectedSegment:
    """The rows as they were read when they were added, and the versions of each."""

    def __init__(self, segment: lakehouse.Segment) -> None:
        self.segment = segment
        self.rows: dict[Key, dict[str, Any]] = {}
        self.versions: dict[Key, list[int]] = {}

    def add(self, snapshot: lakehouse.Snapshot, rows: list[dict[str, Any]]) -> None:
        given: dict[str, Any] = {f"{self.segment.element_type}s": rows}
        added = self.segment.add(snapshot, **given)
        place = "model" if snapshot._collection.layout.kind != "dataset" else ""
        before = len(self.rows)
        for row in rows:
            key = (place, row["frame_id"], row.get("label_id", ""))
            if key not in self.rows:
                self.rows[key], self.versions[key] = row, [snapshot.version]
        assert len(self.rows) - before == added

    def remove(self, key: Key) -> None:
        ids = {"frame_id": key[1]} | ({"label_id": key[2]} if key[2] else {})
        assert self.segment.remove([ids]) == 1
        del self.rows[key], self.versions[key]

    def refresh(self, latest: lakehouse.Snapshot) -> None:
        """Compare what is out of date with the rows, and move it."""
        now = {
            (row["frame_id"], row.get("label_id", "")): row
            for row in rows_of(self, latest)
        }
        stale = {
            (row["frame_id"], row.get("label_id", "")): row
            for row in self.segment.out_of_date().to_dicts()
        }
        moved = 0
        for key in list(self.rows):
            reported = stale.get(key[1:])
            row = now.get(key[1:])
            if row is None:
                assert reported is not None
                assert reported["reason"] == "deleted"
            elif plain(row) != plain(self.rows[key]):
                assert reported is not None
                assert reported["reason"] == "changed"
                assert set(reported["fields"]) == differing(row, self.rows[key])
            elif reported is not None:
                assert reported["reason"] == "labels changed"
            if reported is not None and row is not None:
                moved += 1
                self.rows[key] = row
                self.versions[key].append(latest.version)
        assert self.segment.refresh() == moved

    def check(self) -> None:
        elements = self.segment.elements()
        tracking = self.segment.tracking()
        assert elements.height == tracking.height == len(self.rows)
        for row, work in zip(elements.to_dicts(), tracking.to_dicts(), strict=True):
            key = (
                "model" if row["inference_set"] else "",
                row["frame_id"],
                row.get("label_id", ""),
            )
            wanted = self.rows[key]
            assert {name: row[name] for name in wanted} == wanted
            assert [*work["earlier"], work["version"]] == self.versions[key]


def plain(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not None}


def differing(one: dict[str, Any], two: dict[str, Any]) -> set[str]:
    return {name for name in {*one, *two} if one.get(name) != two.get(name)}


def rows_of(
    expected: ExpectedSegment, snapshot: lakehouse.Snapshot
) -> list[dict[str, Any]]:
    of_frames = expected.segment.element_type == "frame"
    rows = snapshot.frames() if of_frames else snapshot.labels()
    return rows.collect().to_dicts()
