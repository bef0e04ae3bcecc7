"""Groups with a start option: one cursor, every event to one connected member, none lost with a member."""

import pytest

from raw import payloads, sequences

BROKER = {
    "config": {"shared": {"rules": [{"group": "hash-*", "strategy": "hash_topic"}]}},
    "store": ["s/#"],
}


def write(client, topic, *numbers):
    """Publishes numbers as stored events."""
    for number in numbers:
        assert client.publish(topic, number).user_value("es-seq") is not None


@pytest.fixture
def writer(broker, connect):
    """A publisher."""
    return connect(broker)


@pytest.fixture
def group(name, s):
    """The filter of a group on everything below the test's prefix."""
    return f"$share/{name}/{s}/#"


def lose(watcher, client):
    """Cuts a member's connection; its will, seen by the watcher, tells that the broker knows."""
    client.drop()
    assert watcher.message().payload == b"lost"


def mortal(connect, broker, s, **options):
    """A member with a will that `lose` waits for."""
    topic = s.replace("s/", "lost/", 1)
    watcher = connect(broker)
    watcher.granted(topic, qos=1)
    return watcher, connect(broker, will={"topic": topic, "payload": b"lost", "qos": 1}, **options)


def test_two_members_share_a_backlog(broker, connect, writer, s, group):
    write(writer, f"{s}/a", *range(1, 21))
    one = connect(broker, receive_maximum=10, auto_ack=False)
    two = connect(broker, receive_maximum=10, auto_ack=False)
    one.replay("first", group)
    two.replay("first", group)
    got_one, got_two = one.messages(10), two.messages(10)
    assert sorted(sequences(got_one + got_two)) == list(range(1, 21))
    for got in (got_one, got_two):
        assert sequences(got) == sorted(sequences(got))
        assert not any(message.redelivered or message.dup for message in got)
    for client, got in ((one, got_one), (two, got_two)):
        for message in got:
            client.puback(message)
        client.sync()
        assert client.set_aside() == []


@pytest.mark.parametrize("qos", [0, 1])
def test_a_large_backlog_is_shared_without_loss_or_repetition(broker, connect, writer, s, group, qos):
    writer.publish_all((f"{s}/{number % 5}", number) for number in range(600))
    members = [connect(broker, receive_maximum=7) for _ in range(3)]
    for one in members:
        one.replay("first", group, qos=qos)
    for number in range(600, 700):
        writer.publish(f"{s}/{number % 5}", number)
    got = []
    while len(got) < 700:
        for one in members:
            one.sync()
            got += one.set_aside()
    for one in members:
        one.sync()
        got += one.set_aside()
    assert sorted(int(text) for text in payloads(got)) == list(range(700))


def test_granted_qos_is_at_most_1(broker, connect, writer, s, group):
    client = connect(broker)
    assert client.replay("first", group, qos=2).reasons == [1]
    writer.publish(f"{s}/a", "m", qos=2)
    assert client.message().qos == 1


def test_deliveries_carry_the_bare_topic_and_store_properties(broker, connect, writer, s, group, name):
    write(writer, f"{s}/a", 1)
    client = connect(broker)
    client.replay("first", group, subscription_id=3)
    got = client.message()
    assert (got.topic, got.subscription_ids, got.seq) == (f"{s}/a", [3], 1)
    assert got.user_value("es-channel") == f"s.{name}.a"


def test_the_first_members_start_counts(broker, connect, writer, s, group):
    write(writer, f"{s}/a", 1, 2)
    one, two = connect(broker), connect(broker)
    assert one.replay("new", group).user_value("es-start") == "fresh"
    assert two.replay("first", group).user_value("es-start") == "resumed"
    write(writer, f"{s}/a", 3, 4)
    got = []
    while len(got) < 2:
        for client in (one, two):
            client.sync()
            got += client.set_aside()
    assert sorted(sequences(got)) == [3, 4]


def test_a_later_members_start_is_checked_all_the_same(broker, connect, writer, s, group):
    connect(broker).replay("first", group)
    assert connect(broker).subscribe(group, qos=1, user=[("replay", "fist")]).reasons == [0x83]


def test_a_member_that_leaves_hands_its_events_to_another_before_newer_ones(broker, connect, writer, s, group):
    write(writer, f"{s}/a", *range(1, 11))
    watcher, one = mortal(connect, broker, s, receive_maximum=5, auto_ack=False)
    one.replay("first", group)
    held = one.messages(5)
    assert sequences(held) == [1, 2, 3, 4, 5]
    two = connect(broker, receive_maximum=1, auto_ack=False)
    two.replay("first", group)
    newer = two.message()
    assert newer.seq == 6
    one.puback(held[1])
    assert one.message().seq == 7
    one.sync()
    lose(watcher, one)
    got, now = [], newer
    while len(got) < 8:
        two.puback(now)
        now = two.message()
        got.append(now)
    assert sequences(got) == [1, 3, 4, 5, 7, 8, 9, 10]
    assert [one.redelivered for one in got] == [True] * 5 + [False] * 3
    assert not any(one.dup for one in got)


def test_a_member_that_disconnects_hands_its_events_over_too(broker, connect, writer, s, group):
    write(writer, f"{s}/a", 1, 2, 3)
    one = connect(broker, auto_ack=False)
    one.replay("first", group)
    one.messages(3)
    two = connect(broker)
    two.replay("first", group)
    one.disconnect()
    got = two.messages(3)
    assert sequences(got) == [1, 2, 3]
    assert all(message.redelivered for message in got)


def test_a_member_that_unsubscribes_hands_its_events_over_too(broker, connect, writer, s, group):
    write(writer, f"{s}/a", 1, 2, 3)
    one = connect(broker, auto_ack=False)
    one.replay("first", group)
    one.messages(3)
    two = connect(broker)
    two.replay("first", group)
    one.unsubscribe(group)
    write(writer, f"{s}/a", 4)
    got = two.messages(4)
    assert sequences(got)[-1] == 4
    assert sorted(sequences(got)) == [1, 2, 3, 4]


def test_nothing_is_parked_on_an_absent_member(broker, connect, writer, s, group, name):
    watcher, one = mortal(connect, broker, s, client_id=name, session_expiry=1000, auto_ack=False)
    one.replay("first", group)
    write(writer, f"{s}/a", 1, 2)
    one.messages(2)
    two = connect(broker)
    two.replay("first", group)
    lose(watcher, one)
    write(writer, f"{s}/a", 3, 4)
    assert sequences(two.messages(4)) == [1, 2, 3, 4]
    two.sync()
    back = connect(broker, name, clean=False, session_expiry=1000)
    back.sync()
    assert back.set_aside() == []


def test_with_no_member_connected_events_wait(broker, connect, writer, s, group):
    one = connect(broker)
    one.replay("new", group)
    one.disconnect()
    write(writer, f"{s}/a", 1, 2, 3)
    two = connect(broker)
    assert two.replay("new", group).user_value("es-start") == "resumed"
    assert sequences(two.messages(3)) == [1, 2, 3]


def test_the_position_stays_when_all_members_leave(broker, connect, writer, s, group):
    write(writer, f"{s}/a", 1, 2)
    one = connect(broker)
    one.replay("first", group)
    one.messages(2)
    one.sync()
    one.disconnect()
    two = connect(broker)
    two.replay("first", group)
    write(writer, f"{s}/a", 3)
    assert two.message().seq == 3


def test_puback_with_an_error_discards_the_event(broker, connect, writer, s, group):
    write(writer, f"{s}/a", 1, 2)
    one = connect(broker, auto_ack=False)
    one.replay("first", group)
    one.puback(one.message(), 0x83)
    one.sync()
    two = connect(broker)
    two.replay("first", group)
    one.disconnect()
    write(writer, f"{s}/a", 3)
    assert sequences(two.messages(2)) == [2, 3]


def test_unsubscribe_of_the_last_member_deletes_the_position(broker, connect, writer, s, group):
    write(writer, f"{s}/a", 1, 2)
    one, two = connect(broker), connect(broker)
    one.replay("first", group)
    one.messages(2)
    one.sync()
    two.replay("first", group)
    one.unsubscribe(group)
    three = connect(broker)
    assert three.replay("first", group).user_value("es-start") == "resumed"
    two.unsubscribe(group)
    three.unsubscribe(group)
    four = connect(broker)
    assert four.replay("first", group).user_value("es-start") == "fresh"
    assert sequences(four.messages(2)) == [1, 2]


def test_unsubscribe_with_cursor_keep_keeps_the_position(broker, connect, writer, s, group):
    write(writer, f"{s}/a", 1, 2)
    one = connect(broker)
    one.replay("first", group)
    one.messages(2)
    one.sync()
    one.unsubscribe(group, user=[("cursor", "keep")])
    two = connect(broker)
    assert two.replay("first", group).user_value("es-start") == "resumed"
    write(writer, f"{s}/a", 3)
    assert two.message().seq == 3


def test_group_and_client_cursors_are_apart(broker, connect, writer, s, group, name):
    write(writer, f"{s}/a", 1)
    client = connect(broker, name)
    for filter_text in (group, f"{s}/#", f"$share/{name}-other/{s}/#"):
        assert client.replay("first", filter_text).user_value("es-start") == "fresh"
        assert client.message().seq == 1


def test_a_shared_subscription_without_a_start_is_apart_from_the_group_with_one(
    broker, connect, writer, s, group, name
):
    write(writer, f"{s}/a", 1)
    plain, replaying = connect(broker), connect(broker)
    plain.granted(f"$share/{name}-plain/{s}/#", qos=1)
    replaying.replay("first", group)
    assert replaying.message().seq == 1
    write(writer, f"{s}/a", 2)
    assert plain.message().user == []
    assert replaying.message().seq == 2


def test_3_1_1_members_share_with_version_5_members(broker, connect, writer, s, group):
    write(writer, f"{s}/a", *range(1, 11))
    old = connect(broker, version=4, auto_ack=False)
    old.replay("first", group)
    new = connect(broker, auto_ack=False)
    new.replay("first", group)
    old.sync()
    new.sync()
    got = old.set_aside() + new.set_aside()
    assert sorted(int(text) for text in payloads(got)) == list(range(1, 11))


def test_no_local_on_a_group_is_a_protocol_error(broker, connect, group):
    client = connect(broker)
    client.send_subscribe(group, qos=1, no_local=True, user=[("replay", "first")])
    client.expect_disconnect(0x82)


def test_hash_topic_holds_a_topic_at_one_member_while_it_has_unacknowledged_events(broker, connect, writer, s, name):
    one, two = connect(broker, auto_ack=False), connect(broker, auto_ack=False)
    for client in (one, two):
        client.replay("first", f"$share/hash-{name}/{s}/#")
    writer.publish_all((f"{s}/{number % 20}", number) for number in range(200))
    got = collect(one, two, count=200)
    topics = [{message.topic for message in part} for part in got]
    assert topics[0] & topics[1] == set()
    assert topics[0] and topics[1], "20 topics all went to one of two members"
    check_order_per_topic(got, topics, last=10)


def test_hash_topic_keeps_each_topics_order(broker, connect, writer, s, name):
    members = [connect(broker, receive_maximum=3) for _ in range(3)]
    for client in members:
        client.replay("first", f"$share/hash-{name}/{s}/#")
    writer.publish_all((f"{s}/{number % 20}", number) for number in range(400))
    got = collect(*members, count=400)
    assert sorted(int(text) for part in got for text in payloads(part)) == list(range(400))
    for part in got:
        for topic in {message.topic for message in part}:
            found = sequences(message for message in part if message.topic == topic)
            assert found == sorted(found)


def collect(*members, count):
    """What each member got, when all of it is there."""
    got = [[] for _ in members]
    while sum(map(len, got)) < count:
        for client, part in zip(members, got, strict=True):
            client.sync()
            part += client.set_aside()
    return got


def check_order_per_topic(got, topics, last):
    """Every topic is whole and in order at its member."""
    for part, at_member in zip(got, topics, strict=True):
        for topic in at_member:
            assert sequences(m for m in part if m.topic == topic) == list(range(1, last + 1))


def test_a_restart_keeps_the_position_and_the_acknowledgements_above_it(brokers, connect):
    one = brokers(store=["s/#"])
    write(connect(one), "s/a", *range(1, 7))
    client = connect(one, auto_ack=False)
    client.replay("first", "$share/g/s/#")
    got = client.messages(6)
    for index in (0, 2, 4):
        client.puback(got[index])
    client.sync()
    one.restart()
    client = connect(one)
    assert client.replay("first", "$share/g/s/#").user_value("es-start") == "resumed"
    write(connect(one), "s/a", 7)
    assert sequences(client.messages(4)) == [2, 4, 6, 7]


def test_a_crash_loses_no_event_of_a_group(brokers, connect, clock):
    one = brokers(store=["s/#"])
    write(connect(one), "s/a", *range(1, 7))
    client = connect(one, auto_ack=False)
    client.replay("first", "$share/g/s/#")
    got = client.messages(6)
    for index in (0, 2, 4):
        client.puback(got[index])
    client.sync()
    clock(1.5)
    one.crash()
    client = connect(one)
    client.replay("first", "$share/g/s/#")
    write(connect(one), "s/a", 7)
    assert sequences(client.messages(4)) == [2, 4, 6, 7]


def test_a_connected_member_that_is_slow_keeps_its_events(broker, connect, writer, s, group, clock):
    write(writer, f"{s}/a", 1, 2)
    slow = connect(broker, auto_ack=False)
    slow.replay("first", group)
    slow.messages(2)
    other = connect(broker)
    other.replay("first", group)
    clock(2)
    for client in (slow, other):
        client.sync()
        assert client.set_aside() == []  # [MQTT-4.4.0-1]
