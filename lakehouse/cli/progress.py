"""A progress bar for long work: on a terminal, and never in a pipe."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from lakehouse.progress import Tell

__all__ = ["progress_bar"]

_WHAT: Final = TextColumn("{task.description}")


@contextmanager
def progress_bar(console: Console | None = None) -> Generator[Tell]:
    """A function that shows how much of which stage is done.

    Args:
        console: Where; the terminal behind standard error when left out.
    """
    place = Console(stderr=True) if console is None else console
    columns = (_WHAT, BarColumn(), TimeRemainingColumn())
    with Progress(
        *columns, console=place, transient=True, disable=not place.is_terminal
    ) as progress:
        tasks: dict[str, TaskID] = {}

        def tell(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = progress.add_task(stage, total=None)
            # Until the first of them is done, the bar only says that it is at work.
            progress.update(tasks[stage], completed=done, total=total if done else None)

        yield tell
