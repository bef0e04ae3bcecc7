"""Where a replay starts: every start value, by property and by filter, on one channel and on many."""

import time
from datetime import UTC, datetime

import pytest

from raw import payloads, replay_filter

HISTORY = ["a1", "b1", "a2", "b2", "a3", "b3", "a4", "a5"]

EXACT = {
    "new": [],
    "first": ["a1", "a2", "a3", "a4", "a5"],
    "last": ["a5"],
    "last:1": ["a5"],
    "last:2": ["a4", "a5"],
    "last:5": ["a1", "a2", "a3", "a4", "a5"],
    "last:1000000": ["a1", "a2", "a3", "a4", "a5"],
    "seq:1": ["a1", "a2", "a3", "a4", "a5"],
    "seq:3": ["a3", "a4", "a5"],
    "seq:5": ["a5"],
    "seq:6": [],
    "seq:9223372036854775807": [],
    "time:1": ["a1", "a2", "a3", "a4", "a5"],
    "time:1s": ["a1", "a2", "a3", "a4", "a5"],
    "time:2001-02-03T04:05:06Z": ["a1", "a2", "a3", "a4", "a5"],
    "time:2200-01-01T00:00:00Z": [],
    "time:99999999999": [],
    "delta:1h30m": ["a1", "a2", "a3", "a4", "a5"],
    "delta:1d": ["a1", "a2", "a3", "a4", "a5"],
    "delta:36500000d": ["a1", "a2", "a3", "a4", "a5"],
    "delta:3600": ["a1", "a2", "a3", "a4", "a5"],
    "delta:1ns": [],
    "earliest": ["a1", "a2", "a3", "a4", "a5"],
    "all": ["a1", "a2", "a3", "a4", "a5"],
    "latest": [],
    "next": [],
}

WILD = {
    "new": [],
    "first": HISTORY,
    "last": ["b3", "a5"],
    "last:2": ["b2", "b3", "a4", "a5"],
    "last:4": ["b1", "a2", "b2", "a3", "b3", "a4", "a5"],
    "seq:3": ["a3", "b3", "a4", "a5"],
    "seq:4": ["a4", "a5"],
    "seq:100": [],
    "time:2001-02-03T04:05:06Z": HISTORY,
    "time:2200-01-01T00:00:00Z": [],
    "delta:90m": HISTORY,
    "delta:1ns": [],
    "earliest": HISTORY,
    "latest": [],
}


@pytest.fixture
def writer(broker, connect, s):
    """A publisher that has written the history to `<s>/a` and `<s>/b`."""
    client = connect(broker)
    for payload in HISTORY:
        client.publish(f"{s}/{payload[0]}", payload)
    return client


def finished(client, writer, topic):
    """What the replay brought, ended by a live event on the same subscription."""
    writer.publish(topic, "end")
    return payloads(client.until("end"))


@pytest.mark.parametrize("start", EXACT)
def test_start_on_one_channel(broker, connect, writer, s, start):
    client = connect(broker)
    client.replay(start, f"{s}/a")
    assert finished(client, writer, f"{s}/a") == EXACT[start]


@pytest.mark.parametrize("start", WILD)
@pytest.mark.parametrize("form", ["{}/+", "{}/#"])
def test_start_on_many_channels_counts_per_channel_in_commit_order(broker, connect, writer, s, start, form):
    client = connect(broker)
    client.replay(start, form.format(s))
    assert finished(client, writer, f"{s}/end") == WILD[start]


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("start", EXACT)
def test_start_by_filter_on_one_channel(broker, connect, writer, s, start, version):
    client = connect(broker, version=version)
    assert client.granted(f"$replay/{start}/{s}/a", qos=1).reasons == [1]
    writer.publish(f"{s}/a", "end")
    got = client.until("end")
    assert payloads(got) == EXACT[start]
    assert {one.topic for one in got} <= {f"{s}/a"}


@pytest.mark.parametrize("start", WILD)
def test_start_by_filter_on_many_channels(broker, connect, writer, s, start):
    client = connect(broker, version=4)
    assert client.granted(f"$replay/{start}/{s}/#", qos=0).reasons == [0]
    assert finished(client, writer, f"{s}/end") == WILD[start]


def test_start_by_filter_within_a_group(broker, connect, writer, s, name):
    client = connect(broker, version=4)
    client.granted(replay_filter("seq:3", f"$share/{name}/{s}/#"), qos=1)
    assert finished(client, writer, f"{s}/end") == WILD["seq:3"]


# Times


def events(broker, connect, writer, s):
    """The history with its commit times, as a replay tells them."""
    client = connect(broker)
    client.replay("first", f"{s}/#")
    got = client.messages(len(HISTORY))
    times = [one.time_ns for one in got]
    assert times == sorted(times)
    return list(zip(payloads(got), times, strict=True))


def rfc3339(time_ns, digits, zone="Z"):
    """The moment, cut to so many digits of the second."""
    seconds, rest = divmod(time_ns, 10**9)
    base = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return base + (f".{rest:09}"[: digits + 1] if digits else "") + zone


TIME_FORMS = {
    "ns": lambda ns: (f"{ns}ns", ns),
    "us": lambda ns: (f"{ns // 1000}us", ns // 1000 * 1000),
    "ms": lambda ns: (f"{ns // 10**6}ms", ns // 10**6 * 10**6),
    "s": lambda ns: (f"{ns // 10**9}s", ns // 10**9 * 10**9),
    "bare seconds": lambda ns: (f"{ns // 10**9}", ns // 10**9 * 10**9),
    "seconds with a fraction": lambda ns: (f"{ns // 10**9}.{ns % 10**9:09}", ns),
    "RFC 3339, 9 digits": lambda ns: (rfc3339(ns, 9), ns),
    "RFC 3339, 6 digits": lambda ns: (rfc3339(ns, 6), ns // 1000 * 1000),
    "RFC 3339, 3 digits": lambda ns: (rfc3339(ns, 3), ns // 10**6 * 10**6),
    "RFC 3339, whole": lambda ns: (rfc3339(ns, 0), ns // 10**9 * 10**9),
    "RFC 3339, +00:00": lambda ns: (rfc3339(ns, 9, "+00:00"), ns),
    "RFC 3339, +05:30": lambda ns: (rfc3339(ns + 19_800 * 10**9, 9, "+05:30"), ns),
    "RFC 3339, -08:00": lambda ns: (rfc3339(ns - 28_800 * 10**9, 9, "-08:00"), ns),
    "one ns later": lambda ns: (f"{ns + 1}ns", ns + 1),
}


@pytest.mark.parametrize("form", TIME_FORMS)
@pytest.mark.parametrize("at", [0, 4, 7])
def test_time_starts_at_the_first_event_at_or_after_it(broker, connect, writer, s, form, at):
    known = events(broker, connect, writer, s)
    value, start_ns = TIME_FORMS[form](known[at][1])
    client = connect(broker)
    client.replay(f"time:{value}", f"{s}/#")
    expected = [payload for payload, time_ns in known if time_ns >= start_ns]
    assert finished(client, writer, f"{s}/end") == expected


def test_time_by_filter(broker, connect, writer, s):
    known = events(broker, connect, writer, s)
    for number, value in enumerate([rfc3339(known[5][1], 9), f"{known[5][1]}ns"]):
        client = connect(broker, version=4)
        client.granted(f"$replay/time:{value}/{s}/#", qos=1)
        writer.publish(f"{s}/end", f"end{number}")
        expected = [payload for payload, time_ns in known if time_ns >= known[5][1]]
        assert payloads(client.until(f"end{number}"))[: len(expected)] == expected


def test_delta_reaches_back_from_the_subscription(broker, connect, s, clock):
    writer = connect(broker)
    writer.publish(s, "old")
    between = time.time_ns() + 1_500_000_000
    clock(3)
    writer.publish(s, "young")
    forms = {
        "ms": lambda ns: f"{ns // 10**6}ms",
        "us": lambda ns: f"{ns // 1000}us",
        "ns": lambda ns: f"{ns}ns",
        "s and ms": lambda ns: f"{ns // 10**9}s{ns % 10**9 // 10**6}ms",
    }
    clients = []
    for form in forms.values():
        client = connect(broker)
        client.replay("delta:" + form(time.time_ns() - between), s)
        clients.append(client)
    everything = connect(broker)
    everything.replay("delta:1m", s)
    writer.publish(s, "end")
    assert [payloads(client.until("end")) for client in clients] == [["young"]] * len(forms)
    assert payloads(everything.until("end")) == ["old", "young"]


# The other name


@pytest.mark.parametrize(("value", "expected"), [("earliest", HISTORY), ("latest", []), ("1", HISTORY)])
def test_stream_offset_is_another_name(broker, connect, writer, s, value, expected):
    client = connect(broker)
    client.granted(f"{s}/#", qos=1, user=[("stream-offset", value)])
    assert finished(client, writer, f"{s}/end") == expected


def test_stream_offset_integer_is_unix_microseconds(broker, connect, writer, s):
    known = events(broker, connect, writer, s)
    start_us = known[4][1] // 1000
    client = connect(broker)
    client.granted(f"{s}/#", qos=1, user=[("stream-offset", str(start_us))])
    expected = [payload for payload, time_ns in known if time_ns >= start_us * 1000]
    assert finished(client, writer, f"{s}/end") == expected


# SUBACK


def test_suback_tells_fresh_and_then_resumed(broker, connect, writer, s, name):
    for start in ("first", "new"):
        filter_text = f"{s}/{'#' if start == 'first' else 'a'}"
        client = connect(broker, name)
        assert client.replay(start, filter_text).user_value("es-start") == "fresh"
        client.disconnect()
        client = connect(broker, name)
        assert client.replay(start, filter_text).user_value("es-start") == "resumed"
        client.disconnect()


def test_suback_tells_pending_events_if_at_all_rightly(broker, connect, writer, s):
    pending = connect(broker).replay("seq:3", f"{s}/a").user_value("es-pending")
    assert pending in (None, "3")


def test_suback_of_a_plain_subscription_tells_nothing(broker, connect, s):
    assert connect(broker).granted(s, qos=1).user == []


def test_suback_tells_nothing_without_problem_information(broker, connect, writer, s):
    client = connect(broker, request_problem_information=0)
    assert client.replay("first", f"{s}/a").properties == []
    assert client.message().payload == b"a1"


def test_one_start_option_applies_to_every_filter_of_the_packet(broker, connect, writer, s):
    client = connect(broker)
    assert client.replay("seq:2", f"{s}/a", f"{s}/b").reasons == [1, 1]
    writer.publish(f"{s}/a", "enda")
    writer.publish(f"{s}/b", "endb")
    got = payloads(client.messages(8))
    assert [one for one in got if "a" in one] == ["a2", "a3", "a4", "a5", "enda"]
    assert [one for one in got if one not in ("enda",) and "b" in one] == ["b2", "b3", "endb"]


def test_options_on_connect_do_nothing(broker, connect, writer, s):
    client = connect(broker, user=[("replay", "first"), ("selector", "x")])
    client.granted(f"{s}/#", qos=1)
    assert finished(client, writer, f"{s}/end") == []
