"""Work measured in a process of its own: seconds, peak memory, bytes written."""

import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

__all__ = ["Measured", "Timer", "apart", "size_of"]


@dataclass(slots=True)
class Measured:
    """What one piece of work cost."""

    seconds: list[float] = field(default_factory=list[float])
    peak_gib: float = 0.0
    """Of the process, with all that it had loaded."""
    written: int = 0
    """Bytes that came to the folder."""
    checksum: tuple[int, int] = (0, 0)

    def and_then(self, other: "Measured") -> "Measured":
        """The same work done once more: its time beside the earlier ones."""
        return replace(other, seconds=self.seconds + other.seconds)

    @property
    def best(self) -> float:
        """The shortest time: what the machine's other work did not disturb."""
        return min(self.seconds)

    @property
    def median(self) -> float:
        """The middle time."""
        return statistics.median(self.seconds)


class Timer:
    """Collects the seconds of the blocks it is around."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    @contextmanager
    def __call__(self) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.seconds.append(time.perf_counter() - started)


def apart(
    work: Callable[..., Measured], *args: Any, cache: Path | None = None
) -> Measured:
    """Run work in a fresh process, and tell its peak memory too.

    Args:
        work: A function of a module.
        *args: What it gets.
        cache: The folder of key indexes that the process is to use.
    """
    context = multiprocessing.get_context("spawn")
    if cache is not None:
        os.environ["LAKEHOUSE_CACHE"] = str(cache)
    with context.Pool(1) as pool:
        return pool.apply(_with_peak, (work, args))


def _with_peak(work: Callable[..., Measured], args: tuple[Any, ...]) -> Measured:
    measured = work(*args)
    # Not getrusage: its peak is that of the process that started this one, too.
    told = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    (peak,) = [line.split()[1] for line in told if line.startswith("VmHWM:")]
    measured.peak_gib = int(peak) / 1024**2
    return measured


def size_of(folder: Path) -> int:
    """Bytes on the disk below a folder; a file of two names counts once."""
    seen = {
        (told.st_ino): told.st_size
        for path in folder.rglob("*")
        if path.is_file()
        for told in [path.stat()]
    }
    return sum(seen.values())
