"""How the package is laid out, counted from its code, and drawn as a picture.

    python -m tests.surface.house                          the figures
    python -m tests.surface.house --draw docs/house.svg    the picture

A *room* is a folder of the package, or a Python file beside folders in its root;
folders inside a room belong to it. An *arrow* is a pair of rooms with an import
from one to the other, however many imports there are. A *floor* is how far a room
is from the bottom: one more than the highest room that it imports. Comment share
is lines with a comment over lines with code; docstrings are neither.
"""

import argparse
import ast
import html
import io
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PACKAGE: Final = Path(__file__).parents[2] / "lakehouse"

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class House:
    """The rooms of a package and the arrows between them."""

    files: dict[str, list[Path]]
    """The Python files of each room."""
    arrows: frozenset[tuple[str, str]]
    """Pairs of rooms: the first imports the second."""

    @classmethod
    def of(cls, package: Path = PACKAGE) -> "House":
        files: dict[str, list[Path]] = {}
        for path in sorted(package.rglob("*.py")):
            room = path.relative_to(package).parts[0].removesuffix(".py")
            if room != "__init__":
                files.setdefault(room, []).append(path)
        arrows = {
            (room, other)
            for room, paths in files.items()
            for path in paths
            for other in rooms_imported(path, package.name)
            if other != room and other in files
        }
        return cls(files, frozenset(arrows))

    def floors(self) -> dict[str, int]:
        """The floor of each room, 1 at the bottom.

        Raises:
            ValueError: If rooms import each other in a circle.
        """
        floors: dict[str, int] = {}

        def floor_of(room: str, path: tuple[str, ...]) -> int:
            if room in path:
                raise ValueError(f"a circle: {' → '.join([*path, room])}")
            if room not in floors:
                below = [b for a, b in self.arrows if a == room]
                heights = [floor_of(other, (*path, room)) for other in below]
                floors[room] = 1 + max(heights, default=0)
            return floors[room]

        for room in self.files:
            floor_of(room, ())
        return floors


def rooms_imported(path: Path, package: str) -> Iterator[str]:
    """The rooms that a file imports, also inside functions and for types alone."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
            if node.module == package:
                names = [f"{package}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            first, _, rest = name.partition(".")
            if first == package and rest:
                yield rest.partition(".")[0]


def body_length(function: Function) -> int:
    """Lines of a function's body, without its docstring."""
    body = function.body[bool(ast.get_docstring(function)) :]
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def functions(path: Path) -> Iterator[Function]:
    """Every function and method of a file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, Function):
            yield node


def comment_and_code_lines(path: Path) -> tuple[int, int]:
    """How many lines of a file have a comment, and how many have code."""
    text = path.read_text(encoding="utf-8")
    ignored = {tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    comments: set[int] = set()
    code: set[int] = set()
    docstrings = docstring_lines(ast.parse(text))
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        lines = range(token.start[0], token.end[0] + 1)
        if token.type == tokenize.COMMENT:
            # What only tells a tool something explains nothing to a reader.
            if not token.string.startswith(("# noqa", "# type:", "# fmt:", "# ---")):
                comments.add(token.start[0])
        elif token.type not in ignored and token.type != tokenize.ENDMARKER:
            code.update(lines)
    return len(comments), len(code - docstrings)


def docstring_lines(tree: ast.Module) -> set[int]:
    """The lines of texts that stand alone: docstrings of all kinds."""
    return {
        line
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }


def figures(package: Path = PACKAGE) -> dict[str, float]:
    """What is counted of the package, by name."""
    house = House.of(package)
    paths = sorted(package.rglob("*.py"))
    counted = [comment_and_code_lines(path) for path in paths]
    sizes = [path.read_text(encoding="utf-8").count("\n") for path in paths]
    return {
        "files in the root": len(list(package.glob("*.py"))),
        "rooms": len(house.files),
        "floors": max(house.floors().values()),
        "arrows": len(house.arrows),
        "files": len(paths),
        "lines": sum(sizes),
        "longest file": max(sizes),
        "longest body": max(body_length(f) for path in paths for f in functions(path)),
        "most files in a folder": max(
            len(list(folder.glob("*.py"))) for folder in {path.parent for path in paths}
        ),
        "comment share in %": round(
            100 * sum(c for c, _ in counted) / sum(code for _, code in counted), 2
        ),
    }


# --------------------------------- THE PICTURE -------------------------------- #

_WIDTH: Final = 1180
_ROW: Final = 84
_BOX: Final = (118, 40)
_FRAME: Final = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1180 {height}" \
font-family="system-ui, sans-serif" font-size="14">
<title>The rooms of the package, and what imports what</title>
<rect width="1180" height="{height}" fill="#ffffff"/>
{parts}
</svg>
"""


def picture(house: House) -> str:
    """The rooms on their floors, the arrows between them, as SVG."""
    floors = house.floors()
    top = max(floors.values())
    centres = {
        room: (x, 40 + (top - floor) * _ROW)
        for floor in range(1, top + 1)
        for room, x in _spread(sorted(r for r, at in floors.items() if at == floor))
    }
    lines = [
        _arrow(centres[source], centres[target], floors[source] - floors[target])
        for source, target in sorted(house.arrows)
    ]
    boxes = [_box(room, *at) for room, at in centres.items()]
    return _FRAME.format(height=top * _ROW, parts="\n".join([*lines, *boxes]))


def _arrow(start: tuple[int, int], end: tuple[int, int], floors: int) -> str:
    # Arrows to the next floor are drawn strongly: they are what to follow.
    colour, width = ("#4a6fa5", 1.4) if floors == 1 else ("#c9d3e0", 0.8)
    (x1, y1), (x2, y2) = start, end
    half = _BOX[1] // 2
    place = f'x1="{x1}" y1="{y1 + half}" x2="{x2}" y2="{y2 - half}"'
    return f'<line {place} stroke="{colour}" stroke-width="{width}"/>'


def _box(room: str, x: int, y: int) -> str:
    width, height = _BOX
    place = f'x="{x - width // 2}" y="{y - height // 2}"'
    return (
        f'<rect {place} width="{width}" height="{height}" rx="6" fill="#eef3fa" '
        'stroke="#4a6fa5"/>'
        f'<text x="{x}" y="{y + 5}" text-anchor="middle">{html.escape(room)}</text>'
    )


def _spread(rooms: list[str]) -> list[tuple[str, int]]:
    step = _WIDTH / (len(rooms) + 1)
    return [(room, round(step * (place + 1))) for place, room in enumerate(rooms)]


def main() -> None:
    parser = argparse.ArgumentParser(description="Count or draw the package's layout.")
    parser.add_argument("--draw", type=Path, help="Write the picture as SVG here.")
    chosen = parser.parse_args()
    if chosen.draw:
        chosen.draw.write_text(picture(House.of()), encoding="utf-8")
        return
    for name, value in figures().items():
        print(f"{name:24} {value:,}")


if __name__ == "__main__":
    main()
