"""Shared subscriptions without a start option: one member per message, five strategies (MQTT 5.0 section 4.8.2)."""

import pytest

import wire
from raw import payloads

STRATEGIES = ["round_robin", "least_inflight", "sticky", "hash_topic", "random"]
BROKER = {
    "config": {
        "shared": {
            "strategy": "round_robin",
            "rules": [{"group": f"{strategy}-*", "strategy": strategy} for strategy in STRATEGIES],
        }
    },
    "store": ["s/#"],
}


def members(broker, connect, group, topic, count=2, **options):
    """Members of one group; options are of the connection."""
    found = [connect(broker, **options) for _ in range(count)]
    for one in found:
        one.granted(f"$share/{group}/{topic}", "all/end", qos=1)
    return found


def collect(broker, connect, *clients):
    """What each member got so far: a message on their common topic ends it."""
    connect(broker).publish("all/end", "end", qos=1)
    return [one.until("end") for one in clients]


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("version", [4, 5])
def test_each_message_goes_to_exactly_one_member(broker, connect, p, name, strategy, version):
    group = members(broker, connect, f"{strategy}-{name}", f"{p}/#", count=3, version=version)
    publisher = connect(broker)
    for number in range(60):
        publisher.publish(f"{p}/{number}", number)
    got = collect(broker, connect, *group)
    assert sorted(int(text) for one in got for text in payloads(one)) == list(range(60))


def test_round_robin_takes_turns(broker, connect, p, name):
    group = members(broker, connect, f"round_robin-{name}", p)
    publisher = connect(broker)
    for number in range(10):
        publisher.publish(p, number)
    got = [payloads(one) for one in collect(broker, connect, *group)]
    assert sorted(got) == [["0", "2", "4", "6", "8"], ["1", "3", "5", "7", "9"]]


def test_least_inflight_avoids_the_member_that_does_not_acknowledge(broker, connect, p, name):
    slow, fast = connect(broker, auto_ack=False), connect(broker)
    for one in (slow, fast):
        one.granted(f"$share/least_inflight-{name}/{p}", "all/end", qos=1)
    publisher = connect(broker)
    for number in range(10):
        publisher.publish(p, number)
        slow.sync()
        fast.sync()
        fast.sync()
    slow_got, fast_got = collect(broker, connect, slow, fast)
    assert len(slow_got) <= 1
    assert len(slow_got) + len(fast_got) == 10


def test_sticky_stays_with_one_member_until_it_leaves(broker, connect, p, name):
    group = members(broker, connect, f"sticky-{name}", p)
    publisher = connect(broker)
    for number in range(10):
        publisher.publish(p, number)
    got = collect(broker, connect, *group)
    assert sorted(len(one) for one in got) == [0, 10]
    chosen = 0 if got[0] else 1
    group[chosen].disconnect()
    publisher.publish(p, "next")
    assert group[1 - chosen].message().payload == b"next"


def test_hash_topic_keeps_each_topic_at_one_member(broker, connect, p, name):
    group = members(broker, connect, f"hash_topic-{name}", f"{p}/#")
    publisher = connect(broker)
    for number in range(200):
        publisher.publish(f"{p}/{number % 40}", number)
    first, second = collect(broker, connect, *group)
    assert {one.topic for one in first} & {one.topic for one in second} == set()
    assert first and second, "40 topics all went to one of two members"


def test_random_uses_every_member(broker, connect, p, name):
    group = members(broker, connect, f"random-{name}", p)
    publisher = connect(broker)
    for number in range(60):
        publisher.publish(p, number)
    first, second = (payloads(one) for one in collect(broker, connect, *group))
    assert first and second
    assert sorted([first, second]) != sorted([[str(n) for n in range(k, 60, 2)] for k in range(2)])


def test_two_groups_get_one_copy_each_and_so_does_a_plain_subscription(broker, connect, p, name):
    one, two, plain = connect(broker), connect(broker), connect(broker)
    one.granted(f"$share/{name}-1/{p}", qos=1)
    two.granted(f"$share/{name}-2/{p}", qos=1)
    plain.granted(p, qos=1)
    connect(broker).publish(p, "m")
    assert [client.message().payload for client in (one, two, plain)] == [b"m"] * 3


def test_the_same_group_name_on_other_filters_is_another_subscription(broker, connect, p, name):
    one, two = connect(broker), connect(broker)
    one.granted(f"$share/{name}/{p}/a", qos=1)
    two.granted(f"$share/{name}/{p}/+", qos=1)
    connect(broker).publish(f"{p}/a", "m")
    assert one.message().payload == two.message().payload == b"m"


def test_shared_delivery_has_its_members_qos_and_identifier(broker, connect, p, name):
    client = connect(broker)
    assert client.granted(f"$share/{name}/{p}", qos=2, subscription_id=9).reasons == [2]
    connect(broker).publish(p, "m", qos=2)
    got = client.message()
    assert (got.qos, got.subscription_ids, got.topic) == (2, [9], p)


def test_a_member_that_unsubscribes_gets_nothing_more(broker, connect, p, name):
    one, two = members(broker, connect, name, p)
    assert one.unsubscribe(f"$share/{name}/{p}").reasons == [0]
    publisher = connect(broker)
    for number in range(4):
        publisher.publish(p, number)
    one_got, two_got = collect(broker, connect, one, two)
    assert (one_got, payloads(two_got)) == ([], ["0", "1", "2", "3"])


@pytest.mark.parametrize("publisher_qos", [1, 2])
def test_messages_of_a_member_that_went_with_its_session_are_not_sent_to_it_again(
    broker, connect, p, name, publisher_qos
):
    one, two = members(broker, connect, name, p)
    one.disconnect()
    publisher = connect(broker)
    for number in range(4):
        publisher.publish(p, number, qos=publisher_qos)
    (got,) = collect(broker, connect, two)
    assert payloads(got) == ["0", "1", "2", "3"]


BAD_SHARES = ["$share/", "$share/g", "$share/g/", "$share//a", "$share/g+/a", "$share/g#/a", "$share/g/a#"]


@pytest.mark.parametrize("bad", BAD_SHARES)
def test_malformed_shared_filters_are_refused(broker, connect, bad):
    assert connect(broker).subscribe(bad, qos=1).reasons == [0x8F]
    assert connect(broker, version=4).subscribe(bad, qos=1).reasons == [0x80]


def test_no_local_on_a_shared_subscription_is_a_protocol_error(broker, connect, p):
    client = connect(broker)
    client.send_subscribe(f"$share/g/{p}", qos=1, no_local=True)
    client.expect_disconnect(0x82)


def test_acknowledgement_with_an_error_does_not_bring_the_message_to_another(broker, connect, p, name):
    group = members(broker, connect, name, p, auto_ack=False)
    publisher = connect(broker)
    publisher.publish(p, "refused")
    taker = None
    publisher.publish("all/end", "end", qos=1)
    for one in group:
        for got in one.until("end"):
            taker = one
            one.ack(wire.PUBACK, got.packet_id, 0x83)
    assert taker is not None
    taker.sync()
    publisher.publish("all/end", "end again", qos=1)
    assert [got for one in group for got in one.until("end again")] == []
