"""Results as a table with ratios and verdicts, and as JSON."""

import json
import os
import platform
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.measure import Measured


@dataclass(slots=True)
class Line:
    """One measured value, what it is compared with, and its target."""

    what: str
    value: float
    unit: str
    against: str = ""
    other: float | None = None
    """The value of `against`, in the same unit."""
    target: float | None = None
    """The most that `value`, or its ratio to `other`, should be."""
    note: str = ""

    @property
    def measured(self) -> float:
        """The figure that `target` limits: the ratio, or the value without another."""
        return self.value / self.other if self.other else self.value

    @property
    def is_met(self) -> bool:
        """Whether the target is met; true without one."""
        return self.target is None or self.measured <= self.target


@dataclass(slots=True)
class Report:
    """All lines of a run, and the size of the data."""

    size: str
    lines: list[Line] = field(default_factory=list[Line])

    def beside(
        self, what: str, ours: Measured, rivals: dict[str, tuple[Measured, float]]
    ) -> None:
        """Add a line for each contender, given with the target of the ratio."""
        note = f"{ours.written / 1e6:.1f} MB written, peak {ours.peak_gib:.1f} GiB"
        for name, (rival, target) in rivals.items():
            line = Line(what, ours.best, "s", name, rival.best, target, note)
            self.add(line)

    def add(self, line: Line) -> None:
        """Add a line, and print it at once."""
        self.lines.append(line)
        print(f"{line.what}: {line.value:.4g} {line.unit} {line.against}", flush=True)

    def show(self) -> None:
        """Print the table."""
        table = Table(
            "what",
            "lakehouse",
            "compared with",
            "its value",
            "ratio",
            "target",
            "",
            "note",
            title=self.size,
        )
        for line in self.lines:
            table.add_row(
                line.what,
                f"{line.value:.4g} {line.unit}",
                line.against,
                "" if line.other is None else f"{line.other:.4g} {line.unit}",
                f"{line.measured:.3g}" if line.other else "",
                "" if line.target is None else f"≤ {line.target:.3g}",
                "" if line.target is None else ("met" if line.is_met else "MISSED"),
                line.note,
            )
        Console(width=150).print(table)

    def write(self, path: Path) -> None:
        """Write everything as JSON."""
        content = {
            "size": self.size,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": f"{os.cpu_count()} cores, {platform.system()}",
            "lines": [
                asdict(line) | {"measured": line.measured, "met": line.is_met}
                for line in self.lines
            ],
        }
        path.write_text(json.dumps(content, indent=2), encoding="utf-8")
