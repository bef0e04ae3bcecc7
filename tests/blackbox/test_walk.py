"""What runs the documentation notices what is wrong with it."""

import pytest

import pages
from pages import RUST, Block, sections
from running import pattern_of
from walk import Walk

PAGE = pages.ROOT / "README.md"


def blocks(text, tmp_path):
    """The blocks of a page with this text."""
    page = tmp_path / "page.md"
    page.write_text(text)
    return [block for one in sections(page) for block in one.blocks]


@pytest.mark.parametrize(
    ("expected", "printed", "fits"),
    [
        ("a\nb\n", "a\nb\n", True),
        ("a\n", "a\nb\n", False),
        ("a\nb\n", "a\n", False),
        ("id ... of ...\n", "id 7 of a.b\n", True),
        ("id ...\n", "no 7\n", False),
        ("a.c\n", "abc\n", False),
        ("...\nb\n", "b\n", True),
        ("...\nb\n", "x\ny\nb\n", True),
        ("a\n...\nb\n", "a\nc\n", False),
    ],
)
def test_what_a_page_shows_is_what_is_printed(expected, printed, fits):
    assert bool(pattern_of(expected).fullmatch(printed)) == fits


@pytest.mark.parametrize(
    ("language", "note", "fault"),
    [
        ("sh", "", None),
        ("sh", "not run: needs root", None),
        ("sh", "not run: no wish", "the reason 'no wish' is not in pages.py"),
        ("sh", "gos on", "the note 'gos on' is not known"),
        ("sh", "goes on", "it goes on for ever, and nothing behind it says what it prints"),
        ("", "", "no test knows blocks of the language ''"),
        ("toml", "stays", "the note 'stays' is not known"),
        ("rust", "", f"it is not what {RUST.name} says, which is what the tests run"),
    ],
)
def test_a_block_says_what_is_to_be_done_with_it(language, note, fault):
    assert Block(PAGE, 1, language, note, "echo\n").fault() == fault


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("```sh\nfalse\n```\n", "exit code 1"),
        ("```sh (fails)\ntrue\n```\n", "exit code 0"),
        ("```sh\necho a\n```\n\n```text\nb\n```\n", "the page says that it prints\nb\n"),
        ("```sh (goes on)\necho a\n```\n\n```text\nb\n```\n", "the page says that it prints\nb\n"),
        ("```sh (not run: needs root)\nif true\n```\n", "syntax error"),
        ("```toml\n[store]\nway = 1\n```\n", "way"),
        ("```python (not run: needs hardware)\ndef a(:\n```\n", "SyntaxError"),
        ("```c (not run: needs hardware)\nint a(void) { return b; }\n```\n", "undeclared"),
    ],
)
def test_a_block_that_is_not_true_is_told(tmp_path, monkeypatch, text, fault):
    monkeypatch.setattr(Walk, "start_broker", lambda *_: None)
    monkeypatch.setattr(pages, "ROOT", tmp_path)
    with Walk(tmp_path) as walk, pytest.raises(AssertionError) as told:
        walk.go(blocks(text, tmp_path))
    assert fault in str(told.value)


@pytest.mark.parametrize("text", ["  ```sh\n  echo\n  ```\n", "```sh no note\n```\n", "```sh\necho\n"])
def test_a_block_that_cannot_be_read_is_told(tmp_path, monkeypatch, text):
    monkeypatch.setattr(pages, "ROOT", tmp_path)
    with pytest.raises(AssertionError):
        blocks(text, tmp_path)


def test_what_a_reader_has_at_its_usual_place_is_elsewhere_in_the_tests(tmp_path):
    with Walk(tmp_path) as walk:
        port = walk.ports["1883"]
        assert walk.rewritten("mqtt://host:1883/ 18830") == f"mqtt://host:{port}/ 18830"
        assert walk.rewritten("/backups/today ./backups") == f"{tmp_path}/backups/today ./backups"
