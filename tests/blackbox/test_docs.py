"""Every block of the README and of the guides is run as it stands, or says why not."""

import re

import pytest

from broker import ROOT
from pages import TOUR, anchors, links, pages, prose, sections
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


def test_metrics_that_are_named_exist(broker):
    named = {name for page in pages() for name in re.findall(r"\brewindmq_[a-z_]+[a-z]\b", prose(page))}
    assert named > {"rewindmq_dropped_total"}
    # A certificate's end is only known where there is one.
    assert named - set(broker.metrics().types) <= {"rewindmq_tls_certificate_expiry_timestamp_seconds"}


def test_options_that_are_named_exist():
    known = (ROOT / "conf/rewindmq.toml").read_text()
    sections_of_file = re.findall(r"^#?\[+([a-z_.]+)\]+$", known, re.M)
    keys = "|".join(sorted({name.split(".")[0] for name in sections_of_file}))
    named = {name for page in pages() for name in re.findall(rf"`((?:{keys})\.[a-z_0-9]+(?:\.[a-z_]+)?)`", prose(page))}
    assert named > {"store.durability"}
    unknown = [name for name in named if not re.search(rf"^#?{name.rsplit('.', 1)[1]} = ", known, re.M)]
    assert not unknown
