"""Every block of the README and of the guides is run as it stands, or says why not."""

import pytest

from pages import TOUR, anchors, links, pages, sections
from walk import Walk

SECTIONS = [one for page in pages() for one in sections(page)]
BLOCKS = [block for one in SECTIONS for block in one.blocks]


def test_every_block_is_marked():
    faults = [f"{block.place}: {fault}" for block in BLOCKS if (fault := block.fault())]
    assert not faults, "\n".join(faults)


def test_what_is_shown_was_printed_by_a_block():
    outputs = {id(block.output) for block in BLOCKS if block.output}
    loose = [one.place for one in BLOCKS if one.language == "text" and one.note == "" and id(one) not in outputs]
    assert not loose, f"behind no block that is run: {loose}"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("one", [one for one in SECTIONS if one.title != TOUR], ids=lambda one: f"{one.page.name}: {one.title}")
def test_section(one, tmp_path):
    with Walk(tmp_path) as walk:
        walk.go(one.blocks)


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    faults = [one for one in links(page) if not leads(page, one)]
    assert not faults, f"{page}: {faults}"


def leads(page, link):
    """Whether a link into this repository has a target."""
    file, _, anchor = link.partition("#")
    target = (page.parent / file) if file else page
    return target.exists() and (not anchor or anchor in anchors(target))
