"""Durable sessions over restarts and kill -9: present, discarded, expired, taken over, and with which subscriptions."""

import pytest

from raw import payloads

VERSIONS = [4, 5]
WAYS = ["restart", "crash"]


def sessions_are(one, count):
    """Waits until the broker has so many sessions."""
    one.wait_metrics(lambda now: now.total("rewindmq_sessions") == count)


# Present


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("way", WAYS)
def test_session_is_present_whether_its_client_was_there_or_not(brokers, durable, back, over, version, way):
    one = brokers()
    durable(one, "absent", version).disconnect()
    durable(one, "lost", version).drop()
    durable(one, "connected", version)
    over(one, way)
    for client_id in ("absent", "lost", "connected"):
        back(one, client_id, version)
    assert durable(one, "nobody", version).connack.session_present is False
    over(one, way)
    for client_id in ("absent", "lost", "connected", "nobody"):
        back(one, client_id, version)


@pytest.mark.parametrize("version", VERSIONS)
def test_connack_waits_until_the_session_is_on_disk(brokers, durable, back, version):
    one = brokers()
    durable(one, "me", version)
    one.crash()
    back(one, "me", version)


@pytest.mark.parametrize("way", WAYS)
def test_session_of_an_assigned_client_identifier_is_present(brokers, connect, back, over, way):
    one = brokers()
    client = connect(one, session_expiry=1000)
    client.granted("a", qos=1)
    over(one, way)
    back(one, client.client_id).publish("a", "m")


@pytest.mark.parametrize("way", WAYS)
def test_expiry_0_leaves_nothing_behind(brokers, connect, durable, over, settle, way):
    one = brokers()
    durable(one, "other")
    for version in VERSIONS:
        connect(one, f"clean {version}", version=version, clean=True).granted("a", qos=1)
    connect(one, "not clean", clean=False).granted("a", qos=1)
    durable(one, "ended").disconnect(session_expiry=0)
    sessions_are(one, 4)
    settle(way)
    over(one, way)
    sessions_are(one, 1)
    one.wait_metrics(lambda now: now.total("rewindmq_subscriptions") == 0)
    for client_id in ("clean 4", "clean 5", "not clean", "ended"):
        assert durable(one, client_id).connack.session_present is False


# Discarded


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("way", WAYS)
def test_clean_start_discards_the_session_for_good(brokers, connect, durable, over, version, way):
    one = brokers()
    client = durable(one, "me", version)
    client.granted("a/#", qos=1)
    client.disconnect()
    connect(one).publish("a/1", "lost")
    connect(one, "me", version=version, clean=True)
    over(one, way)
    client = durable(one, "me", version)
    assert client.connack.session_present is False
    client.granted("a/end", qos=1)
    writer = connect(one)
    writer.publish("a/1", "lost too")
    writer.publish("a/end", "end")
    assert client.until("end") == []


@pytest.mark.parametrize("way", WAYS)
def test_clean_start_with_an_expiry_leaves_a_new_empty_session(brokers, connect, durable, back, over, way):
    one = brokers()
    durable(one, "me").granted("a", qos=1)
    connect(one, "me", clean=True, session_expiry=1000)
    over(one, way)
    client = back(one, "me")
    client.granted("end", qos=1)
    client.publish("a", "lost")
    client.publish("end", "end")
    assert client.until("end") == []


# Expired


@pytest.mark.parametrize("way", WAYS)
def test_session_expiry_goes_on_while_the_broker_is_down(brokers, durable, back, over, settle, way):
    one = brokers()
    durable(one, "short", session_expiry=1).disconnect()
    durable(one, "shortened").disconnect(session_expiry=1)
    durable(one, "long").disconnect()
    durable(one, "lengthened", session_expiry=1).disconnect(session_expiry=1000)
    durable(one, "for ever", session_expiry=0xFFFFFFFF).disconnect()
    settle(way)
    over(one, way, down=2)
    sessions_are(one, 3)
    for client_id in ("short", "shortened"):
        assert durable(one, client_id).connack.session_present is False
    for client_id in ("long", "lengthened", "for ever"):
        back(one, client_id)


def test_expiry_of_a_client_connected_at_an_orderly_stop_runs_from_the_stop(brokers, durable, over):
    one = brokers()
    durable(one, "me", session_expiry=1)
    over(one, "restart", down=2)
    assert durable(one, "me").connack.session_present is False


def test_expiry_of_a_client_connected_at_a_crash_runs_from_the_restart(brokers, durable, back, over):
    one = brokers()
    durable(one, "long", session_expiry=4)
    durable(one, "short", session_expiry=1)
    over(one, "crash", down=4.5)
    back(one, "long")
    sessions_are(one, 1)
    assert durable(one, "short").connack.session_present is False


@pytest.mark.parametrize("way", WAYS)
def test_max_expiry_shortens_what_is_granted_and_kept(brokers, durable, over, settle, way):
    one = brokers(config={"session": {"max_expiry": "1s"}})
    assert durable(one, "one", session_expiry=1).connack.prop("session_expiry") is None
    assert durable(one, "more", session_expiry=1000).connack.prop("session_expiry") == 1
    client = durable(one, "for ever", session_expiry=0xFFFFFFFF)
    assert client.connack.prop("session_expiry") == 1
    client.disconnect()
    durable(one, "3.1.1", version=4).disconnect()
    settle(way)
    over(one, way, down=2)
    for client_id in ("for ever", "3.1.1"):
        assert durable(one, client_id).connack.session_present is False


# Taken over


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("way", WAYS)
def test_take_over_works_as_ever_after_a_restart(brokers, connect, durable, back, over, version, way):
    one = brokers()
    durable(one, "me", version).granted("a", qos=1)
    over(one, way)
    old = back(one, "me", version)
    new = back(one, "me", version)
    if version == 5:
        old.expect_disconnect(0x8E)
    else:
        assert old.expect_closed() == []
    connect(one).publish("a", "m")
    assert payloads(new.messages(1)) == ["m"]


@pytest.mark.parametrize("way", WAYS)
def test_session_goes_on_in_another_protocol_version(brokers, connect, durable, back, over, way):
    one = brokers()
    durable(one, "me", version=4).granted("a", qos=1)
    for number, version in enumerate([5, 4, 5]):
        over(one, way)
        connect(one).publish("a", number)
        # What was acknowledged just before a crash may come again, as a suffix.
        again = payloads(back(one, "me", version).until(number))
        assert again == [str(earlier) for earlier in range(number - len(again), number)]


# Subscriptions


@pytest.mark.parametrize("version", VERSIONS)
def test_suback_waits_until_the_subscription_is_on_disk(brokers, connect, durable, back, version):
    one = brokers()
    durable(one, "me", version).granted("a", qos=1)
    one.crash()
    connect(one).publish("a", "m")
    assert payloads(back(one, "me", version).messages(1)) == ["m"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("way", WAYS)
def test_granted_qos_lives_on(brokers, connect, durable, back, over, version, way):
    one = brokers()
    client = durable(one, "me", version)
    for qos in (0, 1, 2):
        client.granted(f"a/{qos}", qos=qos)
    over(one, way)
    client, writer = back(one, "me", version), connect(one)
    for qos in (0, 1, 2):
        writer.publish(f"a/{qos}", "m", qos=2)
    assert [(got.topic, got.qos) for got in client.messages(3)] == [("a/0", 0), ("a/1", 1), ("a/2", 2)]


@pytest.mark.parametrize("way", WAYS)
def test_subscription_options_and_identifiers_live_on(brokers, connect, durable, back, over, way):
    one = brokers()
    client = durable(one, "me")
    client.granted("plain", qos=1)
    client.granted("no local", qos=1, no_local=True, subscription_id=1)
    client.granted("as published", qos=1, as_published=True, subscription_id=268_435_455)
    over(one, way)
    client, writer = back(one, "me"), connect(one)
    for topic in ("plain", "no local", "as published"):
        client.publish(topic, "own")
        writer.publish(topic, "retained", retain=True)
    writer.publish("plain", "end")
    assert [(got.topic, got.payload, got.retain, got.subscription_ids) for got in client.until("end")] == [
        ("plain", b"own", False, []),
        ("plain", b"retained", False, []),
        ("no local", b"retained", False, [1]),
        ("as published", b"own", False, [268_435_455]),
        ("as published", b"retained", True, [268_435_455]),
    ]


@pytest.mark.parametrize("way", WAYS)
def test_a_replaced_subscription_lives_on_as_it_was_replaced(brokers, durable, back, over, way):
    one = brokers()
    client = durable(one, "me")
    client.granted("a", qos=2, no_local=True, subscription_id=1)
    client.granted("a", qos=1, subscription_id=9)
    over(one, way)
    client = back(one, "me")
    client.publish("a", "own", qos=2)
    got = client.message()
    assert (got.payload, got.qos, got.subscription_ids) == (b"own", 1, [9])
    assert one.metrics().total("rewindmq_subscriptions") == 1


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("way", WAYS)
def test_unsubscribed_filters_stay_away(brokers, connect, durable, back, over, version, way):
    one = brokers(store=["s/#"])
    client = durable(one, "me", version)
    client.granted("a", "$share/g/a", "b", qos=1)
    client.replay("first", "s/a", "$share/g/s/b")
    client.unsubscribe("a", "$share/g/a", "s/a", "$share/g/s/b")
    over(one, way)
    client, writer = back(one, "me", version), connect(one)
    for topic in ("a", "s/a", "s/b"):
        writer.publish(topic, "missed")
    writer.publish("b", "end")
    assert client.until("end") == []


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("way", WAYS)
def test_shared_subscription_lives_on(brokers, connect, durable, back, over, version, way):
    one = brokers()
    for member in ("one", "two"):
        durable(one, member, version).granted("$share/g/a", qos=1)
    over(one, way)
    first, second = back(one, "one", version), back(one, "two", version)
    writer = connect(one)
    for number in range(10):
        writer.publish("a", number)
    for client in (first, second):
        client.sync()
    got = payloads(first.set_aside()) + payloads(second.set_aside())
    assert sorted(got, key=int) == [str(number) for number in range(10)]


# What is told


@pytest.mark.parametrize("durability", [None, "sync", "async", "memory"])
def test_connack_tells_the_durability(brokers, connect, durability):
    one = brokers(config={"store": {"durability": durability}} if durability else None)
    assert connect(one).connack.user_value("durability") == (durability or "sync")
    assert connect(one, session_expiry=1000).connack.user_value("durability") == (durability or "sync")
    assert connect(one, version=4).connack.user == []


@pytest.mark.parametrize("way", WAYS)
def test_async_durability_keeps_sessions_and_messages_over_the_end_of_the_process(
    brokers, connect, durable, back, over, way
):
    one = brokers(config={"store": {"durability": "async"}})
    client = durable(one, "me")
    client.granted("a", qos=1)
    client.disconnect()
    connect(one).publish("a", "m")
    over(one, way)
    assert payloads(back(one, "me").messages(1)) == ["m"]


def test_memory_durability_keeps_sessions_until_the_process_ends(brokers, connect, durable, back):
    one = brokers(config={"store": {"durability": "memory"}})
    client = durable(one, "me")
    client.granted("a", qos=1)
    client.disconnect()
    connect(one).publish("a", "m")
    assert payloads(back(one, "me").messages(1)) == ["m"]
    one.restart()
    assert durable(one, "me").connack.session_present is False
