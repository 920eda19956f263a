"""Every page of docs/ does what it says: its commands are run in order, and print what stands below them.

With FENCEPOST_REGENERATE=1 the outputs are written anew: review the change as a diff.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from walkthrough import Difference, Walkthrough, blocks, copied, is_same

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(each.stem for each in DOCS.glob("*.md"))
LINKING = ("README.md", *(f"docs/{name}.md" for name in PAGES), "examples/README.md", "reports/README.md")
QUICK = ("reading",)
LINK = re.compile(r"\]\((?!https?://)([^)#\s]*)(?:#([^)\s]*))?\)")


@pytest.mark.parametrize("name", [pytest.param(each, marks=[] if each in QUICK else [pytest.mark.slow]) for each in PAGES])
def test_a_page_tells_what_happens(name: str, tmp_path: Path) -> None:
    """In an empty folder, with the command on the path: its files, its commands, what they print and how they end."""
    path = DOCS / f"{name}.md"
    page = path.read_text(encoding="utf-8")
    assert "sh" in {each.kind for each in blocks(page)}
    renewing = os.environ.get("FENCEPOST_REGENERATE") == "1"
    followed = Walkthrough(tmp_path, renewing=renewing).followed(page)
    if renewing:
        path.write_text(followed, encoding="utf-8")
        return
    assert followed == page


@pytest.mark.slow
def test_the_readme_checks_a_store_as_it_says(tmp_path: Path) -> None:
    """What stands on the front page about a store of one's own; its other commands are run by the gate."""
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    section = page.partition("\n## Check your own store\n")[2].partition("\n## ")[0]
    assert [each.kind for each in blocks(section)] == ["python", "sh"]
    assert Walkthrough(tmp_path).followed(section) == section


@pytest.mark.slow
def test_five_minutes_from_a_clone(tmp_path: Path) -> None:
    """The whole page, with a fresh environment, an installed package and nothing else on any path."""
    page = (DOCS / "five-minutes.md").read_text(encoding="utf-8")
    assert [each.needs_a_clone for each in blocks(page)].count(True) == 1
    (tmp_path / "home").mkdir()
    assert Walkthrough(tmp_path / "home", clone=copied(ROOT, tmp_path / "clone")).followed(page) == page


def anchors(page: Path) -> set[str]:
    """What a link to a part of the page may name."""
    headings = re.findall(r"^#+ (.+)$", BLOCKS.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


BLOCKS = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("name", LINKING)
def test_links_lead_somewhere(name: str) -> None:
    """To a file that is there, and to a heading that it has."""
    page = ROOT / name
    links = LINK.findall(BLOCKS.sub("", page.read_text(encoding="utf-8")))
    assert links
    for target, anchor in links:
        there = (page.parent / target).resolve() if target else page
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), f"{target}#{anchor}"


@pytest.mark.parametrize(
    ("page", "sentence"),
    [
        ("```sh\nfalse\n```\n", "exit code 1, expected 0"),
        ("```sh exit 1\ntrue\n```\n", "exit code 0, expected 1"),
        ("```sh\nfalse\ntrue\n```\n", "exit code 1, expected 0"),
        ("```python\nprint(1)\n```\n", "expected the name of a file in the first line"),
        ("```python\n# a.py\nx = 1\n```\n```diff\n--- a.py\n-x = 2\n+x = 3\n```\n", "0 times in a.py, expected once"),
        ("```sh\necho one\n```\n```text\ntwo\n…\n```\n", "a block with lines left out is to be mended by hand"),
    ],
)
def test_a_page_that_errs_is_told_so(page: str, sentence: str, tmp_path: Path) -> None:
    """The check can fail: by a code, a file, a change and an output."""
    with pytest.raises(Difference, match=sentence):
        Walkthrough(tmp_path).followed(page)


def test_output_is_mended(tmp_path: Path) -> None:
    """Variables and folders last for the page; what differs is replaced, and nothing else."""
    page = "```sh\nmkdir a && cd a && export B=2\n```\n\n```sh\nbasename $PWD; echo $B\n```\n\n```text\na\n3\n```\nend\n"
    assert Walkthrough(tmp_path).followed(page) == page.replace("3", "2")


@pytest.mark.parametrize(
    ("told", "printed", "same"),
    [
        ("1,234 steps in 0.5 s, 2,468 a second\n", "1 steps in 12.5 s, 3 a second\n", True),
        ("event   12 steps   9/s   4 of 5\n", "event  123 steps  99/s   4 of 5\n", True),
        ("event   12 steps   9/s   4 of 5\n", "event   12 steps   9/s   3 of 5\n", False),
        ("a\n…\nc\n", "a\nb\nb\nc\n", True),
        ("a\n…\nc\n", "a\nb\nb\nd\n", False),
        ("at 1767225600000\n", "at 1790000000001\n", True),
        ("at 1000\n", "at 1001\n", False),
    ],
)
def test_figures_that_vary_are_not_compared(told: str, printed: str, same: bool) -> None:
    """Times and steps are not, counts of rules and instants of a run are."""
    assert is_same(told, printed) is same
