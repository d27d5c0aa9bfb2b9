"""Media: whether what the latest version names is there, and as it was.

A medium without a checksum only has to be there; one with a checksum is read. Each
is looked at once, however many frames name it.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import polars as pl

from lakehouse.errors import LakehouseError, NotFoundError
from lakehouse.ledger.change_log import content
from lakehouse.ledger.collection import Collection
from lakehouse.model.labels import URL_FIELDS
from lakehouse.storage import collect_all
from lakehouse.storage.media import Media
from lakehouse.types import Progress
from lakehouse.verify.report import Report

_AT_ONCE: Final = 16  # requests; nearly all of the time is waiting for answers
_SHOWN: Final = 3
_FIELDS: Final = tuple(name for name in URL_FIELDS if name != "text")
_MEDIUM_SCHEMA: Final = pl.Schema(
    {"url": pl.String, "checksum": pl.String, "table": pl.String, "named_by": pl.String}
)


@dataclass(frozen=True, slots=True)
class _Medium:
    """A medium, and who names it."""

    url: str
    checksum: str | None
    table: str
    named_by: list[str]
    """Ids of frames, or of frames and labels."""


def check_media(collection: Collection, report: Report, progress: Progress) -> None:
    """Report the media of the latest version that are missing or have changed.

    Args:
        collection: Whose frames and labels.
        report: Where problems are noted.
        progress: Told how far it is.
    """
    media = _named(collection)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        results = pool.map(lambda medium: _problem_of(collection.media, medium), media)
        for done, (medium, problem) in enumerate(zip(media, results, strict=True)):
            progress("media", done + 1, len(media))
            if problem is not None:
                _report_problem(collection, medium, problem, report)
    report.counts["media"] = len(media)


def _named(collection: Collection) -> list[_Medium]:
    """Every medium that frames and masks of the latest version name, once."""
    version = collection.head().version
    frames = content(collection, "frames", version)
    labels = content(collection, "labels", version)
    schema = frames.collect_schema()
    parts = [
        *_of_frames(frames, listed="sensors" in schema, single="image_url" in schema),
        labels.filter(pl.col("mask_url").is_not_null()).select(
            url="mask_url",
            checksum=pl.lit(None, dtype=pl.String),
            table=pl.lit("labels"),
            named_by=pl.format("{} / {}", "frame_id", "label_id"),
        ),
    ]
    rows = pl.concat([pl.DataFrame(schema=_MEDIUM_SCHEMA), *collect_all(parts)])
    media = rows.group_by("url", "checksum", "table").agg("named_by")
    # Sorted, so that problems come in the same order every time.
    by_url = media.sort("table", "url", "checksum")
    return [_Medium(**row) for row in by_url.iter_rows(named=True)]


def _of_frames(
    frames: pl.LazyFrame, *, listed: bool, single: bool
) -> Iterator[pl.LazyFrame]:
    columns = {"table": pl.lit("frames"), "named_by": pl.col("frame_id")}
    if listed:
        sensors = (
            frames.filter(pl.col("sensors").is_not_null())
            .select("frame_id", pl.col("sensors"))
            .explode("sensors")
        )
        fields = pl.col("sensors").struct
        for name in _FIELDS:
            yield sensors.filter(fields.field(name).is_not_null()).select(
                url=fields.field(name),
                # The checksum of a sensor is that of its one medium.
                checksum=fields.field("checksum")
                if name != "preview_url"
                else pl.lit(None, dtype=pl.String),
                **columns,
            )
    if single:
        is_single = pl.col("image_url").is_not_null()
        if listed:
            is_single &= pl.col("sensors").is_null()
        null = pl.lit(None, dtype=pl.String)
        yield frames.filter(is_single).select(url="image_url", checksum=null, **columns)


def _problem_of(media: Media, medium: _Medium) -> tuple[str, str, str] | None:
    """Check, message and hint of the problem of a medium; None if it has none."""
    place = media.url(medium.url)
    try:
        if medium.checksum is None:
            if media.exists(medium.url):
                return None
            return _missing(place)
        checksum = media.checksum(medium.url, medium.checksum.partition(":")[0])
    except NotFoundError:
        return _missing(place)
    except LakehouseError as error:
        hint = "Mend it or the permissions, and verify again."
        return "media.unreadable", str(error), hint
    if checksum == medium.checksum.lower():
        return None
    message = (
        f"The medium at {place} comes to {checksum}, not {medium.checksum}: it changed."
    )
    return "media.changed", message, "Put back what was there, or modify the frame."


def _missing(place: str) -> tuple[str, str, str]:
    hint = "Put it there, set connect(media_root=…), or correct the frame."
    return "media.missing", f"There is no medium at {place}.", hint


def _report_problem(
    collection: Collection,
    medium: _Medium,
    problem: tuple[str, str, str],
    report: Report,
) -> None:
    check, message, hint = problem
    names = ", ".join(sorted(medium.named_by)[:_SHOWN])
    more = len(medium.named_by) - _SHOWN
    by = f"{names} and {more} more" if more > 0 else names
    report.add(
        check,
        f"{message} It is named by {by}.",
        hint,
        version=collection.head().content_version,
        table=medium.table,
        file=medium.url,
    )
