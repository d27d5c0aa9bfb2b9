"""Table helpers of the kernel do what the joins of Polars do."""

import polars as pl
import pytest
from hypothesis import given, strategies as st

from lakehouse.merging import rows as helpers
from lakehouse.merging.rows import anti_join

IDS = st.sampled_from(["a", "b", "c", "d", "e"])


@given(
    ids=st.lists(st.none() | IDS) | st.lists(IDS).map(sorted),
    frames=st.lists(st.none() | IDS),
)
def test_rows_of_other_frames_stay_in_their_order(
    ids: list[str | None], frames: list[str | None]
) -> None:
    rows = pl.DataFrame({"frame_id": ids}, schema={"frame_id": pl.String})
    rows = rows.with_row_index("at")
    named = pl.DataFrame({"frame_id": frames}, schema={"frame_id": pl.String})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(helpers, "_ROWS_WORTH_SLICING", 0)
        kept = anti_join(rows, named)

    left = set(frames) - {None}
    assert kept.rows() == [(at, one) for at, one in enumerate(ids) if one not in left]
