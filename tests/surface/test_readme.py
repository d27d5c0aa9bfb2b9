"""The README is true: its Python runs and prints what it says, its commands exist."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from pytest_examples import CodeExample, EvalExample, find_examples
from typer.main import get_command

from lakehouse.cli import app

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"


def python_examples() -> list[CodeExample]:
    return [example for example in find_examples(README) if example.prefix == "python"]


def test_the_python_examples_print_what_they_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, eval_example: EvalExample
) -> None:
    # One test for all: each example reads the lake that the one before wrote.
    monkeypatch.chdir(tmp_path)
    examples = python_examples()
    assert len(examples) >= 3

    for example in examples:
        if eval_example.update_examples:
            eval_example.run_print_update(example)
        else:
            eval_example.run_print_check(example)


def test_the_commands_and_their_options_are_there() -> None:
    lines = re.findall(
        r"^lakehouse (.+)", README.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert len(lines) >= 8

    for line in lines:
        command: Any = get_command(app)
        words = shlex.split(line)
        while hasattr(command, "commands"):
            command = command.commands[words.pop(0)]
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("-")} <= known, line


def test_the_make_targets_are_there() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    text = README.read_text(encoding="utf-8")
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE))

    assert {"demo", "test"} <= named <= targets


def test_the_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README.read_text(encoding="utf-8"))

    assert links
    assert all((ROOT / link).exists() for link in links)
