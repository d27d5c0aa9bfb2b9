"""Data on the screen: text from anybody is shown, never obeyed; JSON is exact."""

import json

import pytest
from hypothesis import given, strategies as st

import lakehouse
from lakehouse.cli.output import printable
from tests.rows import box, frame
from tests.unit.cli.test_commands import as_json, run

CONTROLS = (
    "\x1b[2J\x1b]0;owned\x07\x9b31m\x9d0;x\x9c\u202edlrow\u202c\u2066\u2069\u200e\u061c"
)
TEXT = f"[/b] [urgent] :smile: [link=http://x]{CONTROLS}\x00\x7f end"
OBEYED = [
    chr(code)
    for code in (*range(32), *range(0x7F, 0xA0), 0x202C, 0x202E, 0x2066, 0x2069, 0x200E, 0x61C)
    if chr(code) not in "\n\t"
]  # fmt: skip


@pytest.fixture
def root(lake: lakehouse.Lake, dataset: lakehouse.Dataset) -> str:
    rows = frame("f1") | {"user__note": TEXT}
    dataset.add([rows], [box("f1", "a")], message=TEXT)
    dataset.modify([{"frame_id": "f1", "user__note": f"{TEXT}2"}], message=TEXT)
    dataset.add([frame("f2")], [box("f2", "b", class_name=TEXT)], message=TEXT)
    dataset.checkpoint("base", message=TEXT)
    return lake.root


@pytest.mark.parametrize(
    "command",
    [
        ("versions", "cells/hela"),
        ("uploads", "cells/hela"),
        ("history", "cells/hela", "f1"),
        ("show", "cells/hela", "f1"),
        ("show", "cells/hela"),
        ("diff", "cells/hela@1", "cells/hela@2", "--rows"),
        ("checkpoint", "list", "cells/hela"),
        ("sql", "select user__note from frames", "cells/hela"),
        ("sql", f"select '{TEXT.replace(chr(0), '')}' as a", "cells/hela"),
        ("run", "verify", "cells/hela"),
    ],
    ids=lambda command: f"{command[0]} {len(command)} {len(command[1])}",
)
def test_text_from_data_is_shown_and_not_obeyed(
    root: str, command: tuple[str, ...]
) -> None:
    done = run(root, *command)

    assert done.exit_code == 0, done.exception
    assert [sign for sign in OBEYED if sign in done.stdout] == []


def test_brackets_and_codes_stay(root: str) -> None:
    shown = run(root, "show", "cells/hela", "f1").stdout.replace("\n", "")

    assert "[/b] [urgent] :smile: [link=http://x]" in shown
    assert "\\x1b[2J" in shown
    assert "\\u202e" in shown


def test_json_is_exact_and_harmless(root: str) -> None:
    arguments = ("sql", "select user__note from frames where frame_id = 'f1'")

    assert as_json(root, *arguments, "cells/hela") == [{"user__note": f"{TEXT}2"}]
    done = run(root, *arguments, "cells/hela", "--format", "jsonl")
    assert json.loads(done.stdout) == {"user__note": f"{TEXT}2"}
    assert [sign for sign in OBEYED if sign in done.stdout] == []


@given(st.text())
def test_printable_text_can_be_shown(text: str) -> None:
    shown = printable(text)

    assert not any(sign in shown for sign in OBEYED)
    shown.encode()
    assert printable(shown) == shown
