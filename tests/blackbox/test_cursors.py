"""Cursors: replayed once per client identifier and filter, whatever happens to connections and sessions."""

import pytest

import wire
from raw import payloads


def write(client, topic, *numbers):
    """Publishes numbers as stored events."""
    for number in numbers:
        assert client.publish(topic, number).user_value("es-seq") is not None


def leave(client):
    """Lets the broker take in all acknowledgements, then disconnects."""
    client.sync()
    client.disconnect()


def rest(client, writer, topic):
    """All events still to come to a replay subscription; the marker that ends them is acknowledged too."""
    writer.publish(topic, "marker")
    return client.until("marker")


@pytest.fixture
def writer(broker, connect):
    """A publisher."""
    return connect(broker)


def test_a_second_run_gets_only_what_is_new(broker, connect, writer, s, name):
    write(writer, s, 1, 2, 3)
    client = connect(broker, name)
    client.replay("first", s)
    assert payloads(client.messages(3)) == ["1", "2", "3"]
    leave(client)
    write(writer, s, 4, 5)
    client = connect(broker, name)
    assert client.replay("first", s).user_value("es-start") == "resumed"
    assert payloads(rest(client, writer, s)) == ["4", "5"]


@pytest.mark.parametrize("start", ["first", "last", "last:3", "seq:1", "time:1", "delta:1d", "new"])
def test_every_start_option_is_void_once_there_is_a_cursor(broker, connect, writer, s, name, start):
    write(writer, s, 1, 2)
    client = connect(broker, name)
    client.replay("first", s)
    client.messages(2)
    leave(client)
    write(writer, s, 3)
    client = connect(broker, name)
    client.replay(start, s)
    assert payloads(rest(client, writer, s)) == ["3"]


def test_new_makes_a_cursor_too(broker, connect, writer, s, name):
    write(writer, s, 1, 2)
    client = connect(broker, name)
    client.replay("new", s)
    leave(client)
    write(writer, s, 3, 4)
    client = connect(broker, name)
    client.replay("first", s)
    assert payloads(rest(client, writer, s)) == ["3", "4"]


SECOND_RUNS = {
    "clean start": {"clean": True},
    "no clean start": {"clean": False},
    "session expiry": {"clean": True, "session_expiry": 1000},
    "another version": {"version": 4},
}


@pytest.mark.parametrize("second", SECOND_RUNS)
@pytest.mark.parametrize("first", SECOND_RUNS)
def test_clean_start_session_expiry_and_version_do_not_matter(broker, connect, writer, s, name, first, second):
    write(writer, s, 1, 2)
    client = connect(broker, name, **SECOND_RUNS[first])
    client.replay("first", s)
    assert payloads(client.messages(2)) == ["1", "2"]
    leave(client)
    connect(broker, name, clean=True).disconnect()
    write(writer, s, 3)
    client = connect(broker, name, **SECOND_RUNS[second])
    client.replay("first", s)
    assert payloads(rest(client, writer, s)) == ["3"]


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_qos_is_not_part_of_the_key(broker, connect, writer, s, name, qos):
    write(writer, s, 1, 2)
    client = connect(broker, name)
    client.replay("first", s, qos=qos)
    client.messages(2)
    leave(client)
    write(writer, s, 3)
    client = connect(broker, name)
    client.replay("first", s, qos=2 - qos)
    assert payloads(rest(client, writer, s)) == ["3"]


def test_the_prefix_is_not_part_of_the_key(broker, connect, writer, s, name):
    write(writer, s, 1)
    client = connect(broker, name)
    client.granted(f"$replay/first/{s}", qos=1)
    client.message()
    leave(client)
    client = connect(broker, name)
    assert client.replay("first", s).user_value("es-start") == "resumed"
    assert rest(client, writer, s) == []


def test_each_client_and_each_filter_text_has_its_own_cursor(broker, connect, writer, s, name):
    write(writer, f"{s}/a", 1, 2)
    for client_id, filter_text in [(name, f"{s}/a"), (name, f"{s}/+"), (name, f"{s}/#"), (name + "x", f"{s}/a")]:
        client = connect(broker, client_id)
        assert client.replay("first", filter_text).user_value("es-start") == "fresh"
        assert payloads(client.messages(2)) == ["1", "2"]
        leave(client)


def test_take_over_goes_on_with_the_cursor(broker, connect, writer, s, name):
    write(writer, s, 1, 2)
    old = connect(broker, name)
    old.replay("first", s)
    old.messages(2)
    old.sync()
    new = connect(broker, name)
    new.replay("first", s)
    assert payloads(rest(new, writer, s)) == []
    old.expect_disconnect(0x8E)


# The floor: what counts as acknowledged


def test_unacknowledged_events_come_again_in_order_and_marked(broker, connect, writer, s, name):
    write(writer, s, 1, 2, 3)
    client = connect(broker, name, auto_ack=False)
    client.replay("first", s)
    got = client.messages(3)
    client.puback(got[0])
    leave(client)
    write(writer, s, 4)
    client = connect(broker, name)
    client.replay("first", s)
    again = rest(client, writer, s)
    assert payloads(again) == ["2", "3", "4"]
    assert [one.redelivered for one in again] == [True, True, False]
    assert not any(one.dup for one in again)
    assert [key for key, _ in again[0].user] == ["es-seq", "es-time", "es-channel", "es-redelivered"]


def test_the_cursor_stands_below_the_first_gap_of_acknowledgements(broker, connect, writer, s, name):
    write(writer, s, 1, 2, 3, 4)
    client = connect(broker, name, auto_ack=False)
    client.replay("first", s)
    got = client.messages(4)
    client.puback(got[2])
    client.puback(got[0])
    leave(client)
    client = connect(broker, name)
    client.replay("first", s)
    again = payloads(rest(client, writer, s))
    assert again in (["2", "4"], ["2", "3", "4"])


def test_nothing_acknowledged_means_everything_again(broker, connect, writer, s, name):
    write(writer, s, 1, 2)
    for _ in range(3):
        client = connect(broker, name, auto_ack=False)
        client.replay("first", s)
        assert payloads(client.messages(2)) == ["1", "2"]
        leave(client)


@pytest.mark.parametrize("reason", [0x00, 0x10, 0x80, 0x83, 0x97, 0x99])
def test_puback_with_any_reason_acknowledges(broker, connect, writer, s, name, reason):
    write(writer, s, 1, 2)
    client = connect(broker, name, auto_ack=False)
    client.replay("first", s)
    client.puback(client.message(), reason)
    leave(client)
    client = connect(broker, name)
    client.replay("first", s)
    assert payloads(rest(client, writer, s)) == ["2"]


def test_qos_2_is_acknowledged_by_pubcomp(broker, connect, writer, s, name):
    for number in (1, 2, 3):
        writer.publish(s, number, qos=2)
    client = connect(broker, name, auto_ack=False)
    client.replay("first", s, qos=2)
    first, second, _third = client.messages(3)
    for one in (first, second):
        client.ack(wire.PUBREC, one.packet_id)
        client.expect(wire.PUBREL, one.packet_id)
    client.ack(wire.PUBCOMP, first.packet_id)
    leave(client)
    client = connect(broker, name)
    client.replay("first", s, qos=2)
    assert payloads(rest(client, writer, s)) == ["2", "3"]


def test_pubrec_with_an_error_acknowledges(broker, connect, writer, s, name):
    for number in (1, 2):
        writer.publish(s, number, qos=2)
    client = connect(broker, name, auto_ack=False)
    client.replay("first", s, qos=2)
    client.ack(wire.PUBREC, client.message().packet_id, 0x83)
    leave(client)
    client = connect(broker, name)
    client.replay("first", s, qos=2)
    assert payloads(rest(client, writer, s)) == ["2"]


def test_qos_0_is_acknowledged_by_being_sent(broker, connect, writer, s, name):
    for number in range(5):
        writer.publish(s, number, qos=1)
    client = connect(broker, name)
    client.replay("first", s, qos=0)
    assert [got.qos for got in client.messages(5)] == [0] * 5
    leave(client)
    client = connect(broker, name)
    client.replay("first", s, qos=0)
    assert rest(client, writer, s) == []


def test_events_published_at_qos_0_move_the_cursor_too(broker, connect, writer, s, name):
    for number in range(5):
        writer.publish(s, number, qos=0)
    writer.sync()
    client = connect(broker, name)
    client.replay("first", s, qos=1)
    assert payloads(client.messages(5)) == [str(number) for number in range(5)]
    leave(client)
    client = connect(broker, name)
    client.replay("first", s, qos=1)
    assert rest(client, writer, s) == []


def test_the_cursor_of_a_wildcard_is_one_over_all_channels(broker, connect, writer, s, name):
    for number in range(6):
        write(writer, f"{s}/{number % 2}", number)
    client = connect(broker, name, auto_ack=False)
    client.replay("first", f"{s}/#")
    for got in client.messages(6)[:3]:
        client.puback(got)
    leave(client)
    client = connect(broker, name)
    client.replay("first", f"{s}/#")
    assert payloads(rest(client, writer, f"{s}/0")) == ["3", "4", "5"]


# Removing


def test_unsubscribe_deletes_the_cursor(broker, connect, writer, s, name):
    write(writer, s, 1, 2)
    client = connect(broker, name)
    client.replay("first", s)
    client.messages(2)
    client.sync()
    assert client.unsubscribe(s).reasons == [0]
    assert client.replay("last", s).user_value("es-start") == "fresh"
    assert payloads(rest(client, writer, s)) == ["2"]


def test_unsubscribe_of_another_filter_leaves_it(broker, connect, writer, s, name):
    write(writer, f"{s}/a", 1, 2)
    client = connect(broker, name)
    client.replay("first", f"{s}/a")
    client.messages(2)
    client.unsubscribe(f"{s}/#", f"{s}/b")
    leave(client)
    client = connect(broker, name)
    client.replay("first", f"{s}/a")
    assert rest(client, writer, f"{s}/a") == []


@pytest.mark.parametrize("version", [4, 5])
def test_unsubscribe_takes_the_filter_with_its_prefix(broker, connect, writer, s, name, version):
    write(writer, s, 1)
    client = connect(broker, name, version=version)
    client.granted(f"$replay/first/{s}", qos=1)
    client.message()
    client.sync()
    client.unsubscribe(f"$replay/first/{s}")
    client.granted(f"$replay/first/{s}", qos=1)
    assert client.message().payload == b"1"


def test_unsubscribe_with_cursor_keep_keeps_it(broker, connect, writer, s, name):
    write(writer, s, 1, 2)
    client = connect(broker, name)
    client.replay("first", s)
    client.messages(2)
    client.sync()
    assert client.unsubscribe(s, user=[("cursor", "keep")]).reasons == [0]
    write(writer, s, 3)
    client.sync()
    assert client.set_aside() == []
    assert client.replay("first", s).user_value("es-start") == "resumed"
    assert payloads(rest(client, writer, s)) == ["3"]


def test_cursor_reset_makes_the_start_option_count_again(broker, connect, writer, s, name):
    write(writer, s, 1, 2, 3)
    client = connect(broker, name)
    client.replay("first", s)
    client.messages(3)
    leave(client)
    client = connect(broker, name)
    assert client.replay("seq:2", s, user=[("cursor", "reset")]).user_value("es-start") == "fresh"
    assert payloads(rest(client, writer, s)) == ["2", "3"]


def test_cursor_reset_without_a_cursor_is_a_fresh_start(broker, connect, writer, s):
    write(writer, s, 1)
    client = connect(broker)
    assert client.replay("first", s, user=[("cursor", "reset")]).user_value("es-start") == "fresh"
    assert payloads(rest(client, writer, s)) == ["1"]


def test_a_client_with_an_assigned_identifier_leaves_no_cursor(broker, connect, writer, s):
    write(writer, s, 1, 2)
    client = connect(broker)
    client.replay("first", s)
    client.messages(2)
    leave(client)
    client = connect(broker, client.client_id)
    assert client.replay("first", s).user_value("es-start") == "fresh"
    assert payloads(rest(client, writer, s)) == ["1", "2"]


def test_an_assigned_identifier_with_a_kept_session_keeps_its_cursor(broker, connect, writer, s):
    write(writer, s, 1, 2)
    client = connect(broker, session_expiry=1000)
    client.replay("first", s)
    client.messages(2)
    leave(client)
    client = connect(broker, client.client_id)
    assert client.replay("first", s).user_value("es-start") == "resumed"
    assert rest(client, writer, s) == []


def test_an_unused_cursor_goes_after_cursor_expiry(brokers, connect):
    one = brokers(config={"store": {"cursor_expiry": "1s", "retention_interval": "50ms"}}, store=["s/#"])
    writer = connect(one)
    write(writer, "s/a", 1, 2)
    client = connect(one, "me")
    client.replay("first", "s/a")
    client.messages(2)
    one.wait_metrics(lambda now: now.total("rewindmq_cursors") == 1)
    leave(client)
    one.wait_metrics(lambda now: now.total("rewindmq_cursors") == 0)
    client = connect(one, "me")
    assert client.replay("first", "s/a").user_value("es-start") == "fresh"
    assert payloads(client.messages(2)) == ["1", "2"]


def test_a_cursor_in_use_does_not_expire(brokers, connect, clock):
    one = brokers(config={"store": {"cursor_expiry": "1s", "retention_interval": "50ms"}}, store=["s/#"])
    writer = connect(one)
    client = connect(one, "me")
    client.replay("first", "s/a")
    clock(2.5)
    assert one.metrics().total("rewindmq_cursors") == 1
    write(writer, "s/a", 1)
    assert client.message().seq == 1


@pytest.mark.parametrize(("limit", "other_client"), [("max_cursors_per_client", False), ("max_cursors", True)])
def test_too_many_cursors_are_refused(brokers, connect, limit, other_client):
    one = brokers(config={"store": {limit: 2, "rules": [{"filters": ["s/#"]}]}})
    client = connect(one, "me")
    client.replay("first", "s/a", "s/b")
    if other_client:
        client = connect(one, "you")
    suback = client.subscribe("s/c", qos=1, user=[("replay", "first")])
    assert suback.reasons == [0x97]
    assert suback.prop("reason_string")
    assert client.unsubscribe("s/c").reasons == [0x11]
    old = connect(one, "me" if not other_client else "he", version=4)
    assert old.subscribe("$replay/first/s/d", qos=1).reasons == [0x80]
    assert old.subscribe("plain", qos=1).reasons == [1]


# Beside the session


def test_a_plain_subscription_neither_reads_nor_moves_the_cursor(broker, connect, writer, s, name):
    write(writer, s, 1, 2)
    client = connect(broker, name)
    client.replay("first", s)
    client.messages(2)
    leave(client)
    write(writer, s, 3)
    client = connect(broker, name)
    client.granted(s, qos=1)
    write(writer, s, 4)
    assert client.message().payload == b"4"
    leave(client)
    client = connect(broker, name)
    client.replay("first", s)
    assert payloads(rest(client, writer, s)) == ["3", "4"]


def test_subscribing_again_while_active_replays_nothing_and_replaces_the_options(broker, connect, writer, s):
    write(writer, s, 1, 2)
    client = connect(broker)
    client.replay("first", s, subscription_id=1, qos=1)
    client.messages(2)
    client.replay("first", s, subscription_id=2, qos=0)
    write(writer, s, 3)
    (got,) = rest(client, writer, s)
    assert (got.payload, got.qos, got.subscription_ids) == (b"3", 0, [2])


def test_a_kept_session_resends_in_flight_and_goes_on_without_subscribe(broker, connect, writer, s, name):
    write(writer, s, 1, 2, 3)
    client = connect(broker, name, session_expiry=1000, auto_ack=False)
    client.replay("first", s)
    before = client.messages(3)
    client.puback(before[0])
    leave(client)
    write(writer, s, 4, 5)
    client = connect(broker, name, clean=False, session_expiry=1000)
    assert client.connack.session_present
    again = rest(client, writer, s)
    assert payloads(again) == ["2", "3", "4", "5"]
    assert [one.packet_id for one in again[:2]] == [one.packet_id for one in before[1:]]
    assert [one.dup for one in again] == [True, True, False, False]
    assert not any(one.redelivered for one in again)


def test_a_kept_session_that_subscribes_again_gets_nothing_twice(broker, connect, writer, s, name):
    write(writer, s, 1, 2)
    client = connect(broker, name, session_expiry=1000)
    client.replay("first", s)
    client.messages(2)
    leave(client)
    write(writer, s, 3)
    client = connect(broker, name, clean=False, session_expiry=1000)
    client.replay("first", s)
    assert payloads(rest(client, writer, s)) == ["3"]


def test_3_1_1_kept_session_goes_on_with_its_replay(broker, connect, writer, s, name):
    write(writer, s, 1, 2)
    client = connect(broker, name, version=4, clean=False, auto_ack=False)
    client.replay("first", s)
    first, second = client.messages(2)
    client.puback(first)
    leave(client)
    write(writer, s, 3)
    client = connect(broker, name, version=4, clean=False)
    got = client.messages(2)
    assert payloads(got) == ["2", "3"]
    assert (got[0].dup, got[0].packet_id) == (True, second.packet_id)
