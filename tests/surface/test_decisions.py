"""Every decision says when it was taken and what else there was, and is indexed."""

import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / ".github" / "decisions"
PAGES = sorted(FOLDER.glob("[0-9]*.md"))
HEAD = re.compile(
    r"# (?P<number>\d{4}): (?P<title>.+)\n\n"
    r"Status: (?P<status>accepted|superseded by \d{4}).*\n\n"
    r"Date: (?P<date>\d{4}-\d\d-\d\d)\n"
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_has_number_status_date_and_alternatives(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    head = HEAD.match(text)

    assert head, "status and date stand under the title, as in the other pages"
    assert page.name.startswith(f"{head['number']}-")
    assert "**Decision" in text
    assert "**Alternatives.**" in text


def test_the_index_lists_every_page_with_title_status_and_date() -> None:
    index = (FOLDER / "README.md").read_text(encoding="utf-8")

    for page in PAGES:
        head = HEAD.match(page.read_text(encoding="utf-8"))
        assert head
        link = f"| {head['number']} | [{head['title']}]({page.name}) "
        row = next((row for row in index.splitlines() if row.startswith(link)), "")
        assert f"| {head['status']}" in row, link
        assert f"| {head['date']} |" in row, link


def test_the_files_that_pages_name_exist() -> None:
    root = FOLDER.parents[1]
    named = {
        name
        for page in PAGES
        for name in re.findall(
            r"`((?:lakehouse|tests|docs|tables)/[\w/]+\.\w+)`",
            page.read_text(encoding="utf-8"),
        )
    }

    assert named
    assert not [name for name in sorted(named) if not (root / name).exists()]
