"""Reads the pages of the documentation: which blocks are in which section, and what is to be done with each. Runs nothing.

As a program it lists the blocks that are not run, with the reasons.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from broker import ROOT

# The section of the README that a new user goes through (test_new_user.py).
TOUR = "Start"
# Why a block is not run; what is written here is said in the notes of blocks: ```sh (not run: needs root)
REASONS = {
    "another program's": "a command of a program that the tests do not install",
    "asks for a password": "needs a terminal",
    "needs a build": "would build the broker once more",
    "needs a screen": "draws on a terminal",
    "needs docker": "there is no container engine in the tests",
    "needs hardware": "for a microcontroller",
    "needs root": "changes the system",
    "takes long": "minutes",
}
RUN = {"sh", "python", "js", "rust"}
# What a note says about a block that is run: it starts the section's broker; it goes on while the next blocks run, which
# begin when it has subscribed; it goes on for ever, and is ended when it has printed what it is to print; it ends badly.
NOTES = {"", "broker", "stays", "goes on", "fails"}
CHECKED = {"toml", "json", "c"}
SHOWN = {"text", "ini", "yaml", "dockerfile"}
# The one block of Rust is a program of its own, which cargo builds.
RUST = ROOT / "tests/blackbox/replay.rs"
FENCE = re.compile(r"^```(?:(\w+)(?:,\w+)*(?: \((.+)\))?)?$")


@dataclass
class Block:
    """A fenced block. `note` is what stands in parentheses behind its language."""

    page: Path
    line: int
    language: str
    note: str
    text: str = ""
    output: Block | None = None

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def reason(self) -> str | None:
        """Why it is not run, if it is not."""
        return self.note.removeprefix("not run: ") if self.note.startswith("not run: ") else None

    @property
    def runs(self) -> bool:
        """Whether it is run."""
        return self.language in RUN and self.reason is None

    def fault(self) -> str | None:
        """What is wrong with how it is marked."""
        if self.language == "rust" and not RUST.read_text().endswith(self.text):
            return f"it is not what {RUST.name} says, which is what the tests run"
        if self.language not in RUN | CHECKED | SHOWN:
            return f"no test knows blocks of the language {self.language!r}"
        if self.reason is not None:
            return None if self.reason in REASONS else f"the reason {self.reason!r} is not in pages.py"
        if self.note == "goes on" and not self.output:
            return "it goes on for ever, and nothing behind it says what it prints"
        notes = NOTES if self.language in RUN else {"", "stays"} if self.language == "text" else {""}
        return None if self.note in notes else f"the note {self.note!r} is not known"


@dataclass
class Section:
    """What stands below one `##` heading."""

    page: Path
    title: str
    blocks: list[Block] = field(default_factory=list)


def pages() -> list[Path]:
    """The README and the guides."""
    return [ROOT / "README.md", *sorted((ROOT / "src/guide").glob("*.md"))]


def sections(page: Path) -> list[Section]:
    """The sections of a page with their blocks; a `text` block behind one that runs is its output."""
    found, block = [Section(page, "")], None
    for number, line in enumerate(page.read_text().splitlines(), 1):
        if block is not None:
            if line == "```":
                block = None
            else:
                block.text += line + "\n"
        elif line.lstrip().startswith("```"):
            parts = FENCE.match(line)
            assert parts, f"{page}:{number}: {line!r} does not begin a block"
            block = Block(page, number, parts[1] or "", parts[2] or "")
            add(found[-1].blocks, block)
        elif line.startswith("## "):
            found.append(Section(page, line.removeprefix("## ")))
    assert block is None, f"{block.place}: the block does not end"
    return [one for one in found if one.blocks]


def add(blocks: list[Block], block: Block) -> None:
    """Adds a block, or makes it the output of the one before."""
    before = blocks[-1] if blocks else None
    if block.language == "text" and block.note == "" and before and before.runs and before.note not in {"stays", "broker"}:
        before.output = block
    blocks.append(block)


def prose(page: Path) -> str:
    """A page without its blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S)


def links(page: Path) -> list[str]:
    """Where the links of a page lead within this repository."""
    return [link for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)) if "://" not in link]


def anchors(page: Path) -> set[str]:
    """The names that headings have as targets of links, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", prose(page), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


if __name__ == "__main__":
    for one in (block for page in pages() for part in sections(page) for block in part.blocks):
        if one.reason:
            print(f"{one.place}: not run: {one.reason} ({REASONS[one.reason]})")
