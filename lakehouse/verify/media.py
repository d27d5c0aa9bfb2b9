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
from lakehouse.verify.report import Findings

_AT_ONCE: Final = 16
_SHOWN: Final = 3
_FIELDS: Final = tuple(name for name in URL_FIELDS if name != "text")
_FOUND: Final = pl.Schema(
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


def check_media(collection: Collection, findings: Findings, progress: Progress) -> None:
    """Tell which media of the latest version are missing, or have changed.

    Args:
        collection: Whose frames and labels.
        findings: Where problems are noted.
        progress: Told how far it is.
    """
    wanted = _named(collection)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        judged = pool.map(lambda medium: _judge(collection.media, medium), wanted)
        for done, (medium, fault) in enumerate(zip(wanted, judged, strict=True)):
            progress("media", done + 1, len(wanted))
            if fault is not None:
                _tell(collection, medium, fault, findings)
    findings.counts["media"] = len(wanted)


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
    found = pl.concat([pl.DataFrame(schema=_FOUND), *collect_all(parts)])
    together = found.group_by("url", "checksum", "table").agg("named_by")
    rows = together.sort("table", "url", "checksum").iter_rows(named=True)
    return [_Medium(**row) for row in rows]


def _of_frames(
    frames: pl.LazyFrame, *, listed: bool, single: bool
) -> Iterator[pl.LazyFrame]:
    told = {"table": pl.lit("frames"), "named_by": pl.col("frame_id")}
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
                **told,
            )
    if single:
        alone = pl.col("image_url").is_not_null()
        if listed:
            alone &= pl.col("sensors").is_null()
        null = pl.lit(None, dtype=pl.String)
        yield frames.filter(alone).select(url="image_url", checksum=null, **told)


def _judge(media: Media, medium: _Medium) -> tuple[str, str, str] | None:
    """Check, message and hint of what is wrong with a medium; None if nothing is."""
    place = media.url(medium.url)
    try:
        if medium.checksum is None:
            if media.exists(medium.url):
                return None
            return _missing(place)
        found = media.checksum(medium.url, medium.checksum.partition(":")[0])
    except NotFoundError:
        return _missing(place)
    except LakehouseError as error:
        hint = "Mend it or the permissions, and verify again."
        return "media.unreadable", str(error), hint
    if found == medium.checksum.lower():
        return None
    told = f"The medium at {place} comes to {found}, not {medium.checksum}: it changed."
    return "media.changed", told, "Put back what was there, or modify the frame."


def _missing(place: str) -> tuple[str, str, str]:
    hint = "Put it there, set connect(media_root=…), or correct the frame."
    return "media.missing", f"There is no medium at {place}.", hint


def _tell(
    collection: Collection,
    medium: _Medium,
    fault: tuple[str, str, str],
    findings: Findings,
) -> None:
    check, message, hint = fault
    names = ", ".join(sorted(medium.named_by)[:_SHOWN])
    more = len(medium.named_by) - _SHOWN
    by = f"{names} and {more} more" if more > 0 else names
    findings.add(
        check,
        f"{message} It is named by {by}.",
        hint,
        version=collection.head().content_version,
        table=medium.table,
        file=medium.url,
    )
