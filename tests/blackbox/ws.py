"""A WebSocket client that shows and sends every frame. Knows no MQTT."""

from __future__ import annotations

import base64
import hashlib
import os
import socket

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def request(path: str = "/mqtt", protocol: str | None = "mqtt", **changes: str) -> tuple[bytes, str]:
    """The request that opens a WebSocket, and the answer to its key."""
    key = base64.b64encode(os.urandom(16)).decode()
    headers = {
        "Host": "localhost",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": key,
        **({"Sec-WebSocket-Protocol": protocol} if protocol else {}),
        **{name.replace("_", "-"): value for name, value in changes.items()},
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    accept = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
    return f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode(), accept


def frame(kind: int, payload: bytes = b"", final: bool = True, masked: bool = True, reserved: int = 0) -> bytes:
    """One frame."""
    head = bytearray([final << 7 | reserved << 4 | kind])
    size, mask = len(payload), os.urandom(4)
    if size < 126:
        head.append(masked << 7 | size)
    elif size < 1 << 16:
        head += bytes([masked << 7 | 126]) + size.to_bytes(2, "big")
    else:
        head += bytes([masked << 7 | 127]) + size.to_bytes(8, "big")
    if not masked:
        return bytes(head) + payload
    pad = (mask * (size // 4 + 1))[:size]
    covered = (int.from_bytes(payload, "big") ^ int.from_bytes(pad, "big")).to_bytes(size, "big")
    return bytes(head) + mask + covered


class WebSocket:
    """A WebSocket over a connected socket. Sends bytes as binary frames and receives them like a socket does."""

    def __init__(self, connection: socket.socket, **options):
        self.connection, self.buffer, self.frames = connection, bytearray(), 0
        asked, accept = request(**options)
        connection.sendall(asked)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = connection.recv(1)
            assert byte, f"closed in the answer {head!r}"
            head += byte
        self.status = int(head.split()[1])
        lines = head.decode().split("\r\n")[1:-2]
        self.headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        assert self.status != 101 or self.headers["sec-websocket-accept"] == accept

    def body(self) -> str:
        """What comes behind the head of the answer."""
        found = b""
        while chunk := self.connection.recv(1000):
            found += chunk
        return found.decode()

    def send(self, kind: int, payload: bytes = b"", **options) -> None:
        """One frame."""
        self.connection.sendall(frame(kind, payload, **options))

    def take(self, size: int) -> bytes:
        """So many bytes; fewer at the end."""
        while len(self.buffer) < size and (chunk := self.connection.recv(1 << 16)):
            self.buffer += chunk
        taken = bytes(self.buffer[:size])
        del self.buffer[:size]
        return taken

    def next(self) -> tuple[int, bytes] | None:
        """The next frame as its kind and its payload; `None` at the end. One that did not come whole is taken up again."""
        while True:
            if whole := self.cut():
                return whole
            chunk = self.connection.recv(1 << 16)
            if not chunk:
                assert not self.buffer, "closed within a frame"
                return None
            self.buffer += chunk

    def cut(self) -> tuple[int, bytes] | None:
        """A frame that is there whole."""
        if len(self.buffer) < 2:
            return None
        assert not self.buffer[1] & 0x80, "a server does not mask"
        assert not self.buffer[0] & 0x70, "reserved bits are 0"
        size, start = self.buffer[1], 2
        if size >= 126:
            start += 2 if size == 126 else 8
            size = int.from_bytes(self.buffer[2:start], "big")
        if len(self.buffer) < start + size:
            return None
        kind, payload = self.buffer[0] & 0x0F, bytes(self.buffer[start : start + size])
        del self.buffer[: start + size]
        return kind, payload

    # What a plain socket has

    def sendall(self, data: bytes) -> None:
        """Bytes in one binary frame."""
        self.send(BINARY, data)

    def recv(self, _size: int) -> bytes:
        """The payload of the next binary frame; nothing at the end."""
        while (got := self.next()) is not None and got[0] != CLOSE:
            if got[0] in (BINARY, CONTINUATION):
                self.frames += 1
                return got[1]
        return b""

    def settimeout(self, seconds: float) -> None:
        """As of a socket."""
        self.connection.settimeout(seconds)

    def close(self) -> None:
        """As of a socket: without a word."""
        self.connection.close()
