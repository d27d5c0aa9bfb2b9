"""Every order in which actors may step, a power cut at every point: all worlds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from tests.stateful.protocol.actors import Actor, Bugs
from tests.stateful.protocol.world import World, violation


@dataclass(frozen=True)
class Result:
    """What an exploration came to."""

    worlds: int
    """How many different worlds were reached."""
    violation: str | None
    """The first promise that was broken, if any."""
    path: tuple[str, ...] = ()
    """The steps that lead there."""


def explore(actors: Sequence[Actor], bugs: Bugs = frozenset()) -> Result:
    """Reach every world by every order of steps, and hold the promises in each.

    A crash needs no step of its own: an actor that never steps again has crashed,
    and every world is also judged as the last one.

    Args:
        actors: Who acts.
        bugs: What they leave out.
    """
    first = World(locals=tuple(actor.start for actor in actors))
    parents: dict[World, tuple[World, str] | None] = {first: None}
    judged: set[World] = set()
    waiting = [first]
    while waiting:
        world = waiting.pop()
        for label, end in endings(world):
            bare = replace(end, locals=())
            if bare in judged:
                continue
            judged.add(bare)
            broken = violation(bare)
            if broken is not None:
                return Result(len(parents), broken, (*path(parents, world), label))
        for label, after in following(world, actors, bugs):
            if after not in parents:
                parents[after] = (world, label)
                waiting.append(after)
    return Result(len(parents), None)


def endings(world: World) -> Iterator[tuple[str, World]]:
    """The world if everybody crashes now, and what a power cut leaves of it."""
    yield "everybody crashes", world
    for dark in world.after_power_cut():
        yield "the power is cut", dark


def following(
    world: World, actors: Sequence[Actor], bugs: Bugs
) -> Iterator[tuple[str, World]]:
    """The worlds after one step of one actor."""
    for place, actor in enumerate(actors):
        local = world.locals[place]
        for after, state in actor.steps(world, local, bugs):
            states = (*world.locals[:place], state, *world.locals[place + 1 :])
            at = getattr(local, "at", None) or str(local)
            yield f"{actor.name}: {at}", replace(after, locals=states)


def path(
    parents: dict[World, tuple[World, str] | None], world: World
) -> tuple[str, ...]:
    """The steps from the first world to this one."""
    steps: list[str] = []
    step = parents[world]
    while step is not None:
        world, label = step
        steps.append(label)
        step = parents[world]
    return tuple(reversed(steps))
