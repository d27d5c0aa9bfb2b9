"""Who acts on a lake's folder, step by step; between any two steps others may act.

Each actor yields the worlds that its next step may lead to. What it rests on is
said where it is done; `Bug` names what goes wrong if it is left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import NamedTuple, Protocol

from tests.stateful.protocol.world import (
    DataFile,
    Entry,
    Staged,
    Upload,
    World,
    applied,
)


class Bug(Enum):
    """What an implementation may leave out."""

    DATA_NOT_FLUSHED = auto()
    """Data files are not durable when the entry that names them is put."""
    LEDGER_NOT_FLUSHED_BEFORE_PUT = auto()
    """Entry N may be lost while N+1 stands."""
    ANSWERED_BEFORE_FLUSH = auto()
    """DONE is answered while the entry's name is not durable."""
    MANIFEST_NOT_FLUSHED = auto()
    """PENDING is answered while the manifest is not durable."""
    ANSWERED_ON_OTHERS_ENTRY = auto()
    """An entry that another process put is taken as durable."""
    SWEPT_BEFORE_FLUSH = auto()
    """Staging is swept while the entry that settled it is not durable."""
    SETTLED_ASKED_ONCE = auto()
    """Whether the id is settled is not asked again after a lost race."""
    NO_CLAIM = auto()
    """A caller's own id is not claimed before the inline put."""
    NO_LOOK_AFTER_MANIFEST = auto()
    """A stager does not look at the ledger again once its manifest lies there."""
    SWEPT_BY_ID = auto()
    """Sweeping does not compare the content."""
    PUT_OVERWRITES = auto()
    """An entry is put although one of that number is there."""
    LOST_ANSWER_IS_FAILURE = auto()
    """A put whose answer was lost is reported as failed without reading back."""
    COLLECT_IGNORED = auto()
    """Files not yet named are used although a collect entry came between."""
    CANDIDATES_AFTER_ENTRY = auto()
    """What to delete is listed after the collect entry."""
    INPUTS_NOT_COMPARED = auto()
    """A compaction keeps its file though its inputs lost rows meanwhile."""
    WAITING_IGNORED = auto()
    """An inline upload goes past one that waits and touches the same frame."""
    MERGED_OUT_OF_ORDER = auto()
    """A merger takes the newest upload first."""
    LEASES_BEFORE_ENTRY = auto()
    """A collector looks at leases before its entry stands."""
    READ_BEFORE_LEASE = auto()
    """A reader looks at the ledger before its lease stands."""
    CREATED_BEHIND_THE_VISIBLE = auto()
    """A new order may be earlier than one that is visible."""


Bugs = frozenset[Bug]
Step = tuple[World, object]


class Actor(Protocol):
    """One process."""

    @property
    def name(self) -> str:
        """What it is called in a path of steps."""
        ...

    @property
    def start(self) -> object:
        """Its state before its first step."""
        ...

    def steps(self, world: World, local: object, bugs: Bugs) -> Iterator[Step]:
        """The worlds that its next step may lead to, each with its new state."""
        ...


MAX_TRIES = 3
END = ("end",)


class Try(NamedTuple):
    """Where a process that puts an entry stands."""

    at: str
    base: int = 0
    """The number of the entry that it plans."""
    name: str = ""
    """Its data file."""
    tries: int = 0
    staged: tuple[Staged, ...] = ()
    was_asked: bool = False


def put(world: World, entry: Entry, number: int, bugs: Bugs) -> World | None:
    """The world once the entry is put; None if another is there."""
    if number == len(world.ledger):
        return world.put_entry(entry)
    if Bug.PUT_OVERWRITES in bugs:
        ledger = (*world.ledger[:number], entry, *world.ledger[number + 1 :])
        return replace(world, ledger=ledger)
    return None


def collected_since(world: World, number: int) -> bool:
    """Whether a collect entry lies at that number or behind it."""
    return any(entry.kind == "collect" for entry in world.ledger[number:])


def flushed_before_put(world: World, name: str, bugs: Bugs) -> World:
    """Round 1: data files and the ledger's folder, side by side."""
    if Bug.DATA_NOT_FLUSHED not in bugs:
        world = world.flush_file(name)
    if Bug.LEDGER_NOT_FLUSHED_BEFORE_PUT not in bugs:
        world = world.flush_ledger()
    return world


@dataclass(frozen=True)
class Writer:
    """One submit call; `inline` merges at once, others leave it to a merger."""

    name: str
    upload: Upload
    inline: bool = True
    own_id: bool = False
    """Whether the caller chose the id, so that another process may use it too."""

    start = Try("list")

    def steps(self, world: World, local: object, bugs: Bugs) -> Iterator[Step]:  # noqa: C901, PLR0912 - a case a step
        if not isinstance(local, Try):
            return
        match local.at:
            case "list":
                seen = tuple(sorted(world.staging))
                world = world.begin(self.upload)
                at = "claim" if self.own_id or not self.inline else "head"
                yield world, local._replace(at=at, staged=seen)
            case "claim":
                yield from self._claim(world, local, bugs)
            case "manifest flush":
                if Bug.MANIFEST_NOT_FLUSHED not in bugs:
                    world = replace(world, flushed_staging=world.staging)
                looks = self.own_id and Bug.NO_LOOK_AFTER_MANIFEST not in bugs
                yield world, local._replace(at="look again" if looks else "pending")
            case "look again":
                other = world.settled(self.upload.id)
                taken = other is not None and other != self.upload
                if taken:
                    yield world.answer(self.upload, "ID TAKEN"), END
                else:
                    yield world, local._replace(at="pending")
            case "pending":
                yield world.answer(self.upload, "PENDING"), END
            case "head":
                yield from self._head(world, local, bugs)
            case "write":
                yield world.write_file(local.name), local._replace(at="flush")
            case "flush":
                world = flushed_before_put(world, local.name, bugs)
                yield world, local._replace(at="put")
            case "put":
                yield from self._put(world, local, bugs)
            case "read back":
                own = f"{self.name}-{local.base}"
                landed = (
                    local.base < len(world.ledger)
                    and world.ledger[local.base].commit == own
                )
                yield world, local._replace(at="settled") if landed else lost(local)
            case "settled":
                if Bug.ANSWERED_BEFORE_FLUSH not in bugs:
                    world = world.flush_ledger()
                yield world, local._replace(at="done")
            case "found settled":
                if Bug.ANSWERED_ON_OTHERS_ENTRY not in bugs:
                    world = world.flush_ledger()
                yield world, local._replace(at="done")
            case "done":
                yield world.answer(self.upload, "DONE"), END

    def _claim(self, world: World, local: Try, bugs: Bugs) -> Iterator[Step]:
        if self.inline and Bug.NO_CLAIM in bugs:
            yield world, local._replace(at="head")
            return
        other = world.staged(self.upload.id)
        if other is not None:
            # The same rows are the same upload; others are refused.
            same = other.upload == self.upload
            at = "head" if self.inline else "manifest flush"
            yield world, local._replace(at=at) if same else END
            return
        # A list made now: later than every order that is visible.
        orders = [one.order for one in world.staging]
        order = max(orders, default=0) + 1
        if Bug.CREATED_BEHIND_THE_VISIBLE in bugs:
            order = min(orders, default=2) - 1
        world = world.stage(Staged(order, self.upload))
        yield world, local._replace(at="head" if self.inline else "manifest flush")

    def _head(self, world: World, local: Try, bugs: Bugs) -> Iterator[Step]:
        number = len(world.ledger)
        known = None
        if not (Bug.SETTLED_ASKED_ONCE in bugs and local.was_asked):
            known = world.settled(self.upload.id)
        if known is not None:
            same = known == self.upload
            yield world, local._replace(at="found settled") if same else END
            return
        waiting = [
            one
            for one in local.staged
            if one.upload.id != self.upload.id and world.settled(one.upload.id) is None
        ]
        if waiting and Bug.WAITING_IGNORED not in bugs:
            at = "manifest flush" if world.staged(self.upload.id) else "claim"
            staged = replace_inline(self)
            yield from (
                [(world, local._replace(at=at))]
                if at == "manifest flush"
                else staged._claim(world, local, bugs)
            )
            return
        # A file that nobody named yet may be on a collector's list.
        fresh = not local.name or (
            collected_since(world, local.base) and Bug.COLLECT_IGNORED not in bugs
        )
        name = f"{self.name}-{local.tries}" if fresh else local.name
        at = "write" if fresh else "flush"
        yield world, local._replace(at=at, base=number, name=name, was_asked=True)

    def _put(self, world: World, local: Try, bugs: Bugs) -> Iterator[Step]:
        after = replace(world, ledger=world.ledger[: local.base])
        live = applied(after, self.upload, local.name)
        entry = Entry("merge", f"{self.name}-{local.base}", (self.upload,), live)
        landed = put(world, entry, local.base, bugs)
        if landed is None:
            yield world, lost(local)
            return
        yield landed, local._replace(at="settled")
        if Bug.LOST_ANSWER_IS_FAILURE in bugs:
            yield landed.answer(self.upload, "FAILED"), END
        else:
            yield landed, local._replace(at="read back")


def replace_inline(writer: Writer) -> Writer:
    """The same call, staging its upload."""
    return replace(writer, inline=False)


def lost(local: Try) -> Try | tuple[str]:
    """After a lost race: plan again, or give up."""
    if local.tries + 1 >= MAX_TRIES:
        return END
    return local._replace(at="head", tries=local.tries + 1)


@dataclass(frozen=True)
class Merger:
    """Merges what is staged, one upload an entry, and sweeps what is settled."""

    name: str = "merger"
    start = Try("list")

    def steps(self, world: World, local: object, bugs: Bugs) -> Iterator[Step]:  # noqa: C901 - a case a step
        if not isinstance(local, Try):
            return
        match local.at:
            case "list":
                waiting = tuple(sorted(world.staging))
                if Bug.MERGED_OUT_OF_ORDER in bugs:
                    waiting = waiting[::-1]
                yield world, local._replace(at="head", staged=waiting)
            case "head":
                # Each is asked for at the very head that is built on.
                asked = Bug.SETTLED_ASKED_ONCE in bugs and local.was_asked
                left = tuple(
                    one
                    for one in local.staged
                    if asked or world.settled(one.upload.id) is None
                )
                if not left:
                    yield world, local._replace(at="sweep flush")
                    return
                fresh = not local.name or (
                    collected_since(world, local.base)
                    and Bug.COLLECT_IGNORED not in bugs
                )
                name = f"{self.name}-{local.tries}" if fresh else local.name
                yield (
                    world,
                    local._replace(
                        at="write" if fresh else "flush",
                        base=len(world.ledger),
                        name=name,
                        was_asked=True,
                    ),
                )
            case "write":
                yield world.write_file(local.name), local._replace(at="flush")
            case "flush":
                world = flushed_before_put(world, local.name, bugs)
                yield world, local._replace(at="put")
            case "put":
                yield from self._put(world, local, bugs)
            case "sweep flush":
                if Bug.SWEPT_BEFORE_FLUSH not in bugs:
                    world = world.flush_ledger()
                yield world, local._replace(at="sweep")
            case "sweep":
                yield swept(world, local.staged, bugs), END

    def _put(self, world: World, local: Try, bugs: Bugs) -> Iterator[Step]:
        after = replace(world, ledger=world.ledger[: local.base])
        first = next(
            (
                one
                for one in local.staged
                if after.settled(one.upload.id) is None
                or Bug.SETTLED_ASKED_ONCE in bugs
            ),
            None,
        )
        if first is None:
            yield world, local._replace(at="sweep flush")
            return
        live = applied(after, first.upload, local.name)
        entry = Entry("merge", f"{self.name}-{local.base}", (first.upload,), live)
        landed = put(world, entry, local.base, bugs)
        if landed is None:
            yield world, lost(local)
        else:
            rest = tuple(one for one in local.staged if one != first)
            merged = local._replace(
                at="head", name="", tries=local.tries + 1, staged=rest, was_asked=False
            )
            done = local._replace(at="sweep flush", staged=(first,))
            yield landed, merged if rest and local.tries + 1 < MAX_TRIES else done


def swept(world: World, staged: tuple[Staged, ...], bugs: Bugs) -> World:
    """Staging without what is settled, with the same content."""
    for one in staged:
        known = world.settled(one.upload.id)
        if known == one.upload or (known is not None and Bug.SWEPT_BY_ID in bugs):
            world = world.unstage(one)
    return world


@dataclass(frozen=True)
class Sweeper:
    """Deletes from staging what the ledger has settled."""

    name: str = "sweeper"
    start = Try("list")

    def steps(self, world: World, local: object, bugs: Bugs) -> Iterator[Step]:
        if not isinstance(local, Try):
            return
        match local.at:
            case "list":
                yield (
                    world,
                    local._replace(at="flush", staged=tuple(sorted(world.staging))),
                )
            case "flush":
                if Bug.SWEPT_BEFORE_FLUSH not in bugs:
                    world = world.flush_ledger()
                settled = tuple(
                    one
                    for one in local.staged
                    if (known := world.settled(one.upload.id)) is not None
                    and (known == one.upload or Bug.SWEPT_BY_ID in bugs)
                )
                yield world, local._replace(at="sweep", staged=settled)
            case "sweep":
                yield swept(world, local.staged, bugs), END


class Compaction(NamedTuple):
    """Where a compactor stands."""

    at: str
    base: int = 0
    inputs: frozenset[DataFile] = frozenset()


@dataclass(frozen=True)
class Compactor:
    """Writes the live rows into one file; keeps it if its inputs still stand."""

    name: str = "compactor"
    start = Compaction("head")

    def steps(self, world: World, local: object, bugs: Bugs) -> Iterator[Step]:
        if not isinstance(local, Compaction):
            return
        match local.at:
            case "head":
                if world.live:
                    yield (
                        world,
                        Compaction("write", len(world.ledger), world.live),
                    )
            case "write":
                yield world.write_file(self.name), local._replace(at="flush")
            case "flush":
                world = flushed_before_put(world, self.name, bugs)
                yield world, local._replace(at="put")
            case "put":
                yield from self._put(world, local, bugs)
            case "settled":
                yield world.flush_ledger(), END

    def _put(self, world: World, local: Compaction, bugs: Bugs) -> Iterator[Step]:
        head = world.live
        number = len(world.ledger)
        if number > local.base:
            # Lost a race: the file serves only if every input stands as it was read.
            names = {file.name for file in head}
            stands = local.inputs <= head
            if Bug.INPUTS_NOT_COMPARED in bugs:
                stands = {file.name for file in local.inputs} <= names
            voided = collected_since(world, local.base)
            if Bug.COLLECT_IGNORED in bugs:
                voided = False
            if not stands or voided:
                yield world, END
                return
        alive = frozenset(row for file in local.inputs for row in file.rows - file.dead)
        replaced = {file.name for file in local.inputs}
        kept = {file for file in head if file.name not in replaced}
        live = frozenset(kept | {DataFile(self.name, alive, frozenset())})
        entry = Entry("compact", f"{self.name}-{number}", (), live)
        yield world.flush_ledger().put_entry(entry), local._replace(at="settled")


class Collection(NamedTuple):
    """Where a collector stands."""

    at: str
    base: int = 0
    candidates: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Collector:
    """Deletes files that the newest version does not name."""

    name: str = "collector"
    start = Collection("list")

    def steps(self, world: World, local: object, bugs: Bugs) -> Iterator[Step]:  # noqa: C901 - a case a step
        if not isinstance(local, Collection):
            return
        match local.at:
            case "list":
                named = {file.name for file in world.live}
                candidates = world.files - named
                if Bug.LEASES_BEFORE_ENTRY in bugs:
                    candidates -= leased(world)
                yield world, Collection("flush", len(world.ledger), candidates)
            case "flush":
                yield flushed_before_put(world, "", bugs), local._replace(at="put")
            case "put":
                entry = Entry("collect", f"{self.name}-{local.base}", (), world.live)
                landed = put(world, entry, local.base, frozenset())
                if landed is None:
                    yield world, END
                else:
                    yield landed, local._replace(at="settled")
            case "settled":
                world = world.flush_ledger()
                if Bug.CANDIDATES_AFTER_ENTRY in bugs:
                    named = {file.name for file in world.live}
                    local = local._replace(candidates=world.files - named)
                if Bug.LEASES_BEFORE_ENTRY not in bugs:
                    kept = local.candidates - leased(world)
                    local = local._replace(candidates=kept)
                yield world, local._replace(at="delete")
            case "delete":
                yield (
                    replace(
                        world,
                        files=world.files - local.candidates,
                        flushed_files=world.flushed_files - local.candidates,
                    ),
                    END,
                )


def leased(world: World) -> frozenset[str]:
    """The files of the entries that somebody reads."""
    return frozenset(
        file.name
        for _, number in world.leases
        if number < len(world.ledger)
        for file in world.ledger[number].live
    )


@dataclass(frozen=True)
class Reader:
    """Reads the files of the first version, however new the newest is.

    A version that a collect entry closed is read from the change log instead, which
    is never collected: that is no step of its own here.
    """

    name: str = "reader"
    start = ("start",)

    def steps(self, world: World, local: object, bugs: Bugs) -> Iterator[Step]:
        if not world.ledger:
            return
        # The lease stands before the ledger is read, so that a collector either
        # finds it, or has closed the version where the reader looks.
        order = ["lease", "look", "read"]
        if Bug.READ_BEFORE_LEASE in bugs:
            order = ["look", "lease", "read"]
        match local:
            case ("start",):
                yield world, (order[0],)
            case ("lease",):
                leases = world.leases | {(self.name, 0)}
                yield replace(world, leases=leases), (order[order.index("lease") + 1],)
            case ("look",):
                closed = collected_since(world, 1)
                after = (order[order.index("look") + 1],)
                yield world, END if closed else after
            case ("read",):
                named = {file.name for file in world.ledger[0].live}
                missing = sorted(named - world.files)
                if missing:
                    world = replace(world, misread=f"a reader misses {missing[0]}")
                yield world, END
            case _:
                pass
