"""`rewindmq inspect`: what a folder holds, while a broker runs on it and while none does."""

import json

from broker import run


def look(data, *more):
    """The report as JSON."""
    done = run("inspect", data, "--json", *more)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_report_is_the_same_with_and_without_a_broker(brokers, connect):
    one = brokers(store=["s/#"])
    client = connect(one, "writer")
    client.publish_all([("s/large", "x" * 2_000) for _ in range(20)] + [("s/small", "x")] * 300)
    reader = connect(one, "reader")
    reader.replay("first", "s/small")
    reader.messages(300)
    for rest in (False, True):
        if rest:
            reader.disconnect()
            client.disconnect()
            one.stop()
        report = look(one.data)
        assert report["format"] == 1
        assert report["last"] == 320
        assert report["damage"] == {"count": 0, "first": []}
        assert report["channels"]["event"] == 2
        large, small = report["channels"]["largest"]
        assert (large["topic"], large["kind"], large["first"], large["next"], large["count"]) == (
            "s/large",
            "event",
            1,
            21,
            20,
        )
        assert (small["topic"], small["count"]) == ("s/small", 300)
        assert 40_000 < large["bytes"] < 50_000
        cursor = report["cursors"]["furthest_behind"][0]
        assert (cursor["owner"], cursor["name"], cursor["filter"]) == ("client", "reader", "s/small")
        tables = {table["name"]: table for table in report["tables"]}
        assert tables["log"]["rows"] == 320 and tables["log"]["bytes"] > 40_000
        assert report["file_bytes"] >= sum(table["bytes"] for table in report["tables"])
    assert cursor["floor"] == 320 and cursor["lag"] == 0
    one.start()


def test_the_text_tells_the_same_and_lists_stay_within_the_limit(brokers, connect):
    one = brokers(store=["s/#"])
    connect(one).publish_all([(f"s/{number}", "x" * number) for number in range(50)])
    report = look(one.data, "--limit", "5")
    assert [channel["topic"] for channel in report["channels"]["largest"]] == [f"s/{n}" for n in (49, 48, 47, 46, 45)]
    done = run("inspect", one.data, "--limit", "2")
    assert done.returncode == 0, done.stderr
    assert "channels    50 event, 0 held" in done.stdout
    assert "s/49" in done.stdout and "s/48" in done.stdout and "s/47" not in done.stdout
    assert "\x1b" not in done.stdout


def test_a_topic_cannot_write_to_the_terminal(brokers, connect):
    one = brokers(store=["s/#"])
    connect(one).publish("s/\u202e\u00e9", "x")
    done = run("inspect", one.data)
    assert "\u202e" not in done.stdout and "s/" in done.stdout


def test_reading_while_a_broker_writes_never_fails(brokers, connect):
    one = brokers(config={"store": {"default_retention": {"max_count": 10}, "retention_interval": "10ms"}}, store=["s/#"])
    client = connect(one)
    for _ in range(5):
        client.publish_all([(f"s/{number % 5}", "x" * 500) for number in range(1_000)])
        assert look(one.data)["damage"]["count"] == 0


def test_a_folder_without_a_store_is_said_to_be_one(tmp_path):
    for data in (tmp_path, tmp_path / "none"):
        done = run("inspect", data)
        assert (done.returncode, done.stdout) == (1, "")
        assert "holds no store" in done.stderr
    assert list(tmp_path.iterdir()) == []
