"""The client libraries that run the scenarios, each behind the same few verbs. Knows no scenario."""

from __future__ import annotations

import asyncio
import queue
import signal
import threading
from dataclasses import dataclass, field

import gmqtt
import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

import mosquitto

DEADLINE = 20.0
SESSION_SECONDS = 1000


@dataclass
class Message:
    """What a library says that came."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    user: list[tuple[str, str]] = field(default_factory=list)


class Client:
    """One client of a library. `session`: its session goes on after the connection, and an earlier one is resumed."""

    def __init__(self, port: int, version: int, client_id: str, session: bool, will: dict | None):
        self.port, self.version, self.client_id, self.session, self.will = port, version, client_id, session, will
        self.messages: queue.Queue[Message] = queue.Queue()
        self.is_open = True

    @staticmethod
    def can(version: int) -> set[str]:
        """What not every client has, and this one has."""
        return {"v5", "leaving without its will"} if version == 5 else {"leaving without its will"}

    def subscribe(self, filters: list[str], qos: int, user: list[tuple[str, str]]) -> None:
        """SUBSCRIBE, to its SUBACK."""
        raise NotImplementedError

    def publish(self, topic: str, payload: bytes, qos: int, retain: bool, user: list[tuple[str, str]]) -> None:
        """PUBLISH, to its last acknowledgement."""
        raise NotImplementedError

    def end(self, politely: bool) -> None:
        """DISCONNECT, or the connection just breaks."""
        raise NotImplementedError

    def next(self, timeout: float = DEADLINE) -> Message | None:
        """The next message, or nothing in time."""
        try:
            return self.messages.get(timeout=timeout)
        except queue.Empty:
            return None


class Paho(Client):
    """paho-mqtt."""

    def __init__(self, *about):
        super().__init__(*about)
        self.done: queue.Queue = queue.Queue()
        modern = self.version == 5
        options = {} if modern else {"clean_session": not self.session}
        protocol = paho.MQTTv5 if modern else paho.MQTTv311
        client = paho.Client(paho.CallbackAPIVersion.VERSION2, self.client_id, protocol=protocol, **options)
        client.on_message = lambda _client, _data, got: self.messages.put(self.message(got))
        client.on_subscribe = lambda _client, _data, _mid, codes, _properties: self.done.put(codes)
        client.on_connect = lambda _client, _data, _flags, code, _properties: self.done.put(code)
        if self.will:
            client.will_set(self.will["topic"], self.will["payload"], self.will["qos"])
        expiry = Properties(PacketTypes.CONNECT)
        expiry.SessionExpiryInterval = SESSION_SECONDS if self.session else 0
        options = {"clean_start": not self.session, "properties": expiry} if modern else {}
        self.client = client
        client.connect("127.0.0.1", self.port, **options)
        client.loop_start()
        assert self.done.get(timeout=DEADLINE) == 0

    def message(self, got) -> Message:
        """paho's message as ours."""
        user = getattr(getattr(got, "properties", None), "UserProperty", [])
        return Message(got.topic, got.payload, got.qos, bool(got.retain), list(user))

    def properties(self, kind, user):
        """User properties in paho's form; none where there are none."""
        if not user:
            return None
        found = Properties(kind)
        found.UserProperty = user
        return found

    def subscribe(self, filters, qos, user):
        wanted = [(name, qos) for name in filters]
        if self.version == 5:
            wanted = [(name, paho.SubscribeOptions(qos)) for name in filters]
        self.client.subscribe(wanted, properties=self.properties(PacketTypes.SUBSCRIBE, user))
        codes = self.done.get(timeout=DEADLINE)
        assert all(code.value < 0x80 for code in codes), codes

    def publish(self, topic, payload, qos, retain, user):
        properties = self.properties(PacketTypes.PUBLISH, user)
        self.client.publish(topic, payload, qos, retain, properties).wait_for_publish(DEADLINE)

    def end(self, politely):
        self.is_open = False
        if politely:
            self.client.disconnect()
        else:
            # Without its thread nobody notices, and nobody connects again.
            self.client.loop_stop()
            self.client.socket().close()
        self.client.loop_stop()


class Gmqtt(Client):
    """gmqtt, which has its own implementation of the protocol."""

    def __init__(self, *about):
        super().__init__(*about)
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.subscribed: queue.Queue = queue.Queue()
        will = gmqtt.Message(self.will["topic"], self.will["payload"], self.will["qos"]) if self.will else None
        options = {"session_expiry_interval": SESSION_SECONDS if self.session else 0} if self.version == 5 else {}
        self.client = self.run(self.make(will, options))
        self.run(self.client.connect("127.0.0.1", self.port, version=5 if self.version == 5 else 4))

    async def make(self, will, options):
        """Makes the client where its loop is."""
        client = gmqtt.Client(self.client_id, clean_session=not self.session, will_message=will, **options)
        client.set_config({"reconnect_retries": 0})
        client.on_message = self.came
        client.on_subscribe = lambda _client, _mid, codes, _properties: self.subscribed.put(codes)
        return client

    def came(self, _client, topic, payload, qos, properties):
        """gmqtt's message as ours."""
        user = [tuple(pair) for pair in properties.get("user_property", [])]
        self.messages.put(Message(topic, bytes(payload), qos, bool(properties["retain"]), user))
        return 0

    def run(self, work):
        """Runs a coroutine to its end in the client's thread."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(DEADLINE)

    def call(self, work, *args, **options):
        """Calls a function in the client's thread."""

        async def calling():
            return work(*args, **options)

        return self.run(calling())

    def subscribe(self, filters, qos, user):
        wanted = [gmqtt.Subscription(name, qos=qos) for name in filters]
        self.call(self.client.subscribe, wanted, **({"user_property": user} if user else {}))
        codes = self.subscribed.get(timeout=DEADLINE)
        assert all(code < 0x80 for code in codes), codes

    def publish(self, topic, payload, qos, retain, user):
        options = {"user_property": user} if user else {}
        self.call(self.client.publish, topic, payload, qos=qos, retain=retain, **options)
        self.run(self.client._persistent_storage.wait_empty())

    def end(self, politely):
        self.is_open = False
        if politely:
            self.run(self.client.disconnect())
        else:
            self.call(self.client._connection._transport.abort)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(DEADLINE)


class Mosquitto(Client):
    """mosquitto_pub and mosquitto_sub; a client that subscribes is one mosquitto_sub, from its SUBSCRIBE on."""

    kept: dict[str, list[str]] = {}

    def __init__(self, *about):
        super().__init__(*about)
        self.options = ["-V", "5" if self.version == 5 else "311"]
        self.sub = None
        if self.session and self.client_id in self.kept:
            # mosquitto_sub does not go without a filter.
            self.start(self.kept[self.client_id])

    @staticmethod
    def can(version):
        # With MQTT 5 mosquitto_sub asks for its will when it is told to end (DISCONNECT 0x04).
        return {"v5"} if version == 5 else {"leaving without its will"}

    def start(self, arguments):
        """Starts mosquitto_sub and waits for its SUBACK."""
        line = [*self.options, "-i", self.client_id, *arguments]
        if self.session:
            self.kept[self.client_id] = arguments
            line += ["-c", "-x", str(SESSION_SECONDS)] if self.version == 5 else ["-c"]
        if self.will:
            line += ["--will-topic", self.will["topic"], "--will-payload", self.will["payload"]]
            line += ["--will-qos", str(self.will["qos"])]
        # Only MQTT 5 has properties to be shown.
        line += ["-F", "%t|%q|%r|%P|%p" if self.version == 5 else "%t|%q|%r||%p"]
        self.sub = mosquitto.Sub(self.port, *line)
        self.sub.__enter__()

    def subscribe(self, filters, qos, user):
        assert self.sub is None, "one SUBSCRIBE for each mosquitto_sub"
        pairs = [word for pair in user for word in ("-D", "subscribe", "user-property", *pair)]
        self.start([*(word for name in filters for word in ("-t", name)), "-q", str(qos), *pairs])

    def publish(self, topic, payload, qos, retain, user):
        line = [*self.options, "-t", topic, "-q", str(qos), *(["-r"] if retain else [])]
        line += [word for pair in user for word in ("-D", "publish", "user-property", *pair)]
        mosquitto.run("mosquitto_pub", self.port, *line, *(["-s"] if payload else ["-n"]), given=payload)

    def next(self, timeout=DEADLINE):
        try:
            line = self.sub.lines.get(timeout=timeout)
        except queue.Empty:
            return None
        if line is None:
            return None
        topic, qos, retain, shown, payload = line.split("|", 4)
        user = [tuple(pair.split(":", 1)) for pair in shown.split() if ":" in pair]
        return Message(topic, payload.encode(), int(qos), retain == "1", user)

    def end(self, politely):
        self.is_open = False
        if self.sub is None:
            return
        self.sub.process.send_signal(signal.SIGTERM if politely else signal.SIGKILL)
        self.sub.process.wait(DEADLINE)
        self.sub.__exit__()


LIBRARIES = {"paho": Paho, "gmqtt": Gmqtt, "mosquitto": Mosquitto}
