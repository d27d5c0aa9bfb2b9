"""What a retry sends: corrected rows in place of theirs, the others as they were."""

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import strategies as st

from lakehouse.testing.state import Sent
from lakehouse.testing.strategies import frame_rows, label_rows

__all__ = ["corrections", "retried"]

Upload = tuple[list[Sent], list[Sent]]


@st.composite
def corrections(draw: st.DrawFn, upload: Upload, rejected: frozenset[str]) -> Upload:
    """New fields for some of the rows of rejected frames; no DELETE is corrected."""
    parts: list[list[Sent]] = []
    for sent, rows in zip(upload, (frame_rows, label_rows), strict=True):
        known = [one for one in sent if one.frame_id in rejected and one.op != "DELETE"]
        chosen = (
            draw(st.lists(st.sampled_from(known), unique_by=lambda one: one.key))
            if known
            else []
        )
        keys = [
            {
                name: one.row[name]
                for name in ("frame_id", "label_id")
                if name in one.row
            }
            for one in chosen
        ]
        parts.append(
            [
                replace(one, row=key | draw(rows(partial=one.op == "MODIFY")))
                for one, key in zip(chosen, keys, strict=True)
            ]
        )
    return parts[0], parts[1]


def retried(
    upload: Upload,
    rejected: frozenset[str],
    frames: Sequence[Sent],
    labels: Sequence[Sent],
) -> Upload:
    """All rows of a retry, in the order in which it sends them."""
    parts: list[list[Sent]] = []
    for sent, corrected in zip(upload, (frames, labels), strict=True):
        # Corrected rows go verb by verb.
        kinds = dict.fromkeys((one.op, one.if_exists, one.clear) for one in corrected)
        first = [
            one
            for kind in kinds
            for one in corrected
            if (one.op, one.if_exists, one.clear) == kind
        ]
        keys = {one.key for one in corrected}
        rest = [one for one in sent if one.frame_id in rejected and one.key not in keys]
        parts.append([*first, *rest])
    return parts[0], parts[1]
