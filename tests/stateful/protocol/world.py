"""A lake's folder as the protocol sees it: what is visible, and what is durable.

One frame is enough: every upload writes that frame, so all uploads overlap, and the
rows of a version are those of the last upload that it settled.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from typing import NamedTuple


class Upload(NamedTuple):
    """One submit call's content."""

    id: str
    content: str
    """Stands for the hash of its rows."""


class Staged(NamedTuple):
    """A manifest in staging, with its parts."""

    order: int
    upload: Upload


class DataFile(NamedTuple):
    """A live data file, as an entry names it."""

    name: str
    rows: frozenset[Upload]
    """The uploads whose row of the frame it holds."""
    dead: frozenset[Upload]
    """Rows that the entry's deletion vector marks dead."""


class Entry(NamedTuple):
    """A ledger entry."""

    kind: str
    """`merge`, `compact` or `collect`."""
    commit: str
    """Whose it is: the actor and its attempt."""
    settled: tuple[Upload, ...]
    live: frozenset[DataFile]
    """All data files of the version."""


@dataclass(frozen=True, slots=True)
class World:
    """Everything that lies in the folder, and everything that was promised."""

    ledger: tuple[Entry, ...] = ()
    flushed_entries: frozenset[int] = frozenset()
    files: frozenset[str] = frozenset()
    flushed_files: frozenset[str] = frozenset()
    staging: frozenset[Staged] = frozenset()
    flushed_staging: frozenset[Staged] = frozenset()
    answers: frozenset[tuple[Upload, str]] = frozenset()
    """Uploads answered DONE, PENDING, FAILED, or ID TAKEN: failed, kept and shown."""
    earlier: frozenset[tuple[Upload, Upload]] = frozenset()
    """Pairs: the first was answered before the second's call began."""
    leases: frozenset[tuple[str, int]] = frozenset()
    """Readers, each with the number of the entry whose files it reads."""
    misread: str = ""
    """What a reader missed, if anything."""
    stray: bool = False
    """Whether an entry stands behind one that is lost."""
    locals: tuple[object, ...] = ()
    """The state of each actor."""
    is_dark: bool = False
    """Whether the power was cut: nobody acts any more."""

    @property
    def head(self) -> Entry | None:
        """The newest entry."""
        return self.ledger[-1] if self.ledger else None

    @property
    def live(self) -> frozenset[DataFile]:
        """The files of the newest version."""
        return self.ledger[-1].live if self.ledger else frozenset()

    def settled(self, upload_id: str, before: int | None = None) -> Upload | None:
        """The upload of that id that the entries before number `before` settled."""
        for entry in self.ledger[:before]:
            for upload in entry.settled:
                if upload.id == upload_id:
                    return upload
        return None

    def staged(self, upload_id: str) -> Staged | None:
        """The manifest of that id."""
        return next((s for s in self.staging if s.upload.id == upload_id), None)

    def flush_ledger(self) -> "World":
        """Make the names of all entries durable."""
        return replace(self, flushed_entries=frozenset(range(len(self.ledger))))

    def flush_file(self, name: str) -> "World":
        """Make a data file durable, if it is there."""
        if name not in self.files:
            return self
        return replace(self, flushed_files=self.flushed_files | {name})

    def answer(self, upload: Upload, status: str) -> "World":
        """Tell the caller how the upload stands."""
        return replace(self, answers=self.answers | {(upload, status)})

    def put_entry(self, entry: Entry) -> "World":
        """Append an entry."""
        return replace(self, ledger=(*self.ledger, entry))

    def write_file(self, name: str) -> "World":
        """Write a data file; it is visible, and not durable."""
        return replace(self, files=self.files | {name})

    def stage(self, staged: Staged) -> "World":
        """Put a manifest; it is visible, and not durable."""
        return replace(self, staging=self.staging | {staged})

    def unstage(self, staged: Staged) -> "World":
        """Delete a manifest and its parts."""
        return replace(
            self,
            staging=self.staging - {staged},
            flushed_staging=self.flushed_staging - {staged},
        )

    def begin(self, upload: Upload) -> "World":
        """Note which uploads were answered before this one's call began."""
        pairs = {(done, upload) for done, _ in self.answers if done.id != upload.id}
        return replace(self, earlier=self.earlier | pairs)

    def after_power_cut(self) -> Iterator["World"]:
        """What may lie there when power is back.

        What was not flushed is lost, but for entries: each of those may have
        survived, since a file system may keep a later name and lose an earlier one.
        """
        loose = [n for n in range(len(self.ledger)) if n not in self.flushed_entries]
        for count in range(len(loose) + 1):
            for lost in combinations(loose, count):
                # A reader stops at a gap: what lies behind one is gone too.
                end = min(lost, default=len(self.ledger))
                stands = set(range(end, len(self.ledger))) - set(lost)
                yield replace(
                    self,
                    ledger=self.ledger[:end],
                    files=self.flushed_files,
                    staging=self.flushed_staging,
                    stray=bool(stands),
                    is_dark=True,
                )


def applied(world: World, upload: Upload, name: str) -> frozenset[DataFile]:
    """The live files once an upload's row replaced whatever row there was."""
    older = {
        DataFile(file.name, file.rows, file.rows) for file in world.live if file.rows
    }
    return frozenset(older | {DataFile(name, frozenset({upload}), frozenset())})


def rows(live: frozenset[DataFile]) -> list[Upload]:
    """The rows of the frame that a reader sees: one, or something is wrong."""
    return [upload for file in live for upload in file.rows - file.dead]


def recovered(world: World) -> World:
    """The world after a merger alone settled everything that waits."""
    for staged in sorted(world.staging):
        if world.settled(staged.upload.id) is None:
            name = f"recovery-{staged.upload.id}"
            entry = Entry(
                "merge", name, (staged.upload,), applied(world, staged.upload, name)
            )
            world = world.write_file(name).put_entry(entry)
    return world


def violation(world: World) -> str | None:
    """What was promised and is not so, once everything that waits is merged."""
    if world.misread:
        return world.misread
    if world.stray:
        # Whoever fills the gap would find this entry as its successor.
        return "an entry stands behind one that is lost"
    world = recovered(world)
    settled = [upload for entry in world.ledger for upload in entry.settled]
    if len({upload.id for upload in settled}) < len(settled):
        return "an upload was applied twice"
    return (
        _broken_answer(world, settled)
        or _broken_order(world, settled)
        or _broken_content(world, settled)
    )


def _broken_answer(world: World, settled: list[Upload]) -> str | None:
    for upload, status in sorted(world.answers):
        named = f"{upload.id}/{upload.content} was answered {status}"
        if status in {"DONE", "PENDING"} and upload not in settled:
            return f"{named} and is lost"
        if status in {"FAILED", "ID TAKEN"} and upload in settled:
            return f"{named} and landed"
        if status == "ID TAKEN" and world.staged(upload.id) is None:
            return f"{named} and is not shown"
    return None


def _broken_order(world: World, settled: list[Upload]) -> str | None:
    for first, second in sorted(world.earlier):
        if not {first, second} <= set(settled):
            continue
        if settled.index(first) > settled.index(second):
            return f"{second.id} overtook {first.id}"
    return None


def _broken_content(world: World, settled: list[Upload]) -> str | None:
    missing = {file.name for file in world.live} - world.files
    if missing:
        return f"the newest version names {min(missing)}, which is not there"
    seen = rows(world.live)
    if seen != settled[-1:]:
        return f"a reader sees {seen}, and the last upload is {settled[-1:]}"
    return None
