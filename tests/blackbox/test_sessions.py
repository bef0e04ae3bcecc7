"""Sessions: present, kept, expired, taken over; messages in flight come again (MQTT 5.0 sections 3.1, 4.1, 4.4)."""

import pytest

import wire
from raw import payloads

VERSIONS = [4, 5]


def kept(version):
    """CONNECT options of a session that outlives its connection."""
    return {"session_expiry": 1000} if version == 5 else {}


@pytest.mark.parametrize("version", VERSIONS)
def test_session_present_tells_whether_a_session_was_there(broker, connect, name, version):
    first = connect(broker, name, version=version, clean=False, **kept(version))
    assert first.connack.session_present is False
    first.disconnect()
    second = connect(broker, name, version=version, clean=False, **kept(version))
    assert second.connack.session_present is True
    second.disconnect()
    assert connect(broker, name, version=version, clean=True).connack.session_present is False


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("qos", [1, 2])
def test_messages_for_an_absent_client_wait_in_order(broker, connect, p, name, version, qos):
    client = connect(broker, name, version=version, clean=False, **kept(version))
    client.granted(f"{p}/#", qos=qos)
    client.disconnect()
    publisher = connect(broker)
    for number in range(50):
        publisher.publish(f"{p}/{number % 3}", number, qos=qos)
    client = connect(broker, name, version=version, clean=False, **kept(version))
    got = client.messages(50)
    assert payloads(got) == [str(number) for number in range(50)]
    assert not any(one.dup for one in got)


@pytest.mark.parametrize("version", VERSIONS)
def test_unacknowledged_publishes_come_again_first_with_dup_and_the_same_identifiers(broker, connect, p, name, version):
    client = connect(broker, name, version=version, clean=False, auto_ack=False, **kept(version))
    client.granted(p, qos=1)
    publisher = connect(broker)
    for number in range(5):
        publisher.publish(p, number)
    before = client.messages(5)
    client.puback(before[0])
    client.sync()
    client.drop()
    publisher.publish(p, 5)
    client = connect(broker, name, version=version, clean=False, auto_ack=False, **kept(version))
    again = client.messages(5)
    assert payloads(again) == ["1", "2", "3", "4", "5"]
    assert [got.packet_id for got in again[:4]] == [got.packet_id for got in before[1:]]
    assert [got.dup for got in again] == [True] * 4 + [False]


@pytest.mark.parametrize("version", VERSIONS)
def test_qos_2_goes_on_with_pubrel_after_pubrec(broker, connect, p, name, version):
    client = connect(broker, name, version=version, clean=False, auto_ack=False, **kept(version))
    client.granted(p, qos=2)
    publisher = connect(broker)
    publisher.publish(p, "a", qos=2)
    publisher.publish(p, "b", qos=2)
    first, second = client.messages(2)
    client.ack(wire.PUBREC, first.packet_id)
    client.expect(wire.PUBREL, first.packet_id)
    client.drop()
    client = connect(broker, name, version=version, clean=False, auto_ack=False, **kept(version))
    client.expect(wire.PUBREL, first.packet_id)
    client.ack(wire.PUBCOMP, first.packet_id)
    again = client.message()
    assert (again.payload, again.packet_id, again.dup) == (b"b", second.packet_id, True)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_qos_2_publish_is_not_delivered_again_after_reconnecting(broker, connect, p, name, version):
    watcher = connect(broker)
    watcher.granted(p, qos=2)
    client = connect(broker, name, version=version, clean=False, **kept(version))
    client.send_publish(p, "m", qos=2, packet_id=77)
    client.expect(wire.PUBREC, 77)
    client.drop()
    client = connect(broker, name, version=version, clean=False, **kept(version))
    client.send_publish(p, "m", qos=2, dup=True, packet_id=77)
    client.expect(wire.PUBREC, 77)
    client.ack(wire.PUBREL, 77)
    client.expect(wire.PUBCOMP, 77)
    client.publish(p, "end", qos=2)
    assert payloads(watcher.until("end")) == ["m"]


@pytest.mark.parametrize("version", VERSIONS)
def test_clean_start_discards_subscriptions_and_messages(broker, connect, p, name, version):
    client = connect(broker, name, version=version, clean=False, **kept(version))
    client.granted(f"{p}/old", qos=1)
    client.disconnect()
    publisher = connect(broker)
    publisher.publish(f"{p}/old", "lost")
    client = connect(broker, name, version=version, clean=True)
    client.granted(f"{p}/end", qos=1)
    publisher.publish(f"{p}/old", "lost too")
    publisher.publish(f"{p}/end", "end")
    assert client.until("end") == []


def test_session_ends_with_the_connection_without_session_expiry(broker, connect, name):
    connect(broker, name, clean=False).disconnect()
    assert connect(broker, name, clean=False).connack.session_present is False


def test_session_ends_after_session_expiry(broker, connect, name, clock):
    connect(broker, name, session_expiry=1).disconnect()
    clock(2.5)
    assert connect(broker, name, clean=False).connack.session_present is False


def test_session_clean_at_3_1_1_ends_with_the_connection(broker, connect, name):
    connect(broker, name, version=4, clean=True).disconnect()
    assert connect(broker, name, version=4, clean=False).connack.session_present is False


def test_disconnect_may_shorten_session_expiry(broker, connect, name):
    connect(broker, name, session_expiry=1000).disconnect(session_expiry=0)
    assert connect(broker, name, clean=False).connack.session_present is False


def test_disconnect_may_lengthen_session_expiry(broker, connect, name, clock):
    connect(broker, name, session_expiry=1).disconnect(session_expiry=1000)
    clock(2.5)
    assert connect(broker, name, clean=False).connack.session_present is True


def test_disconnect_must_not_set_session_expiry_where_it_was_0(broker, connect, name):
    client = connect(broker, name)
    client.send(wire.packet(wire.DISCONNECT, 0, b"\x00" + wire.properties_bytes([("session_expiry", 10)])))
    client.expect_disconnect(0x82)


@pytest.mark.parametrize("version", VERSIONS)
def test_second_connection_takes_over_and_keeps_the_session(broker, connect, p, name, version):
    old = connect(broker, name, version=version, clean=False, **kept(version))
    old.granted(p, qos=1)
    new = connect(broker, name, version=version, clean=False, **kept(version))
    if version == 5:
        old.expect_disconnect(0x8E)
    else:
        assert old.expect_closed() == []
    assert new.connack.session_present
    new.publish(p, "m")
    assert new.message().payload == b"m"


def test_take_over_across_versions(broker, connect, p, name):
    old = connect(broker, name, version=4, clean=False)
    old.granted(p, qos=1)
    new = connect(broker, name, clean=False, session_expiry=100)
    assert old.expect_closed() == []
    assert new.connack.session_present
    new.publish(p, "m")
    assert new.message().payload == b"m"


def test_server_assigns_a_client_identifier(broker, connect):
    one, two = connect(broker), connect(broker)
    assert one.connack.prop("assigned_client_id")
    assert one.connack.prop("assigned_client_id") != two.connack.prop("assigned_client_id")


def test_given_client_identifier_is_not_reassigned(broker, connect, name):
    assert connect(broker, name).connack.prop("assigned_client_id") is None


def test_3_1_1_empty_client_identifier_needs_a_clean_session(broker, dial):
    client = dial(broker, version=4)
    assert client.connect("", clean=True).reason == 0
    client = dial(broker, version=4)
    assert client.connect("", clean=False).reason == 2
    client.expect_closed()


def test_long_client_identifiers_are_welcome(broker, connect, name):
    assert connect(broker, name + "x" * 200).connack.reason == 0


def test_unsubscribed_filters_stay_away_from_a_resumed_session(broker, connect, p, name):
    client = connect(broker, name, session_expiry=1000)
    client.granted(f"{p}/a", f"{p}/b", qos=1)
    client.unsubscribe(f"{p}/a")
    client.disconnect()
    client = connect(broker, name, clean=False, session_expiry=1000)
    client.publish(f"{p}/a", "a")
    client.publish(f"{p}/b", "end")
    assert client.until("end") == []


def test_expired_messages_are_left_out_of_a_resumed_session(broker, connect, p, name, clock):
    client = connect(broker, name, session_expiry=1000)
    client.granted(p, qos=1)
    client.disconnect()
    publisher = connect(broker)
    publisher.publish(p, "short", message_expiry=1)
    publisher.publish(p, "long", message_expiry=100)
    publisher.publish(p, "end")
    clock(2)
    client = connect(broker, name, clean=False, session_expiry=1000)
    (got,) = client.until("end")
    assert got.payload == b"long"
    assert 80 <= got.prop("message_expiry") <= 98


def test_message_expiry_is_told_and_never_grows(broker, connect, p):
    client = connect(broker)
    client.granted(p, qos=1)
    client.publish(p, "m", message_expiry=100)
    assert 90 <= client.message().prop("message_expiry") <= 100
