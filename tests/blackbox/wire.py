"""Bytes of MQTT 5.0 and 3.1.1 packets, written and read; strict when reading. Knows no socket."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = 1, 2, 3, 4, 5, 6, 7
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP = 8, 9, 10, 11, 12, 13
DISCONNECT, AUTH = 14, 15
NAMES = (
    "RESERVED CONNECT CONNACK PUBLISH PUBACK PUBREC PUBREL PUBCOMP SUBSCRIBE SUBACK "
    "UNSUBSCRIBE UNSUBACK PINGREQ PINGRESP DISCONNECT AUTH"
).split()

# Property identifiers and their data types (MQTT 5.0 section 2.2.2.2).
PROPERTIES = {
    "payload_format": (0x01, "byte"),
    "message_expiry": (0x02, "u32"),
    "content_type": (0x03, "text"),
    "response_topic": (0x08, "text"),
    "correlation_data": (0x09, "binary"),
    "subscription_id": (0x0B, "varint"),
    "session_expiry": (0x11, "u32"),
    "assigned_client_id": (0x12, "text"),
    "server_keep_alive": (0x13, "u16"),
    "authentication_method": (0x15, "text"),
    "authentication_data": (0x16, "binary"),
    "request_problem_information": (0x17, "byte"),
    "will_delay": (0x18, "u32"),
    "request_response_information": (0x19, "byte"),
    "response_information": (0x1A, "text"),
    "server_reference": (0x1C, "text"),
    "reason_string": (0x1F, "text"),
    "receive_maximum": (0x21, "u16"),
    "topic_alias_maximum": (0x22, "u16"),
    "topic_alias": (0x23, "u16"),
    "maximum_qos": (0x24, "byte"),
    "retain_available": (0x25, "byte"),
    "user": (0x26, "pair"),
    "maximum_packet_size": (0x27, "u32"),
    "wildcard_available": (0x28, "byte"),
    "subscription_ids_available": (0x29, "byte"),
    "shared_available": (0x2A, "byte"),
}
BY_IDENTIFIER = {number: (name, kind) for name, (number, kind) in PROPERTIES.items()}
REPEATABLE = {"user", "subscription_id"}

Properties = list[tuple[str, object]]


class WireError(AssertionError):
    """The peer sent bytes that are no well-formed packet."""


@dataclass
class Packet:
    """One control packet as received; fields that its type does not have keep their default."""

    kind: int
    flags: int = 0
    packet_id: int | None = None
    reason: int = 0
    reasons: list[int] = field(default_factory=list)
    session_present: bool = False
    topic: str = ""
    payload: bytes = b""
    qos: int = 0
    dup: bool = False
    retain: bool = False
    properties: Properties = field(default_factory=list)
    raw: bytes = b""

    @property
    def name(self) -> str:
        """The packet type's name in the specification."""
        return NAMES[self.kind]

    @property
    def user(self) -> list[tuple[str, str]]:
        """All user properties in order."""
        return [value for name, value in self.properties if name == "user"]

    def prop(self, name: str, default=None):
        """The first property of this name."""
        return next((value for key, value in self.properties if key == name), default)

    def user_value(self, name: str) -> str | None:
        """The value of the only user property of this name; None where there is none."""
        values = [value for key, value in self.user if key == name]
        assert len(values) <= 1, f"user property {name} came {len(values)} times: {self.user}"
        return values[0] if values else None

    @property
    def seq(self) -> int | None:
        """The sequence that `es-seq` tells."""
        value = self.user_value("es-seq")
        return None if value is None else int(value)

    @property
    def time_ns(self) -> int:
        """The commit time that `es-time` tells, Unix nanoseconds."""
        value = self.user_value("es-time")
        assert value is not None, f"no es-time in {self.user}"
        return int(value)

    @property
    def redelivered(self) -> bool:
        """Whether `es-redelivered` is there; any value but `true` is a fault."""
        value = self.user_value("es-redelivered")
        assert value in (None, "true"), value
        return value is not None

    @property
    def subscription_ids(self) -> list[int]:
        """All subscription identifiers in order."""
        return [value for name, value in self.properties if name == "subscription_id"]


def varint(value: int) -> bytes:
    """A variable byte integer (section 1.5.5)."""
    out = bytearray()
    while True:
        value, low = divmod(value, 128)
        out.append(low | (0x80 if value else 0))
        if not value:
            return bytes(out)


def text(value: str | bytes) -> bytes:
    """A length-prefixed string or binary value; bytes pass unchecked, so that tests can send bad UTF-8."""
    data = value.encode() if isinstance(value, str) else value
    return struct.pack(">H", len(data)) + data


def property_bytes(name: str, value) -> bytes:
    """One property."""
    number, kind = PROPERTIES[name]
    if kind == "pair":
        body = text(value[0]) + text(value[1])
    elif kind in ("text", "binary"):
        body = text(value)
    elif kind == "varint":
        body = varint(value)
    else:
        body = value.to_bytes({"byte": 1, "u16": 2, "u32": 4}[kind], "big")
    return bytes([number]) + body


def properties_bytes(properties: Properties) -> bytes:
    """A property block with its length."""
    body = b"".join(property_bytes(name, value) for name, value in properties)
    return varint(len(body)) + body


def packet(kind: int, flags: int, body: bytes) -> bytes:
    """A whole packet from its variable header and payload."""
    return bytes([kind << 4 | flags]) + varint(len(body)) + body


def connect(version, client_id, clean, keep_alive, properties, will=None, username=None, password=None) -> bytes:
    """CONNECT. `will` has topic, payload, qos, retain, properties."""
    flags = 0x02 if clean else 0
    tail = text(client_id)
    if will is not None:
        flags |= 0x04 | will.get("qos", 0) << 3 | (0x20 if will.get("retain") else 0)
        tail += properties_bytes(will.get("properties", [])) if version == 5 else b""
        tail += text(will["topic"]) + text(will.get("payload", b""))
    if username is not None:
        flags |= 0x80
        tail += text(username)
    if password is not None:
        flags |= 0x40
        tail += text(password)
    head = text("MQTT") + bytes([version, flags]) + struct.pack(">H", keep_alive)
    return packet(CONNECT, 0, head + (properties_bytes(properties) if version == 5 else b"") + tail)


def publish(version, topic, payload, qos, retain, dup, packet_id, properties) -> bytes:
    """PUBLISH; the packet identifier is written whenever it is given."""
    body = text(topic)
    if packet_id is not None:
        body += struct.pack(">H", packet_id)
    if version == 5:
        body += properties_bytes(properties)
    return packet(PUBLISH, (8 if dup else 0) | qos << 1 | (1 if retain else 0), body + payload)


def subscribe(version, packet_id, filters: list[tuple[str | bytes, int]], properties) -> bytes:
    """SUBSCRIBE of (filter, options byte) pairs."""
    body = struct.pack(">H", packet_id) + (properties_bytes(properties) if version == 5 else b"")
    return packet(SUBSCRIBE, 2, body + b"".join(text(name) + bytes([options]) for name, options in filters))


def unsubscribe(version, packet_id, filters, properties) -> bytes:
    """UNSUBSCRIBE."""
    body = struct.pack(">H", packet_id) + (properties_bytes(properties) if version == 5 else b"")
    return packet(UNSUBSCRIBE, 2, body + b"".join(text(name) for name in filters))


def acknowledgement(kind, packet_id, reason=0, properties=()) -> bytes:
    """PUBACK, PUBREC, PUBREL or PUBCOMP; short form where reason and properties are empty."""
    body = struct.pack(">H", packet_id)
    if reason or properties:
        body += bytes([reason]) + (properties_bytes(list(properties)) if properties else b"")
    return packet(kind, 2 if kind == PUBREL else 0, body)


class Cursor:
    """Reads values off the body of one packet; running past the end is a WireError."""

    def __init__(self, data: bytes):
        self.data, self.at = data, 0

    def take(self, count: int) -> bytes:
        """The next bytes."""
        chunk = self.data[self.at : self.at + count]
        if len(chunk) != count:
            raise WireError(f"packet ends early: {self.data.hex()}")
        self.at += count
        return chunk

    def number(self, size: int) -> int:
        """A big-endian integer."""
        return int.from_bytes(self.take(size), "big")

    def text(self) -> str:
        """A UTF-8 string."""
        return self.take(self.number(2)).decode("utf-8", "strict")

    def varint(self) -> int:
        """A variable byte integer in its shortest form."""
        value = 0
        for index in range(4):
            byte = self.number(1)
            value |= (byte & 0x7F) << 7 * index
            if not byte & 0x80:
                if index and not byte:
                    raise WireError("variable byte integer is not the shortest form")
                return value
        raise WireError("variable byte integer of more than four bytes")

    def properties(self) -> Properties:
        """A property block."""
        inner, found, seen = Cursor(self.take(self.varint())), [], set()
        while not inner.done():
            name, value = inner.one_property()
            if name in seen and name not in REPEATABLE:
                raise WireError(f"property {name} twice")
            seen.add(name)
            found.append((name, value))
        return found

    def one_property(self):
        """One property as (name, value)."""
        number = self.varint()
        if number not in BY_IDENTIFIER:
            raise WireError(f"unknown property {number:#x}")
        name, kind = BY_IDENTIFIER[number]
        if kind == "pair":
            return name, (self.text(), self.text())
        if kind == "text":
            return name, self.text()
        if kind == "binary":
            return name, self.take(self.number(2))
        if kind == "varint":
            return name, self.varint()
        return name, self.number({"byte": 1, "u16": 2, "u32": 4}[kind])

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(len(self.data) - self.at)

    def done(self) -> bool:
        """Whether all was read."""
        return self.at == len(self.data)


def decode(version: int, first: int, body: bytes) -> Packet:
    """A packet from its first byte and body; WireError unless a server may send it so."""
    got = Packet(kind=first >> 4, flags=first & 0x0F, raw=body)
    read = Cursor(body)
    if got.kind == PUBLISH:
        decode_publish(version, got, read)
        return got
    wanted = 2 if got.kind == PUBREL else 0
    if got.flags != wanted:
        raise WireError(f"{got.name} with flags {got.flags:#x}")
    if got.kind == CONNACK:
        flags = read.number(1)
        if flags > 1:
            raise WireError(f"CONNACK flags {flags:#x}")
        got.session_present, got.reason = bool(flags), read.number(1)
        got.properties = read.properties() if version == 5 else []
    elif got.kind in (PUBACK, PUBREC, PUBREL, PUBCOMP):
        got.packet_id = read.number(2)
        decode_reason(version, got, read)
    elif got.kind in (SUBACK, UNSUBACK):
        got.packet_id = read.number(2)
        got.properties = read.properties() if version == 5 else []
        got.reasons = list(read.rest())
    elif got.kind in (DISCONNECT, AUTH) and version == 5:
        decode_reason(version, got, read)
    elif got.kind != PINGRESP:
        raise WireError(f"a server must not send {got.name} to a version {version} client")
    if not read.done():
        raise WireError(f"bytes behind {got.name}: {body.hex()}")
    return got


def decode_reason(version: int, got: Packet, read: Cursor) -> None:
    """The optional reason and properties at the end of a packet."""
    if version == 5 and not read.done():
        got.reason = read.number(1)
        got.properties = [] if read.done() else read.properties()


def decode_publish(version: int, got: Packet, read: Cursor) -> None:
    """PUBLISH from a server."""
    got.dup, got.qos, got.retain = bool(got.flags & 8), got.flags >> 1 & 3, bool(got.flags & 1)
    if got.qos == 3 or (got.dup and not got.qos):
        raise WireError(f"PUBLISH with flags {got.flags:#x}")
    got.topic = read.text()
    if got.qos:
        got.packet_id = read.number(2)
        if got.packet_id == 0:
            raise WireError("PUBLISH with packet identifier 0")
    got.properties = read.properties() if version == 5 else []
    got.payload = read.rest()
