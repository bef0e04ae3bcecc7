"""Limits of the configuration: each refuses with its reason code, counts, and leaves others alone."""

import socket

import pytest

import wire
from raw import payloads

BROKER = {
    "config": {
        "limits": {
            "max_topic_levels": 3,
            "max_topic_bytes": 40,
            "max_filter_levels": 3,
            "max_filter_bytes": 50,
            "max_user_properties": 3,
            "max_user_property_bytes": 100,
            "max_will_bytes": 10,
        }
    }
}


def limited(broker, limit):
    """How often a limit was counted."""
    return broker.metrics().total("rewindmq_limited_total", limit=limit)


@pytest.mark.parametrize("topic", ["l/2/3/4", "///", "t" * 41])
@pytest.mark.parametrize("qos", [1, 2])
def test_a_topic_beyond_is_refused(broker, connect, topic, qos):
    before = limited(broker, "topic")
    client = connect(broker)
    assert client.publish(topic, "m", qos=qos).reason == 0x90
    assert limited(broker, "topic") == before + 1
    assert client.publish("l/2/3", "m", qos=qos).reason < 0x80


def test_a_qos_0_message_with_a_topic_beyond_is_dropped_and_counted(broker, connect):
    client = connect(broker)
    client.granted("#")
    before = broker.metrics().total("rewindmq_dropped_total", reason="invalid_topic")
    client.send_publish("a/b/c/d", "m")
    client.send_publish("a/b/c", "end")
    assert payloads(client.until("end")) == []
    assert broker.metrics().total("rewindmq_dropped_total", reason="invalid_topic") == before + 1


@pytest.mark.parametrize("name", ["a/b/+/d", "+/+/+/#", "f" * 51])
@pytest.mark.parametrize("version", [4, 5])
def test_a_filter_beyond_is_refused_alone(broker, connect, name, version):
    before = limited(broker, "filter")
    client = connect(broker, version=version)
    assert client.subscribe("a/b/#", name, "x").reasons == [0, 0x8F if version == 5 else 0x80, 0]
    assert limited(broker, "filter") == before + 1


@pytest.mark.parametrize("user", [[("n", "v")] * 4, [("n", "v" * 100)]])
def test_user_properties_beyond_end_the_connection(broker, connect, dial, user):
    before = limited(broker, "user_properties")
    connect(broker).publish("t", "m", user=[("n", "v")] * 3)
    client = connect(broker)
    client.send_publish("t", "m", user=user)
    client.expect_disconnect(0x97)
    client = connect(broker)
    client.send_subscribe("t", user=user)
    client.expect_disconnect(0x97)
    assert dial(broker).connect("u", user=user).reason == 0x97
    assert limited(broker, "user_properties") == before + 3


@pytest.mark.parametrize(
    ("topic", "payload", "reason"), [("w", b"12345678901", 0x97), ("a/b/c/d", b"", 0x90), ("w", b"1234567890", 0)]
)
def test_a_will_beyond_is_refused(broker, dial, topic, payload, reason):
    assert dial(broker).connect("w", will={"topic": topic, "payload": payload}).reason == reason


def test_one_more_session_is_refused_and_those_that_are_there_go_on(brokers, connect, durable, back, dial):
    broker = brokers(config={"limits": {"max_sessions": 2}})
    durable(broker, "away").disconnect()
    first = connect(broker, "first")
    assert dial(broker).connect("second").reason == 0x97
    assert dial(broker, version=4).connect("second").reason == 3
    assert limited(broker, "sessions") == 2
    back(broker, "away")
    first.disconnect()
    connect(broker, "second")


def test_an_address_has_no_more_connections_than_it_may(brokers, connect):
    broker = brokers(
        config={"limits": {"max_connections_per_address": 3, "connection_rate": 0, "limit_loopback": True}}
    )
    # Who sends nothing counts as well.
    idle = [socket.create_connection(("127.0.0.1", broker.port)) for _ in range(2)]
    client = connect(broker)
    with socket.create_connection(("127.0.0.1", broker.port), timeout=15) as one_more:
        assert one_more.recv(1) == b""
    broker.wait_log(r"WARN.*max_connections_per_address")
    assert limited(broker, "address_connections") == 1
    with socket.create_connection(
        ("127.0.0.1", broker.port), timeout=15, source_address=("127.0.0.2", 0)
    ) as from_elsewhere:
        from_elsewhere.sendall(wire.connect(5, "elsewhere", True, 0, [], None))
        assert from_elsewhere.recv(1) == b"\x20"
    for one in idle:
        one.close()
    client.sync()
    broker.wait_metrics(lambda now: now.total("rewindmq_connections_refused_total", reason="lost") == 2)
    connect(broker)


def test_an_address_opens_connections_no_faster_than_it_may(brokers, connect):
    limits = {"connection_rate": 1, "connection_burst": 20, "limit_loopback": True}
    broker = brokers(config={"limits": limits})
    client = connect(broker)
    refused = 0
    for _ in range(200):
        with socket.create_connection(("127.0.0.1", broker.port), timeout=15) as one:
            # The broker closes at once, or waits for CONNECT until this side closes.
            one.shutdown(socket.SHUT_WR)
            try:
                one.recv(1)
            except ConnectionResetError:
                pass
        refused = limited(broker, "connection_rate")
        if refused >= 3:
            break
    assert refused >= 3
    client.sync()
    broker.wait_log(r"WARN.*connection_rate")
    assert sum("connection_rate" in line for line in broker.log) == 1


@pytest.mark.parametrize(
    ("limits", "count", "size"), [({"publish_rate": 200}, 300, 1), ({"publish_bytes": 20_000}, 30, 1_000)]
)
@pytest.mark.parametrize("qos", [0, 1])
def test_a_publisher_beyond_its_rate_waits_and_loses_nothing(brokers, connect, limits, count, size, qos):
    broker = brokers(config={"limits": limits})
    reader = connect(broker)
    reader.granted("t", qos=qos)
    publisher = connect(broker)
    for number in range(count):
        publisher.send_publish("t", f"{number:05}".ljust(size, "."), qos=qos)
    got = reader.messages(count, timeout=60)
    assert [int(one.payload[:5]) for one in got] == list(range(count))
    publisher.sync()
    assert limited(broker, "publish_rate") > 0
    assert not any(reader.set_aside())


def test_a_held_back_publisher_stays_connected_longer_than_its_keep_alive(brokers, connect):
    broker = brokers(config={"limits": {"publish_bytes": 1_000}})
    reader = connect(broker)
    reader.granted("t")
    publisher = connect(broker, keep_alive=1)
    # Four seconds' worth: the keep-alive would be over in one and a half.
    publisher.send_publish("t", "x" * 5_000)
    publisher.send_publish("t", "end")
    assert len(reader.until("end")) == 1
    publisher.sync()
