"""`$SYS/broker/...`: mosquitto's names and forms, retained in memory, told again only when they change."""

import re

import pytest

import wire

FAST = {"sys": {"interval": "1s"}}
SPANS = ("1min", "5min", "15min")
NUMBERS = [
    *[f"clients/{name}" for name in "total maximum connected active disconnected inactive expired".split()],
    *[f"messages/{name}" for name in ("received", "sent", "stored")],
    *[f"publish/messages/{name}" for name in ("received", "sent", "dropped")],
    *[f"{name}/{way}" for name in ("publish/bytes", "bytes") for way in ("received", "sent")],
    *[f"{name}/count" for name in ("subscriptions", "shared_subscriptions", "retained messages", "store/messages")],
    "store/messages/bytes",
]
LOADS = "messages/received messages/sent publish/received publish/sent publish/dropped bytes/received bytes/sent sockets connections"
AVERAGES = [f"load/{name}/{span}" for name in LOADS.split() for span in SPANS]


@pytest.fixture
def fast(brokers):
    """A broker that tells every second."""
    return brokers(config=FAST, store=["s/#"])


def told(client, name, wanted):
    """Waits until a topic's value is the wanted one."""
    return client.wait(lambda got: got.topic == f"$SYS/broker/{name}" and got.payload.decode() == str(wanted))


def test_every_topic_is_retained_from_the_start(broker, connect, name):
    client = connect(broker, name)
    client.granted("$SYS/#", qos=2)
    client.sync()
    found = {got.topic.removeprefix("$SYS/broker/"): got for got in client.set_aside()}
    assert not {"version", "uptime", *NUMBERS, *AVERAGES} - found.keys()
    assert all(got.retain and got.qos == 0 for got in found.values())
    text = {name: got.payload.decode() for name, got in found.items()}
    assert re.fullmatch(r"rewindmq version \d+\.\d+\.\d+", text["version"])
    assert re.fullmatch(r"\d+ seconds", text["uptime"])
    assert all(re.fullmatch(r"\d+", text[name]) for name in NUMBERS), text
    assert all(re.fullmatch(r"\d+\.\d\d", text[name]) for name in AVERAGES), text


def test_wildcards_at_the_beginning_do_not_match(broker, connect, name):
    client = connect(broker, name)
    client.granted("#", "+/broker/uptime", "+/#")
    client.sync()
    assert [got for got in client.set_aside() if got.topic.startswith("$SYS")] == []


def test_a_shared_subscription_gets_no_retained_ones(broker, connect, name):
    client = connect(broker, name)
    client.granted("$share/g/$SYS/broker/version")
    client.sync()
    assert client.set_aside() == []


def test_clients_cannot_publish_there(broker, connect, name):
    client = connect(broker, name)
    assert client.publish("$SYS/broker/version", "mine").reason == 0x90


def test_what_happens_is_told(fast, connect, dial, name):
    watcher = connect(fast, f"{name}-watcher")
    watcher.granted("$SYS/broker/#")
    told(watcher, "clients/total", 1)
    other = connect(fast, f"{name}-other", clean=False, session_expiry=100)
    other.granted("a", "b/+", "$share/g/c", "$share/h/c", qos=1)
    other.publish("a", "12345", retain=True)
    other.publish("s/x", "123", qos=1)
    for topic, value in [
        ("clients/total", 2),
        ("clients/maximum", 2),
        ("clients/connected", 2),
        ("subscriptions/count", 3),
        ("shared_subscriptions/count", 2),
        ("retained messages/count", 1),
        ("publish/messages/received", 2),
        ("publish/bytes/received", 8),
    ]:
        told(watcher, topic, value)
    other.drop()
    told(watcher, "clients/disconnected", 1)
    connect(fast, f"{name}-other", clean=True).disconnect()
    told(watcher, "clients/total", 1)
    told(watcher, "subscriptions/count", 1)
    told(watcher, "shared_subscriptions/count", 0)


def test_a_value_that_stays_is_not_told_again(fast, connect, name):
    watcher = connect(fast, name)
    watcher.granted("$SYS/broker/version", "$SYS/broker/uptime")
    uptimes = [watcher.wait(lambda got: got.topic.endswith("uptime")).payload for _ in range(4)]
    assert len(set(uptimes)) == 4, uptimes
    assert [got.retain for got in watcher.set_aside()] == [True], "version is told once"


def test_load_averages_move(fast, connect, name):
    watcher = connect(fast, name)
    watcher.granted("$SYS/broker/load/publish/received/+")
    for span in SPANS:
        watcher.wait(lambda got: got.topic.endswith(f"/{span}"))
    watcher.publish("x", "y", qos=0)
    rises = [watcher.wait(lambda got: got.topic.endswith(f"/{span}") and float(got.payload) > 0) for span in SPANS]
    one, five, fifteen = (float(got.payload) for got in rises)
    assert one > five > fifteen, rises


def test_stored_messages_are_counted_over_restarts(fast, connect, name):
    publisher = connect(fast, name)
    publisher.publish_all([(f"s/{name}", number) for number in range(25)])
    watcher = connect(fast, f"{name}-w")
    watcher.granted("$SYS/broker/store/messages/count")
    told(watcher, "store/messages/count", 25)
    fast.stop()
    fast.start()
    watcher = connect(fast, f"{name}-w")
    watcher.granted("$SYS/broker/store/messages/count")
    told(watcher, "store/messages/count", 25)


def test_nothing_of_it_is_stored_or_waits_for_a_session(brokers, connect, durable, name):
    broker = brokers(config=FAST, store=["#"])
    absent = durable(broker, name)
    absent.granted("$SYS/broker/uptime", qos=2)
    absent.message()
    absent.drop()
    watcher = connect(broker, f"{name}-w")
    watcher.granted("$SYS/broker/uptime", "$SYS/broker/store/messages/count")
    for _ in range(3):
        watcher.wait(lambda got: got.topic.endswith("uptime"))
    assert [got.payload for got in watcher.set_aside()] == [b"0"]
    back = durable(broker, name)
    back.sync()
    assert back.set_aside() == []


def test_interval_zero_turns_it_off(brokers, connect, name):
    client = connect(brokers(config={"sys": {"interval": 0}}), name)
    client.granted("$SYS/#")
    client.sync()
    assert client.set_aside() == []
    assert client.publish("$SYS/x", "y").reason == 0x90
