"""What the tests of attacks share: many raw connections, a good client that must go on, the broker's memory. Asserts no time."""

from __future__ import annotations

import resource
import socket
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from broker import Broker
from raw import DEADLINE, Client, as_bytes


# Tells what listens where, and nothing about single connections.
QUIET = {"level": "warn,rewindmq::server=info,rewindmq::net::listener=info"}


def files_allowed(wanted: int) -> int:
    """Raises this process's limit of open files; fewer connections than wanted are said aloud."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    spare = 500
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard - spare)
    if allowed < wanted:
        warnings.warn(f"only {allowed} of {wanted} connections: ulimit -Hn is {hard}", stacklevel=2)
    assert allowed >= 200, f"ulimit -Hn is {hard}: too few for this test"
    return allowed


def dial(broker: Broker) -> socket.socket:
    """A connection on which nothing was sent."""
    one = socket.create_connection(("127.0.0.1", broker.port), timeout=DEADLINE)
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return one


@contextmanager
def many(broker: Broker, count: int) -> Iterator[list[socket.socket]]:
    """That many of them, closed at the end."""
    with ExitStack() as stack:
        yield [stack.enter_context(dial(broker)) for _ in range(count)]


def closed(one: socket.socket, timeout: float = 30) -> bytes:
    """What the broker sends until it closes the connection, which it must."""
    one.settimeout(timeout)
    got = b""
    try:
        while chunk := one.recv(1 << 16):
            got += chunk
    except ConnectionResetError:
        pass
    return got


def memory(broker: Broker) -> int:
    """The resident memory of the broker, bytes."""
    with open(f"/proc/{broker.process.pid}/status", encoding="ascii") as status:
        line = next(line for line in status if line.startswith("VmRSS"))
    return int(line.split()[1]) << 10


class Bystander:
    """A good publisher and a good subscriber that were there before, and newcomers: all of them must be served."""

    def __init__(self, broker: Broker):
        self.broker, self.number = broker, 0
        self.clients: list[Client] = []
        self.reader = self.client()
        self.reader.granted("good/#", qos=1)
        self.publisher = self.client()

    def client(self) -> Client:
        """One more good client."""
        one = Client(self.broker.port)
        self.clients.append(one)
        assert one.connect().reason == 0
        return one

    def check(self) -> None:
        """A message gets through, from a client that was there and from one that comes now."""
        newcomer = self.client()
        for one in (self.publisher, newcomer):
            self.number += 1
            assert one.publish("good/t", self.number, qos=1).reason == 0
            assert self.reader.message().payload == as_bytes(self.number)
        newcomer.disconnect()

    def close(self) -> None:
        """Ends all of them."""
        for one in self.clients:
            one.socket.close()
