"""QoS 2 of durable sessions over restarts and kill -9: once, in both directions (MQTT 5.0 section 4.3.3)."""

import pytest

import wire
from raw import payloads

VERSIONS = [4, 5]
WAYS = ["restart", "crash"]
TOPICS = ["s/a", "p/a", "n/a"]


@pytest.fixture
def one(brokers, durable):
    """A broker that stores `s/#`, with an absent durable subscriber to `s/#` and `p/#`; nobody wants `n/#`."""
    made = brokers(store=["s/#"])
    client = durable(made, "watcher")
    client.granted("s/#", "p/#", qos=2)
    client.disconnect()
    return made


@pytest.fixture
def delivered(one, connect, back):
    """Tells what the absent subscriber gets, and for a stored topic that the store has just the same."""

    def tell(topic):
        writer, watcher = connect(one), back(one, "watcher")
        writer.publish("p/a", "end", qos=2)
        found = payloads(watcher.until("end"))
        if topic.startswith("s/"):
            reader = connect(one)
            reader.replay("first", "s/#", qos=2)
            writer.publish("s/end", "end", qos=2)
            assert payloads(reader.until("end")) == found
        return found

    return tell


def release(client, *packet_ids):
    """PUBREL and PUBCOMP; a success."""
    for packet_id in packet_ids:
        client.ack(wire.PUBREL, packet_id)
    for packet_id in packet_ids:
        assert client.expect(wire.PUBCOMP, packet_id).reason == 0


# From the client


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("topic", TOPICS)
@pytest.mark.parametrize("way", WAYS)
def test_a_publish_again_after_pubrec_is_no_new_message(
    one, connect, durable, back, delivered, over, version, topic, way
):
    client = durable(one, "me", version)
    client.send_publish(topic, "m", qos=2, packet_id=77)
    client.expect(wire.PUBREC, 77)
    over(one, way)
    live = connect(one)
    live.granted(topic, "end", qos=2)
    client = back(one, "me", version)
    client.send_publish(topic, "m", qos=2, dup=True, packet_id=77)
    assert client.expect(wire.PUBREC, 77).reason < 0x80
    release(client, 77)
    client.publish("end", "end")
    assert live.until("end") == []
    if topic != "n/a":
        assert delivered(topic) == ["m"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("topic", TOPICS)
@pytest.mark.parametrize("way", WAYS)
def test_pubrel_after_a_restart_is_completed(one, durable, back, delivered, over, version, topic, way):
    client = durable(one, "me", version)
    client.send_publish(topic, "m", qos=2, packet_id=77)
    client.expect(wire.PUBREC, 77)
    over(one, way)
    client = back(one, "me", version)
    release(client, 77)
    client.publish(topic, "next", qos=2, packet_id=77)
    if topic != "n/a":
        assert delivered(topic) == ["m", "next"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("topic", TOPICS[:2])
def test_a_burst_that_a_crash_cut_short_is_taken_once_when_it_is_sent_again(
    one, durable, back, delivered, version, topic
):
    def burst(dup):
        return b"".join(wire.publish(version, topic, b"%d" % n, 2, False, dup, n + 1, []) for n in range(300))

    client = durable(one, "me", version)
    client.send(burst(dup=False))
    for packet_id in range(1, 31):
        client.expect(wire.PUBREC, packet_id)
    one.crash()
    client = back(one, "me", version)
    client.send(burst(dup=True))
    for packet_id in range(1, 301):
        assert client.expect(wire.PUBREC, packet_id).reason < 0x80
    release(client, *range(1, 301))
    assert delivered(topic) == [str(number) for number in range(300)]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("topic", TOPICS[:2])
@pytest.mark.parametrize("way", WAYS)
def test_an_identifier_used_again_after_pubcomp_is_a_new_message(
    one, durable, back, delivered, over, version, topic, way
):
    client = durable(one, "me", version)
    client.publish(topic, "1", qos=2, packet_id=77)
    over(one, way)
    client = back(one, "me", version)
    client.publish(topic, "2", qos=2, packet_id=77)
    client.publish(topic, "3", qos=2, packet_id=77)
    assert delivered(topic) == ["1", "2", "3"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("way", WAYS)
def test_clean_start_frees_the_identifiers(one, connect, durable, back, delivered, over, version, way):
    client = durable(one, "me", version)
    client.send_publish("p/a", "1", qos=2, packet_id=77)
    client.expect(wire.PUBREC, 77)
    client.drop()
    connect(one, "me", version=version, clean=True).disconnect()
    durable(one, "me", version)
    over(one, way)
    back(one, "me", version).publish("p/a", "2", qos=2, packet_id=77)
    assert delivered("p/a") == ["1", "2"]


# To the client


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("way", WAYS)
def test_a_publish_without_pubrec_comes_again_with_dup_and_its_identifier(
    one, connect, durable, back, over, version, way
):
    client = durable(one, "me", version, auto_ack=False)
    client.granted("p/#", "s/#", qos=2)
    writer = connect(one)
    for number, topic in enumerate(["p/a", "s/a", "p/b"]):
        writer.publish(topic, number, qos=2)
    before = client.messages(3)
    over(one, way)
    client = back(one, "me", version, auto_ack=False)
    again = client.messages(3)
    assert [(got.payload, got.packet_id, got.qos, got.dup) for got in again] == [
        (got.payload, got.packet_id, 2, True) for got in before
    ]
    for got in again:
        client.ack(wire.PUBREC, got.packet_id)
        client.expect(wire.PUBREL, got.packet_id)
        client.ack(wire.PUBCOMP, got.packet_id)
    connect(one).publish("p/a", "end", qos=2)
    assert client.until("end") == []


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("topic", ["p/a", "s/a"])
@pytest.mark.parametrize("way", WAYS)
def test_pubrel_comes_again_and_the_publish_does_not(one, connect, durable, back, over, version, topic, way):
    client = durable(one, "me", version, auto_ack=False)
    client.granted(topic, qos=2)
    writer = connect(one)
    for number in range(3):
        writer.publish(topic, number, qos=2)
    first, second, third = client.messages(3)
    for got in (first, third):
        client.ack(wire.PUBREC, got.packet_id)
        client.expect(wire.PUBREL, got.packet_id)
    over(one, way)
    client = back(one, "me", version, auto_ack=False)
    for got in (first, third):
        client.expect(wire.PUBREL, got.packet_id)
    again = client.message()
    assert (again.payload, again.packet_id, again.dup) == (b"1", second.packet_id, True)
    for got in (first, third):
        client.ack(wire.PUBCOMP, got.packet_id)
    client.ack(wire.PUBREC, second.packet_id)
    client.expect(wire.PUBREL, second.packet_id)
    client.ack(wire.PUBCOMP, second.packet_id)
    connect(one).publish(topic, "end", qos=2)
    assert client.until("end") == []


class Receiver:
    """The receiving side of QoS 2: takes each message once, over any number of connections [MQTT-4.3.3-10]."""

    def __init__(self):
        self.known: set[int] = set()
        self.taken: list[str] = []

    def take(self, client, until):
        """Answers what comes until so many messages are taken; the last one stays unanswered."""
        while len(self.taken) < until:
            got = client.wait(lambda got: got.kind in (wire.PUBLISH, wire.PUBREL))
            if got.kind == wire.PUBREL:
                self.known.discard(got.packet_id)
                client.ack(wire.PUBCOMP, got.packet_id)
                continue
            if got.packet_id not in self.known:
                self.known.add(got.packet_id)
                self.taken.append(got.payload.decode())
            if len(self.taken) < until:
                client.ack(wire.PUBREC, got.packet_id)


@pytest.mark.parametrize("version", VERSIONS)
def test_each_message_is_taken_once_over_many_crashes(one, connect, durable, back, version):
    client = durable(one, "me", version, auto_ack=False)
    client.granted("p/#", "s/#", qos=2)
    client.disconnect()
    writer = connect(one)
    for number in range(100):
        writer.publish("s/a" if number % 3 else "p/a", number, qos=2)
    receiver = Receiver()
    for until in (1, 8, 30, 31, 64):
        one.crash()
        receiver.take(back(one, "me", version, auto_ack=False), until)
    one.crash()
    client = back(one, "me", version, auto_ack=False)
    connect(one).publish("p/a", "end", qos=2)
    receiver.take(client, 101)
    assert receiver.taken == [str(number) for number in range(100)] + ["end"]
