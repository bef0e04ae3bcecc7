"""Brokers with listeners of every kind, and clients that reach them. Knows TLS, no WebSocket."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from pathlib import Path

from broker import ROOT, Broker
from raw import Client, dial

TCP = {"name": "tcp", "address": "127.0.0.1:0", "anonymous": True}


def make_certificates(folder: Path) -> Path:
    """What scripts/certs makes."""
    done = subprocess.run([ROOT / "scripts" / "certs", folder], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return folder


def listening(brokers, *listeners: dict, **sections) -> Broker:
    """A broker with these listeners behind a plain one that is named tcp."""
    one = brokers(start=False, flags=False)
    one.config = {
        "listeners": [TCP, *listeners],
        "http": {"address": "127.0.0.1:0"},
        "store": {"path": str(one.data), "rules": [{"filters": ["s/#"]}]},
        **sections,
    }
    return one.start()


def port(broker: Broker, name: str) -> int:
    """The port of the listener with this name."""
    return broker.announced(rf'\blistening\b.*\baddress=\S*?:(\d+)\b.*\blistener="{name}"')


def tls(folder: Path, certificate: str = "server", **options) -> dict:
    """A table [listeners.tls]."""
    return {"certificate": str(folder / f"{certificate}.pem"), "key": str(folder / f"{certificate}.key"), **options}


def mutual(folder: Path, **options) -> dict:
    """The same with certificates of clients."""
    options = {"client_certificate": "required", "client_ca": str(folder / "ca.pem"), **options}
    return tls(folder, **options)


def copy(folder: Path, name: str, into: Path, as_name: str) -> None:
    """Replaces a certificate and its key by another, as an operator would: the old files are renamed over."""
    for ending in ("pem", "key"):
        if (source := folder / f"{name}.{ending}").exists():
            shutil.copy(source, into / "new")
            (into / "new").rename(into / f"{as_name}.{ending}")


def context(folder: Path, client: str | None = None, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    """What a client trusts and shows."""
    made = ssl.create_default_context(cafile=folder / "ca.pem")
    # The authority of the tests is as simple as can be.
    made.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if client:
        made.load_cert_chain(folder / f"{client}.pem", folder / f"{client}.key")
    if version:
        made.minimum_version = made.maximum_version = version
    return made


def secure(port: int, made: ssl.SSLContext, name: str = "localhost", session=None) -> ssl.SSLSocket:
    """A TLS connection."""
    return made.wrap_socket(dial(port), server_hostname=name, session=session)


def secure_client(port: int, made: ssl.SSLContext, client_id: str = "", version: int = 5, **options) -> Client:
    """A client that was let in over TLS."""
    client = Client(None, version, over=secure(port, made, **options))
    assert client.connect(client_id).reason == 0
    return client


def is_refused(port: int, made: ssl.SSLContext, **options) -> bool:
    """Whether the handshake fails; in TLS 1.3 a client learns only when it reads that its certificate was refused."""
    try:
        with secure(port, made, **options) as connection:
            connection.recv(1)
    except (ssl.SSLError, ConnectionError):
        return True
    return False


def closed(connection: socket.socket) -> bool:
    """Whether the other side closes without a word."""
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True
