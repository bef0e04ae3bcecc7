"""Faults in replay options: every filter refused with a reason, nothing subscribed, no cursor touched."""

import pytest

from raw import payloads

# User properties of SUBSCRIBE, and a word that the reason string must have.
FAULTS = [
    ([("replay", "")], "start"),
    ([("replay", "fist")], "fist"),
    ([("replay", " first")], "first"),
    ([("replay", "first:1")], "first"),
    ([("replay", "last:")], "last"),
    ([("replay", "last:x")], "last"),
    ([("replay", "last:-1")], "last"),
    ([("replay", "last:1.5")], "last"),
    ([("replay", "seq")], "seq"),
    ([("replay", "seq:")], "seq"),
    ([("replay", "seq:0")], "seq"),
    ([("replay", "seq:-1")], "seq"),
    ([("replay", "seq:x")], "seq"),
    ([("replay", "seq:9223372036854775808")], "seq"),
    ([("replay", "seq:99999999999999999999999")], "seq"),
    ([("replay", "time")], "time"),
    ([("replay", "time:")], "time"),
    ([("replay", "time:0")], "time"),
    ([("replay", "time:-5")], "time"),
    ([("replay", "time:100000000000")], "milliseconds"),
    ([("replay", "time:1700000000000")], "milliseconds"),
    ([("replay", "time:yesterday")], "time"),
    ([("replay", "time:2024-01-01")], "time"),
    ([("replay", "time:2024-01-01T00:00:00")], "time"),
    ([("replay", "time:2024-13-01T00:00:00Z")], "time"),
    ([("replay", "time:2024-02-30T00:00:00Z")], "time"),
    ([("replay", "time:5h")], "time"),
    ([("replay", "delta")], "delta"),
    ([("replay", "delta:")], "duration"),
    ([("replay", "delta:0")], "delta"),
    ([("replay", "delta:0s")], "delta"),
    ([("replay", "delta:-5m")], "duration"),
    ([("replay", "delta:5x")], "duration"),
    ([("replay", "delta:m")], "duration"),
    ([("replay", "first"), ("replay", "first")], "replay"),
    ([("replay", "first"), ("replay", "last")], "replay"),
    ([("replays", "first")], "replays"),
    ([("replay-from", "first")], "replay-from"),
    ([("selectors", "a = 1")], "selectors"),
    ([("replay", "first"), ("selector-text", "a = 1")], "selector-text"),
    ([("selector", "a == 1")], "selector: at character 3"),
    ([("replay", "first"), ("selector", "a = ")], "selector: at character 5"),
    ([("replay", "first"), ("selector", "")], "selector"),
    ([("selector", "a = 1"), ("selector", "a = 1")], "selector"),
    ([("replay", "first"), ("cursor", "forget")], "cursor"),
    ([("stream-offset", "tomorrow")], "stream-offset"),
    ([("stream-offset", "first"), ("stream-offset", "first")], "stream-offset"),
    ([("replay", "first"), ("stream-offset", "earliest")], "stream-offset"),
]


def label(case):
    """A readable test name."""
    return " ".join(f"{name}={value}" for name, value in case[0])


@pytest.mark.parametrize("case", FAULTS, ids=label)
def test_a_fault_refuses_every_filter_and_changes_nothing(broker, connect, s, name, case):
    user, word = case
    writer = connect(broker)
    writer.publish(f"{s}/a", "kept")
    client = connect(broker, name)
    suback = client.subscribe(f"{s}/a", f"{s}/#", qos=1, user=user)
    assert suback.reasons == [0x83, 0x83]
    assert word in suback.prop("reason_string"), suback.prop("reason_string")
    assert suback.user_value("es-start") is None
    assert client.unsubscribe(f"{s}/a", f"{s}/#").reasons == [0x11, 0x11]
    assert client.replay("first", f"{s}/a").user_value("es-start") == "fresh"
    writer.publish(f"{s}/a", "end")
    assert payloads(client.until("end")) == ["kept"]


def test_the_reason_is_left_out_without_problem_information(broker, connect, s):
    client = connect(broker, request_problem_information=0)
    suback = client.subscribe(s, qos=1, user=[("replay", "fist")])
    assert (suback.reasons, suback.properties) == ([0x83], [])


BAD_PREFIXES = [
    "$replay/fist/{}",
    "$replay/seq:0/{}",
    "$replay/{}",
    "$replay/first",
    "$replay/first/",
    "$replay//{}",
    "$replay/time:2024-01-01T00:00:00/{}",
    "$select/a%20==%201/{}",
    "$replay/first/$select/a%20==%201/{}",
    "$share/g/$replay/fist/{}",
]


@pytest.mark.parametrize("form", BAD_PREFIXES)
def test_a_fault_in_the_filter_is_refused(broker, connect, name, form):
    # The name has one level, so that a prefix without a value leaves no filter.
    filter_text = form.format(name)
    old = connect(broker, version=4)
    assert old.subscribe(filter_text, qos=1).reasons == [0x80]
    client = connect(broker)
    suback = client.subscribe(filter_text, qos=1)
    assert suback.reasons[0] in (0x83, 0x8F)
    assert suback.prop("reason_string")
    assert client.unsubscribe(filter_text).reasons[0] in (0x11, 0x83, 0x8F)


def test_a_selector_by_filter_is_refused_by_name(broker, connect, s):
    suback = connect(broker).subscribe(f"$select/a%20==%201/{s}", qos=1)
    assert suback.reasons == [0x83]
    assert "selector: at character 3" in suback.prop("reason_string")


def test_a_malformed_filter_is_refused_alone(broker, connect, s):
    writer = connect(broker)
    writer.publish(f"{s}/a", "kept")
    client = connect(broker)
    suback = client.subscribe(f"{s}/#", f"{s}/a#", qos=1, user=[("replay", "first")])
    assert suback.reasons == [1, 0x8F]
    assert client.message().payload == b"kept"


def test_a_wildcard_in_the_value_level_of_the_prefix_is_malformed(broker, connect, s):
    assert connect(broker).subscribe(f"$replay/+/{s}", qos=1).reasons[0] in (0x83, 0x8F)


def test_a_fault_leaves_an_active_subscription_and_its_cursor_alone(broker, connect, s, name):
    writer = connect(broker)
    client = connect(broker, name)
    client.replay("new", s, subscription_id=1)
    writer.publish(s, "1")
    assert client.message().payload == b"1"
    for user in ([("replay", "fist")], [("replay", "seq:0"), ("cursor", "reset")], [("selector", "x =")]):
        assert client.subscribe(s, qos=1, subscription_id=2, user=user).reasons == [0x83]
    writer.publish(s, "2")
    got = client.message()
    assert (got.payload, got.subscription_ids) == (b"2", [1])
    client.sync()
    client.disconnect()
    writer.publish(s, "3")
    client = connect(broker, name)
    assert client.replay("first", s).user_value("es-start") == "resumed"
    assert client.message().payload == b"3"


def test_a_start_value_is_checked_even_where_a_cursor_makes_it_void(broker, connect, s, name):
    client = connect(broker, name)
    client.replay("first", s)
    client.disconnect()
    assert connect(broker, name).subscribe(s, qos=1, user=[("replay", "seq:0")]).reasons == [0x83]


@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.parametrize("topic", ["$replay/first/{}", "$select/a/{}"])
def test_publishing_to_a_reserved_prefix_is_refused(broker, connect, s, qos, topic):
    client = connect(broker)
    client.replay("new", s)
    ack = client.publish(topic.format(s), "m", qos=qos)
    assert ack.reason == 0x90
    client.publish(s, "end")
    assert client.until("end") == []


def test_publishing_to_a_reserved_prefix_at_qos_0_reaches_nobody(broker, connect, s):
    watcher = connect(broker)
    watcher.granted(s, qos=1)
    client = connect(broker)
    client.publish(f"$replay/first/{s}", "m", qos=0)
    watcher.publish(s, "end")
    assert watcher.until("end") == []


@pytest.mark.parametrize("user", [[("other", "replay")], [("x-replay", "first")]])
def test_foreign_user_properties_leave_a_subscription_plain(broker, connect, s, user):
    writer = connect(broker)
    writer.publish(s, "past")
    client = connect(broker)
    assert client.granted(s, qos=1, user=user).user == []
    writer.publish(s, "end")
    assert client.until("end") == []
