"""A small MQTT client over a plain socket that shows and sends everything. Knows no broker but the one at its port."""

from __future__ import annotations

import itertools
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable

import wire
from wire import Packet

DEADLINE = 15.0


class Closed(AssertionError):
    """The server closed the connection where a packet was expected."""


def dial(port: int) -> socket.socket:
    """A TCP connection to this machine."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


class Client:
    """One connection. Every wait has a deadline; packets that a wait passes over stay for later ones, in order.

    `auto_ack` answers PUBLISH and PUBREL when they are read off the socket; turn it off to hold them in flight.
    """

    def __init__(self, port: int | None, version: int = 5, auto_ack: bool = True, over=None):
        """`over`: a connected socket, or what has its methods, instead of TCP to the port."""
        self.version, self.auto_ack = version, auto_ack
        self.socket = over or dial(port)
        self.buffer = bytearray()
        self.waiting: deque[Packet] = deque()
        self.aliases: dict[int, str] = {}
        self.packet_ids = itertools.count(1)
        self.connack: Packet | None = None
        self.client_id = ""
        self.at_end = False

    # Sending

    def send(self, data: bytes) -> None:
        """Any bytes at all."""
        self.socket.sendall(data)

    def next_id(self) -> int:
        """A packet identifier not in use (the tests never have 60,000 in flight)."""
        return (next(self.packet_ids) - 1) % 60_000 + 1

    def connect(self, client_id: str = "", clean: bool = True, keep_alive: int = 0, will=None, **options) -> Packet:
        """CONNECT and its CONNACK. `options` are CONNECT properties by name, plus username, password, user."""
        names = {key: options.pop(key) for key in ("username", "password") if key in options}
        self.send(wire.connect(self.version, client_id, clean, keep_alive, property_list(options), will, **names))
        self.connack = self.expect(wire.CONNACK)
        self.client_id = self.connack.prop("assigned_client_id", client_id)
        return self.connack

    def send_publish(self, topic, payload=b"", qos=0, retain=False, dup=False, packet_id=None, **options) -> int | None:
        """PUBLISH without waiting for anything; returns the packet identifier."""
        if qos and packet_id is None:
            packet_id = self.next_id()
        self.send(
            wire.publish(self.version, topic, as_bytes(payload), qos, retain, dup, packet_id, property_list(options))
        )
        return packet_id

    def publish(self, topic, payload=b"", qos=1, retain=False, **options) -> Packet | None:
        """PUBLISH and its whole acknowledgement; returns PUBACK or PUBREC. `user` is a list of pairs."""
        packet_id = self.send_publish(topic, payload, qos, retain, **options)
        if not qos:
            return None
        got = self.expect(wire.PUBACK if qos == 1 else wire.PUBREC, packet_id)
        if qos == 2 and got.reason < 0x80:
            self.ack(wire.PUBREL, packet_id)
            self.expect(wire.PUBCOMP, packet_id)
        return got

    def publish_all(self, messages: Iterable[tuple[str, object]], window: int = 500) -> list[Packet]:
        """(topic, payload) pairs at QoS 1, many under way at a time; their PUBACKs in order."""
        left, found = list(messages), []
        while left:
            ids = [self.send_publish(topic, payload, qos=1) for topic, payload in left[:window]]
            found += [self.expect(wire.PUBACK, packet_id) for packet_id in ids]
            left = left[window:]
        return found

    def ack(self, kind: int, packet_id: int, reason: int = 0) -> None:
        """PUBACK, PUBREC, PUBREL or PUBCOMP."""
        self.send(wire.acknowledgement(kind, packet_id, reason))

    def puback(self, packet: Packet, reason: int = 0) -> None:
        """Acknowledges a PUBLISH of QoS 1."""
        assert packet.qos == 1, packet
        self.ack(wire.PUBACK, packet.packet_id, reason)

    def send_subscribe(self, *filters, qos=0, no_local=False, as_published=False, retain_handling=0, **options) -> int:
        """SUBSCRIBE with the same options for every filter; returns the packet identifier."""
        packet_id = self.next_id()
        byte = qos | (4 if no_local else 0) | (8 if as_published else 0) | retain_handling << 4
        self.send(wire.subscribe(self.version, packet_id, [(name, byte) for name in filters], property_list(options)))
        return packet_id

    def subscribe(self, *filters, **options) -> Packet:
        """SUBSCRIBE; the SUBACK, whatever it says. `subscription_id`, `user` and the rest are properties."""
        suback = self.expect(wire.SUBACK, self.send_subscribe(*filters, **options))
        assert len(suback.reasons) == len(filters), suback
        return suback

    def granted(self, *filters, **options) -> Packet:
        """SUBSCRIBE that must succeed."""
        suback = self.subscribe(*filters, **options)
        assert all(reason <= 2 for reason in suback.reasons), refusal(suback)
        return suback

    def replay(self, start: str, *filters, user=(), **options) -> Packet:
        """SUBSCRIBE with a start option that must succeed: by property, in 3.1.1 by prefix. QoS 1 unless told."""
        options.setdefault("qos", 1)
        if self.version == 5:
            return self.granted(*filters, user=[("replay", start), *user], **options)
        return self.granted(*[replay_filter(start, name) for name in filters], **options)

    def unsubscribe(self, *filters, **options) -> Packet:
        """UNSUBSCRIBE and its UNSUBACK."""
        packet_id = self.next_id()
        self.send(wire.unsubscribe(self.version, packet_id, filters, property_list(options)))
        return self.expect(wire.UNSUBACK, packet_id)

    # Receiving

    def read_packet(self, deadline: float) -> Packet:
        """The next packet off the socket."""
        while (whole := self.cut()) is None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise AssertionError(f"no packet before the deadline; set aside: {list(self.waiting)}")
            self.socket.settimeout(left)
            try:
                chunk = self.socket.recv(1 << 18)
            except TimeoutError:
                continue
            except ConnectionResetError:
                chunk = b""
            if not chunk:
                self.at_end = True
                raise Closed(f"connection closed; set aside: {list(self.waiting)}, cut off: {bytes(self.buffer)!r}")
            self.buffer += chunk
        got = wire.decode(self.version, *whole)
        self.resolve_alias(got)
        self.answer(got)
        return got

    def cut(self) -> tuple[int, bytes] | None:
        """First byte and body of the first whole packet in the buffer."""
        length = shift = 0
        for index in range(1, 5):
            if len(self.buffer) <= index:
                return None
            length |= (self.buffer[index] & 0x7F) << shift
            shift += 7
            if not self.buffer[index] & 0x80:
                break
        else:
            raise wire.WireError("remaining length of more than four bytes")
        end = index + 1 + length
        if len(self.buffer) < end:
            return None
        first, body = self.buffer[0], bytes(self.buffer[index + 1 : end])
        del self.buffer[:end]
        return first, body

    def resolve_alias(self, got: Packet) -> None:
        """Puts the topic of an alias into the packet."""
        alias = got.prop("topic_alias")
        if got.kind != wire.PUBLISH:
            return
        if alias is None:
            assert got.topic, "PUBLISH without topic and alias"
        elif got.topic:
            self.aliases[alias] = got.topic
        else:
            got.topic = self.aliases[alias]

    def answer(self, got: Packet) -> None:
        """Acknowledges as a well-behaved client does."""
        if not self.auto_ack:
            return
        if got.kind == wire.PUBLISH and got.qos:
            self.ack(wire.PUBACK if got.qos == 1 else wire.PUBREC, got.packet_id)
        elif got.kind == wire.PUBREL:
            self.ack(wire.PUBCOMP, got.packet_id)

    def wait(self, wanted: Callable[[Packet], bool], timeout: float = DEADLINE) -> Packet:
        """The first packet that is wanted; the others stay."""
        for index, got in enumerate(self.waiting):
            if wanted(got):
                del self.waiting[index]
                return got
        deadline = time.monotonic() + timeout
        while True:
            got = self.read_packet(deadline)
            if wanted(got):
                return got
            self.waiting.append(got)

    def expect(self, kind: int, packet_id: int | None = None, timeout: float = DEADLINE) -> Packet:
        """The next packet of this type (and identifier)."""
        return self.wait(lambda got: got.kind == kind and packet_id in (None, got.packet_id), timeout)

    def message(self, timeout: float = DEADLINE) -> Packet:
        """The next PUBLISH."""
        return self.expect(wire.PUBLISH, timeout=timeout)

    def messages(self, count: int, timeout: float = DEADLINE) -> list[Packet]:
        """The next PUBLISHes."""
        return [self.message(timeout) for _ in range(count)]

    def until(self, payload, timeout: float = DEADLINE) -> list[Packet]:
        """All PUBLISHes before the one with this payload, which ends the wait and is left out."""
        found, deadline = [], time.monotonic() + timeout
        while (got := self.message(deadline - time.monotonic())).payload != as_bytes(payload):
            found.append(got)
        return found

    def sync(self) -> None:
        """PINGREQ, PINGRESP, twice: all that was sent before is handled, QoS 2 handshakes too."""
        for _ in range(2):
            self.send(b"\xc0\x00")
            self.expect(wire.PINGRESP)

    def set_aside(self) -> list[Packet]:
        """PUBLISHes read so far and not yet taken."""
        found = [got for got in self.waiting if got.kind == wire.PUBLISH]
        self.waiting = deque(got for got in self.waiting if got.kind != wire.PUBLISH)
        return found

    # Ending

    def disconnect(self, reason: int = 0, **options) -> None:
        """DISCONNECT, then waits for the server to close."""
        properties = property_list(options)
        body = bytes([reason]) + wire.properties_bytes(properties) if reason or properties else b""
        self.send(wire.packet(wire.DISCONNECT, 0, body))
        self.expect_closed()

    def expect_closed(self, timeout: float = DEADLINE) -> list[Packet]:
        """Waits for the end of the connection; returns the packets that came before it."""
        deadline = time.monotonic() + timeout
        try:
            while True:
                self.waiting.append(self.read_packet(deadline))
        except Closed:
            pass
        except OSError:
            self.at_end = True
        self.socket.close()
        found, self.waiting = list(self.waiting), deque()
        return found

    def expect_disconnect(self, *reasons: int, timeout: float = DEADLINE) -> Packet:
        """The server's DISCONNECT with one of the reasons, then the end of the connection."""
        before = self.expect_closed(timeout)
        assert before and before[-1].kind == wire.DISCONNECT, f"closed without DISCONNECT after {before}"
        assert before[-1].reason in reasons, f"DISCONNECT {before[-1].reason:#x}, wanted {[hex(r) for r in reasons]}"
        return before[-1]

    def drop(self) -> None:
        """Ends the connection without DISCONNECT."""
        self.socket.close()


def property_list(options: dict) -> wire.Properties:
    """Keyword arguments as properties; `user` is a list of pairs, a list value repeats the property."""
    found: wire.Properties = []
    for name, value in options.items():
        for one in value if isinstance(value, (list, tuple)) else [value]:
            found.append((name, one))
    return found


def as_bytes(payload) -> bytes:
    """Text and numbers as payload."""
    return payload if isinstance(payload, bytes) else str(payload).encode()


def replay_filter(start: str, name: str) -> str:
    """The filter with its `$replay/<value>/` prefix, behind `$share/<group>/`."""
    if name.startswith("$share/"):
        share, group, rest = name.split("/", 2)
        return f"{share}/{group}/$replay/{start}/{rest}"
    return f"$replay/{start}/{name}"


def refusal(suback: Packet) -> str:
    """What a SUBACK says, for assertion messages."""
    return f"SUBACK {[hex(reason) for reason in suback.reasons]}: {suback.prop('reason_string')}"


def payloads(packets: Iterable[Packet]) -> list[str]:
    """The payloads as text."""
    return [got.payload.decode() for got in packets]


def sequences(packets: Iterable[Packet]) -> list[int | None]:
    """The `es-seq` of each."""
    return [got.seq for got in packets]


def places(packets: Iterable[Packet]) -> list[tuple[str, int | None]]:
    """Topic and `es-seq` of each."""
    return [(got.topic, got.seq) for got in packets]
