"""The client's side of SCRAM-SHA-256 (RFC 5802, RFC 7677), from the standard library alone. Knows no socket."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os

METHOD = "SCRAM-SHA-256"


def digest(key: bytes, message: bytes) -> bytes:
    """HMAC-SHA-256."""
    return hmac.new(key, message, hashlib.sha256).digest()


class Exchange:
    """One exchange; `first`, then `last` with the server's challenge, then `check` with its signature."""

    def __init__(self, user: str, password: str, header: str = "n,,", nonce: str | None = None):
        self.password, self.header = password, header
        self.nonce = nonce or base64.b64encode(os.urandom(18)).decode()
        name = user.replace("=", "=3D").replace(",", "=2C")
        self.bare = f"n={name},r={self.nonce}"
        self.signature = b""

    def first(self) -> bytes:
        """client-first-message."""
        return (self.header + self.bare).encode()

    def last(self, challenge: bytes) -> bytes:
        """client-final-message."""
        parts = dict(part.split("=", 1) for part in challenge.decode().split(","))
        assert parts["r"].startswith(self.nonce) and len(parts["r"]) > len(self.nonce), challenge
        salted = hashlib.pbkdf2_hmac(
            "sha256", self.password.encode(), base64.b64decode(parts["s"]), int(parts["i"])
        )
        without_proof = f"c={base64.b64encode(self.header.encode()).decode()},r={parts['r']}"
        message = ",".join([self.bare, challenge.decode(), without_proof]).encode()
        key = digest(salted, b"Client Key")
        signed = digest(hashlib.sha256(key).digest(), message)
        proof = bytes(a ^ b for a, b in zip(key, signed, strict=True))
        self.signature = digest(digest(salted, b"Server Key"), message)
        return f"{without_proof},p={base64.b64encode(proof).decode()}".encode()

    def check(self, data: bytes) -> None:
        """server-final-message: the server has the secret too."""
        assert data == b"v=" + base64.b64encode(self.signature), data
