"""The event store through paho, as an application would use it, in both versions."""

import queue
import threading

import paho.mqtt.client as paho
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

DEADLINE = 15


class Application:
    """A paho client with its loop in a thread, its messages in a queue and its SUBACKs too."""

    def __init__(self, port, protocol, client_id=""):
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=client_id, protocol=protocol)
        self.messages, self.subacks, self.connected = queue.Queue(), queue.Queue(), threading.Event()
        self.closed = threading.Event()
        self.client.on_message = lambda _client, _data, message: self.messages.put(message)
        self.client.on_subscribe = lambda _client, _data, _mid, codes, properties: self.subacks.put((codes, properties))
        self.client.on_connect = lambda *_: self.connected.set()
        self.client.on_disconnect = lambda *_: self.closed.set()
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        assert self.connected.wait(DEADLINE)

    def subscribe(self, topic, **properties):
        """SUBSCRIBE at QoS 1 with user properties; what the SUBACK said."""
        self.client.subscribe(topic, qos=1, properties=user_properties(PacketTypes.SUBSCRIBE, properties))
        return self.subacks.get(timeout=DEADLINE)

    def publish(self, topic, payload, **properties):
        """PUBLISH at QoS 1 with user properties, to its acknowledgement."""
        options = {"properties": user_properties(PacketTypes.PUBLISH, properties)}
        self.client.publish(topic, payload, qos=1, **options).wait_for_publish(DEADLINE)

    def take(self, count):
        """The next messages."""
        return [self.messages.get(timeout=DEADLINE) for _ in range(count)]

    def close(self):
        """DISCONNECT and the end of the thread."""
        self.client.disconnect()
        assert self.closed.wait(DEADLINE)
        self.client.loop_stop()


def user_properties(kind, pairs):
    """paho's form of user properties; none at all where there are none."""
    if not pairs:
        return None
    properties = Properties(kind)
    properties.UserProperty = list(pairs.items())
    return properties


@pytest.fixture
def application(broker):
    """Makes applications that are closed at the end."""
    made = []

    def make(protocol=paho.MQTTv5, client_id=""):
        made.append(Application(broker.port, protocol, client_id))
        return made[-1]

    yield make
    for one in made:
        if not one.closed.is_set():
            one.close()


def test_store_and_replay_with_user_properties(application, p):
    writer = application()
    for payload in ("1", "2", "3"):
        writer.publish(p, payload, store="true")
    reader = application()
    codes, properties = reader.subscribe(p, replay="seq:2")
    assert [code.value for code in codes] == [1]
    assert ("es-start", "fresh") in properties.UserProperty
    writer.publish(p, "4", store="true")
    got = reader.take(3)
    assert [one.payload for one in got] == [b"2", b"3", b"4"]
    assert [dict(one.properties.UserProperty)["es-seq"] for one in got] == ["2", "3", "4"]


def test_a_second_run_gets_only_what_is_new(application, s, name):
    writer = application()
    writer.publish(s, "1")
    reader = application(client_id=name)
    reader.subscribe(s, replay="first")
    assert [one.payload for one in reader.take(1)] == [b"1"]
    reader.close()
    writer.publish(s, "2")
    reader = application(client_id=name)
    reader.subscribe(s, replay="first")
    assert [one.payload for one in reader.take(1)] == [b"2"]


def test_a_refused_subscription_tells_why(application, s):
    codes, properties = application().subscribe(s, replay="fist")
    assert [code.value for code in codes] == [0x83]
    assert "fist" in properties.ReasonString


def test_store_and_replay_in_3_1_1(application, name):
    writer = application(paho.MQTTv311)
    for payload in ("1", "2"):
        writer.client.publish(f"$store/{name}/a", payload, qos=1).wait_for_publish(DEADLINE)
    reader = application(paho.MQTTv311)
    reader.subscribe(f"$replay/last/{name}/#")
    writer.client.publish(f"$store/{name}/a", "3", qos=1).wait_for_publish(DEADLINE)
    got = reader.take(2)
    assert [(one.topic, one.payload) for one in got] == [(f"{name}/a", b"2"), (f"{name}/a", b"3")]
