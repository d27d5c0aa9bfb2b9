"""The README's Python runs, in order, and prints what it says."""

import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lakehouse.cli import app

README = Path(__file__).parents[2] / "README.md"


def blocks() -> list[str]:
    return re.findall(
        r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL
    )


def test_the_python_examples_print_what_they_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    found = blocks()
    assert len(found) >= 3

    for block in found:
        scope: dict[str, Any] = {}
        exec(compile(block, str(README), "exec"), scope)
        said = re.findall(r"^\s*#> (.*)$", block, re.MULTILINE)
        printed = capsys.readouterr().out.splitlines()
        assert [line.strip() for line in printed][: len(said)] == said or not said


def test_the_commands_are_there() -> None:
    text = README.read_text(encoding="utf-8")
    named = re.findall(r"^lakehouse ((?:[a-z]+ ?){1,2})", text, re.MULTILINE)
    assert len(named) >= 8
    for line in named:
        words = line.split()
        for length in (1, len(words)):
            result = CliRunner().invoke(app, [*words[:length], "--help"])
            if result.exit_code == 0:
                break
        assert result.exit_code == 0, line
