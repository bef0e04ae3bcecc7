"""Attacks of clients that were let in: size, depth, numbers, and what is never read or never finished."""

import itertools

import pytest

import attacks
import wire
from attacks import memory

PACKET_SIZE = 64 << 10
BROKER = {
    "config": {
        "session": {"max_packet_size": PACKET_SIZE, "max_subscriptions": 2_000, "receive_maximum": 100},
        "log": attacks.QUIET,
    },
    "store": ["s/#"],
}


def limited(broker, limit):
    """How often a limit was counted."""
    return broker.metrics().total("rewindmq_limited_total", limit=limit)


def exact_publish(topic: str, size: int) -> bytes:
    """A PUBLISH of exactly this many bytes, QoS 0."""
    payload = size - 4 - (2 + len(topic) + 1)
    packet = wire.publish(5, topic, b"x" * payload, 0, False, False, None, [])
    assert len(packet) == size
    return packet


def test_packets_of_the_maximum_size_pass_and_one_byte_more_ends_the_connection(broker, good):
    before = limited(broker, "packet_size")
    client = good.client()
    reader = good.client()
    reader.granted("large")
    for _ in range(50):
        client.send(exact_publish("large", PACKET_SIZE))
        assert len(reader.message().raw) > PACKET_SIZE - 10
    good.check()
    client.send(exact_publish("large", PACKET_SIZE + 1))
    client.expect_disconnect(0x95)
    assert limited(broker, "packet_size") == before + 1


def test_a_slow_reader_on_a_fast_topic_takes_bounded_memory(brokers):
    broker = brokers(
        config={"session": {"outbox_bytes": "256KiB", "max_queued_bytes": "1MiB"}, "log": attacks.QUIET}
    )
    good = attacks.Bystander(broker)
    deaf = [good.client() for _ in range(20)]
    for one in deaf:
        one.socket.setsockopt(attacks.socket.SOL_SOCKET, attacks.socket.SO_RCVBUF, 4_096)
        one.send_subscribe("fast", qos=1)
        one.expect(wire.SUBACK)
    publisher = good.client()
    before = memory(broker)
    # 200 MiB in all, 10 MiB to each of 20 that read none of it.
    for number in range(640):
        publisher.send_publish("fast", b"x" * (16 << 10), qos=number % 2)
    publisher.sync()
    good.check()
    now = broker.metrics()
    assert now.sum_like("rewindmq_dropped_total") > 0
    # 20 times 1 MiB queued, 256 KiB of output and what one turn adds; much less than what was sent.
    assert memory(broker) - before < 120 << 20
    good.check()
    good.close()


def test_thousands_of_user_properties(broker, good):
    before = limited(broker, "user_properties")
    many = [("user", ("n", "v"))] * 5_000
    client = good.client()
    client.send(wire.publish(5, "t", b"", 0, False, False, None, many))
    client.expect_disconnect(0x97)
    client = good.client()
    client.send(wire.subscribe(5, 1, [("t", 0)], many))
    client.expect_disconnect(0x97)
    client = good.client()
    client.send(wire.packet(wire.DISCONNECT, 0, b"\x00" + wire.properties_bytes(many)))
    client.expect_disconnect(0x97)
    assert limited(broker, "user_properties") == before + 3
    # As many as are allowed reach their reader.
    reader = good.client()
    reader.granted("allowed")
    good.publisher.publish("allowed", "m", user=[("n", "v")] * 1_000)
    assert len([name for name, _ in reader.message().properties if name == "user"]) == 1_000


@pytest.mark.parametrize("levels", [201, 30_000])
def test_deep_topics_and_filters(broker, good, levels):
    deep = "/".join("a" * levels)
    client = good.client()
    assert client.publish(deep, "m", qos=1).reason == 0x90
    assert client.publish(deep, "m", qos=1, retain=True).reason == 0x90
    for name in (deep, "/".join("+" * levels), "/" * (levels - 1), f"$share/g/{deep}"):
        assert client.subscribe(name).reasons == [0x8F]
        assert client.unsubscribe(name).reasons == [0x11]


def test_topics_and_filters_of_the_deepest_kind_that_is_allowed(broker, good):
    client = good.client()
    deep = "/".join("a" * 200)
    client.granted(deep, "/".join("+" * 200), "/".join(["+", "a"] * 99 + ["#"]), qos=1)
    for _ in range(20):
        client.publish(deep, "m")
    assert len(client.messages(20)) == 20


def test_a_storm_of_subscriptions_ends_at_the_limit(broker, good):
    before = limited(broker, "subscriptions")
    subscriptions = broker.metrics().total("rewindmq_subscriptions")
    client = good.client()
    for first in range(0, 3_000, 500):
        reasons = client.subscribe(*[f"storm/{number}/+" for number in range(first, first + 500)]).reasons
        wanted = 0 if first < 2_000 else 0x97
        assert set(reasons) == {wanted}
        good.check()
    assert limited(broker, "subscriptions") == before + 1_000
    client.disconnect()
    broker.wait_metrics(lambda now: now.total("rewindmq_subscriptions") == subscriptions)


def test_churn_of_subscriptions_beside_traffic(broker, good):
    client = good.client()
    for number in range(500):
        name = ["churn/+", "good/#", "+/t", "$share/g/good/t", "#"][number % 5]
        client.granted(name)
        client.unsubscribe(name)
        if number % 50 == 0:
            good.check()
    assert client.subscribe("churn/a").reasons == [0]


def test_every_topic_alias_and_one_more(broker, good):
    client = good.client()
    highest = client.connack.prop("topic_alias_maximum")
    reader = good.client()
    reader.granted("alias/#")
    for alias in itertools.chain(range(1, highest + 1), range(highest, 0, -1)):
        client.send_publish(f"alias/{alias}", "m", topic_alias=alias)
        client.send_publish("", "m", topic_alias=alias)
    assert len(reader.messages(4 * highest)) == 4 * highest
    client.send_publish("alias/x", "m", topic_alias=highest + 1)
    client.expect_disconnect(0x94)


def test_packet_identifiers_that_nobody_gave_out(broker, good):
    client = good.client()
    for packet_id in range(1, 500):
        client.ack(wire.PUBREL, packet_id)
        assert client.expect(wire.PUBCOMP, packet_id).reason == 0x92
    client.sync()
    for kind in (wire.PUBACK, wire.PUBREC, wire.PUBCOMP):
        one = good.client()
        for packet_id in range(1, 500):
            one.ack(kind, packet_id)
        good.check()
        one.socket.close()
    zero = good.client()
    zero.send(wire.publish(5, "t", b"", 1, False, False, 0, []))
    zero.expect_disconnect(0x81, 0x82)


def test_qos_2_that_is_never_completed_ends_at_receive_maximum(broker, good):
    client = good.client()
    for packet_id in range(1, 101):
        client.send_publish("t", "m", qos=2, packet_id=packet_id)
        client.expect(wire.PUBREC, packet_id)
    # The same ones again take no more room.
    for packet_id in range(1, 101):
        client.send_publish("t", "m", qos=2, packet_id=packet_id, dup=True)
        client.expect(wire.PUBREC, packet_id)
    client.send_publish("t", "m", qos=2, packet_id=101)
    client.expect_disconnect(0x93)


def test_deliveries_that_are_never_acknowledged_hold_up_nobody_else(broker, good):
    client = attacks.Client(broker.port, auto_ack=False)
    good.clients.append(client)
    client.connect()
    client.granted("good/#", qos=2)
    good.publisher.publish_all([("good/x", "m")] * 3_000)
    for _ in range(3_000):
        good.reader.message()
    good.check()


def test_a_flood_of_retained_messages_ends_at_the_limit(brokers):
    broker = brokers(config={"retained": {"max_messages": 100}, "log": attacks.QUIET})
    good = attacks.Bystander(broker)
    client = good.client()
    for number in range(300):
        client.publish(f"r/{number}", "m", retain=True)
    now = broker.wait_metrics(lambda now: now.total("rewindmq_retained_messages") == 100)
    assert now.total("rewindmq_dropped_total", reason="retained_full") == 200
    good.check()
    good.close()


def test_a_storm_of_cursors_ends_at_the_limit(brokers):
    broker = brokers(config={"store": {"max_cursors_per_client": 50}, "log": attacks.QUIET}, store=["s/#"])
    good = attacks.Bystander(broker)
    client = good.client()
    names = [f"s/{number}" for number in range(80)]
    reasons = client.subscribe(*names, qos=1, user=[("replay", "first")]).reasons
    assert reasons == [1] * 50 + [0x97] * 30
    assert limited(broker, "cursors") == 30
    good.check()
    good.close()
