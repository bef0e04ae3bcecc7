"""Wills of durable sessions over restarts and kill -9 (MQTT 5.0 sections 3.1.2.5 and 3.1.3.2)."""

import time

import pytest

from raw import payloads

VERSIONS = [4, 5]
WAYS = ["restart", "crash"]
TOPICS = ["p/will", "s/will"]


@pytest.fixture
def one(brokers, durable):
    """A broker that stores `s/#`, and an absent durable subscriber that gets every will, whenever it comes."""
    made = brokers(store=["s/#"])
    client = durable(made, "watcher")
    client.granted("p/#", "s/#", qos=2)
    client.disconnect()
    return made


def will(delay=None, topic="p/will", payload="gone", properties=(), **more):
    """A will of QoS 1 with this delay, seconds."""
    delays = [] if delay is None else [("will_delay", delay)]
    return {"topic": topic, "payload": payload, "qos": 1, "properties": [*properties, *delays], **more}


def lose(one, client):
    """The client's connection breaks, and the broker has noticed."""
    client.drop()
    one.wait_metrics(lambda now: now.total("rewindmq_connections") == 0)


def seen(one, connect, back):
    """What the watcher got."""
    watcher = back(one, "watcher")
    connect(one).publish("p/end", "end", qos=2)
    found = payloads(watcher.until("end"))
    watcher.sync()
    watcher.disconnect()
    return found


# The delay


@pytest.mark.parametrize("way", WAYS)
def test_will_delay_runs_on_while_the_broker_is_down(one, durable, back, over, settle, way):
    client = durable(one, "me", will=will(5))
    lost = time.monotonic()
    lose(one, client)
    settle(way)
    left = time.monotonic()
    over(one, way, down=3)
    assert back(one, "watcher").message().payload == b"gone"
    assert lost + 4.95 <= time.monotonic() < left + 3 + 4.5, "the delay began anew"


@pytest.mark.parametrize("topic", TOPICS)
@pytest.mark.parametrize("way", WAYS)
def test_a_will_that_came_due_while_the_broker_was_down_comes_once_at_the_start(
    one, connect, durable, back, over, settle, topic, way
):
    lose(one, durable(one, "me", will=will(2, topic)))
    settle(way)
    over(one, way, down=2)
    watcher = back(one, "watcher")
    got = watcher.message()
    assert (got.topic, got.payload, got.qos) == (topic, b"gone", 1)
    watcher.sync()
    settle(way)
    over(one, way)
    assert seen(one, connect, back) == []
    if topic == "s/will":
        reader = connect(one)
        reader.replay("first", "s/#")
        connect(one).publish("s/end", "end")
        assert payloads(reader.until("end")) == ["gone"]


@pytest.mark.parametrize("way", WAYS)
def test_a_client_that_returns_first_at_the_start_but_too_late_finds_its_will_sent(
    one, connect, durable, back, over, settle, way
):
    lose(one, durable(one, "me", will=will(1)))
    settle(way)
    over(one, way, down=1.2)
    back(one, "me")
    assert seen(one, connect, back) == ["gone"]


@pytest.mark.parametrize("connected", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_a_client_that_returns_in_time_has_no_will_any_more(one, connect, durable, back, over, settle, connected, way):
    client = durable(one, "me", will=will(1000))
    if not connected:
        lose(one, client)
        settle(way)
    over(one, way)
    back(one, "me")
    over(one, way)
    # The end of the session would send a will that is still there.
    connect(one, "me", clean=True)
    assert seen(one, connect, back) == []


@pytest.mark.parametrize("way", WAYS)
def test_a_new_will_takes_the_place_of_the_old_one(one, connect, durable, back, over, way):
    durable(one, "me", will=will(1000, payload="old"))
    over(one, way)
    back(one, "me", will=will(1000, payload="new"))
    over(one, way)
    connect(one, "me", clean=True)
    assert seen(one, connect, back) == ["new"]


# The session's end


@pytest.mark.parametrize("way", WAYS)
def test_a_session_that_ended_while_the_broker_was_down_sends_its_will(one, durable, back, over, settle, way):
    lose(one, durable(one, "me", session_expiry=2, will=will(1000)))
    settle(way)
    over(one, way, down=2)
    assert back(one, "watcher").message().payload == b"gone"
    assert durable(one, "me").connack.session_present is False


@pytest.mark.parametrize("way", WAYS)
def test_a_session_that_ends_after_the_restart_sends_its_will(one, durable, back, over, settle, way):
    client = durable(one, "me", session_expiry=3, will=will(1000))
    lost = time.monotonic()
    lose(one, client)
    settle(way)
    over(one, way)
    assert back(one, "watcher").message().payload == b"gone"
    assert time.monotonic() >= lost + 2.95


@pytest.mark.parametrize("way", WAYS)
def test_clean_start_sends_the_waiting_will_once(one, connect, durable, back, over, settle, way):
    lose(one, durable(one, "me", will=will(1000)))
    settle(way)
    over(one, way)
    connect(one, "me", clean=True)
    assert seen(one, connect, back) == ["gone"]
    settle(way)
    over(one, way)
    connect(one, "me", clean=True)
    assert seen(one, connect, back) == []


# Connected at the end of the broker


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("topic", TOPICS)
@pytest.mark.parametrize("way", WAYS)
def test_will_of_a_client_that_was_connected_comes_once(
    one, connect, durable, back, over, settle, version, topic, way
):
    durable(one, "me", version, will=will(topic=topic))
    over(one, way)
    watcher = back(one, "watcher")
    got = watcher.message()
    assert (got.topic, got.payload, got.qos) == (topic, b"gone", 1)
    watcher.sync()
    settle(way)
    over(one, way)
    assert seen(one, connect, back) == []


def test_delay_of_a_client_that_was_connected_at_a_crash_runs_from_the_restart(one, durable, back):
    durable(one, "me", will=will(2))
    one.kill9()
    restarted = time.monotonic()
    one.start()
    assert back(one, "watcher").message().payload == b"gone"
    assert time.monotonic() >= restarted + 1.95


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("way", WAYS)
def test_disconnect_deletes_the_will_for_good(one, connect, durable, back, over, settle, version, way):
    durable(one, "me", version, will=will(1000)).disconnect()
    settle(way)
    over(one, way)
    connect(one, "me", clean=True)
    assert seen(one, connect, back) == []


@pytest.mark.parametrize("way", WAYS)
def test_what_a_will_says_lives_on(one, durable, back, over, way):
    properties = [
        ("payload_format", 1),
        ("message_expiry", 500),
        ("content_type", "t"),
        ("response_topic", "r"),
        ("correlation_data", b"c"),
        ("user", ("b", "1")),
        ("user", ("a", "2")),
    ]
    told = will(1, payload="gone" * 1000, properties=properties)
    durable(one, "me", will={**told, "qos": 2, "retain": True})
    over(one, way)
    got = back(one, "watcher").message()
    assert (got.payload, got.qos, got.retain) == (b"gone" * 1000, 2, False)
    assert got.user == [("b", "1"), ("a", "2")]
    assert 450 <= got.prop("message_expiry") <= 500
    for name, value in (properties[0], *properties[2:5]):
        assert got.prop(name) == value
    late = durable(one, "late")
    late.granted("p/will", qos=1)
    assert late.message().retain is True
