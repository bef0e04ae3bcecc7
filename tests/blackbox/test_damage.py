"""Data folders that are damaged: the broker says what to do and ends with exit code 1; nothing crashes."""

import itertools
import random
import shutil

import pytest

from broker import Broker, run

PAGE = 4096
TOPIC = b"s/damaged-0"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The bytes of a store with events in many channels, records of several pages and room that became free."""
    one = Broker(config={"store": {"default_retention": {"max_count": 60}, "retention_interval": "10ms"}}, store=["s/#"])
    one.start()
    from raw import Client

    client = Client(one.port)
    client.connect()
    for _ in range(4):
        client.publish_all([(f"s/damaged-{number % 7}", "x" * (number * 37 % 9_000)) for number in range(400)])
    client.disconnect()
    one.stop()
    data = (one.data / "data.mdb").read_bytes()
    one.close()
    yield data


@pytest.fixture
def damaged(tmp_path, whole):
    """Makes a folder with these bytes in place of a store's."""

    def make(data):
        folder = tmp_path / "data"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / "data.mdb").write_bytes(data)
        return folder

    return make


def start(folder):
    """Starts a broker that must end by itself; what it says."""
    done = run("--data", folder, "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0")
    assert done.returncode == 1, (done.returncode, done.stderr)
    assert "panicked" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("rewindmq: ")]
    assert len(lines) == 1, done.stderr
    return lines[0]


def refused(folder, *said):
    """The broker refuses the folder with these words; looking at it and copying it crash nothing."""
    told = start(folder)
    for words in said:
        assert words in told, told
    for line in (["inspect", folder], ["backup", folder / "copy", "--data", folder]):
        done = run(*line)
        assert done.returncode in (0, 1), (line, done.returncode, done.stderr)
        assert "panicked" not in done.stderr
        shutil.rmtree(folder / "copy", ignore_errors=True)


def starts(folder):
    """Whether a broker starts on the folder; it must not crash."""
    one = Broker(data=folder, store=["s/#"]).launch()
    try:
        one.port = one.announced(r"^(?!.*http listening).*\blistening\b.*\baddress=\S*?:(\d+)")
    except AssertionError:
        assert one.ended() == 1, one.tail()
        one.close()
        return False
    one.close()
    return True


def test_a_file_that_was_cut_off_anywhere_is_refused(damaged, whole):
    pages = len(whole) // PAGE
    dice = random.Random(5)
    for length in [pages // 2, pages // 4 * 3 + 1, pages - pages // 10, 13, 5, 3, 2, 1]:
        folder = damaged(whole[: length * PAGE])
        refused(folder, "is damaged", "cut off", "restore it from a backup")
    for _ in range(5):
        refused(damaged(whole[: dice.randrange(1, len(whole) * 4 // 5)]), "is damaged", "restore it from a backup")


def test_a_folder_whose_file_became_empty_is_refused(brokers):
    one = brokers()
    one.stop()
    (one.data / "data.mdb").write_bytes(b"")
    refused(one.data, "is damaged", "restore it from a backup")
    (one.data / "data.mdb").unlink()
    one.start()


def test_overwritten_first_pages_are_refused(damaged, whole):
    for pages in (1, 2, 3, 8):
        for junk in (b"\0", b"\xff", random.Random(3).randbytes(1)):
            data = junk * (pages * PAGE) + whole[pages * PAGE :]
            refused(damaged(data), "is damaged", "restore it from a backup")


def test_a_file_that_is_no_store_is_refused(damaged):
    for data in (b"x", b"SQLite format 3\0" * 1_000, random.Random(1).randbytes(100_000)):
        refused(damaged(data), "is damaged", "restore it from a backup")


def test_a_newer_format_is_refused_and_left_as_it_is(damaged, whole):
    assert b"format\0\0\0\1" in whole
    data = whole.replace(b"format\0\0\0\1", b"format\0\0\0\2")
    folder = damaged(data)
    for _ in range(2):
        refused(folder, "has format 2, this version knows format 1", "start the version that wrote it")
    assert (folder / "data.mdb").read_bytes() == data


def test_a_broken_row_names_its_table_and_key(damaged, whole):
    # A channel's row: its kind, four numbers of eight bytes, its topic.
    data, at = bytearray(whole), -1
    while (at := whole.find(TOPIC, at + 1)) >= 0:
        data[at - 33] = 9
    refused(damaged(bytes(data)), "table channels, key 0000", "unknown kind", "restore the data folder from a backup")


def test_a_page_that_was_never_written_ends_nothing_but_the_start(damaged, whole):
    """A power loss may leave zeros where a page should be."""
    dice = random.Random(2)
    pages = sorted(dice.sample(range(2, len(whole) // PAGE), 25))
    for page in pages:
        data = bytearray(whole)
        data[page * PAGE : (page + 1) * PAGE] = bytes(PAGE)
        folder = damaged(bytes(data))
        starts(folder)
        done = run("inspect", folder)
        assert done.returncode in (0, 1), (page, done.returncode, done.stderr)
        assert "panicked" not in done.stderr


def topmost_pages(data):
    """The numbers of the topmost pages of the free list and of the table of tables."""
    heads = []
    for at in (0, PAGE):
        free, tables = (int.from_bytes(data[at + tree + 40 : at + tree + 48], "little") for tree in (40, 88))
        heads.append((int.from_bytes(data[at + 144 : at + 152], "little"), free, tables))
    return max(heads)[1:]


def test_a_page_of_junk_ends_neither_copy_nor_inspection(damaged, whole):
    dice = random.Random(4)
    used = topmost_pages(whole)
    # Free pages and the later pages of long payloads may hold anything.
    others = dice.sample(range(2, len(whole) // PAGE), 23)
    for page, start in itertools.product([*used, *others], (0, 16)):
        data, end = bytearray(whole), (page + 1) * PAGE
        data[page * PAGE + start : end] = dice.randbytes(PAGE - start)
        folder = damaged(bytes(data))
        for line in (["inspect", folder], ["backup", folder / "copy", "--data", folder]):
            done = run(*line)
            assert done.returncode in (0, 1), (page, done.returncode, done.stderr)
            assert (done.returncode == 1) == ("is damaged" in done.stderr), done.stderr
            assert done.returncode == 1 or page not in used, (line, page, start)
            shutil.rmtree(folder / "copy", ignore_errors=True)


def test_after_a_crash_of_the_system_an_async_store_is_checked_before_it_is_used(brokers, connect):
    one = brokers(config={"store": {"durability": "async"}}, store=["s/#"])
    connect(one).publish_all([("s/a", f"payload {number}") for number in range(500)])
    one.kill9()
    lock = one.data / "rewindmq.lock"
    noted = lock.read_text()
    assert "not all on disk" in noted
    # The same start of the system: the pages are all there.
    one.start()
    assert not any("checking it" in line for line in one.log)
    one.kill9()
    lock.write_text(noted.replace("start ", "start another-"))
    one.start()
    one.wait_log("checking it")
    one.stop()
    assert "not all on disk" not in lock.read_text()
    lock.write_text(noted.replace("start ", "start another-"))
    data, at = (one.data / "data.mdb").read_bytes(), -1
    written = bytearray(data)
    while (at := data.find(b"payload 77", at + 1)) >= 0:
        written[at // PAGE * PAGE : (at // PAGE + 1) * PAGE] = bytes(PAGE)
    (one.data / "data.mdb").write_bytes(written)
    assert "is damaged" in start(one.data)
    shutil.rmtree(one.data)
    one.start()
