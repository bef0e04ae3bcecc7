"""Fixtures: brokers per module or per test, clients that are closed at the end, names that no other test uses."""

import itertools
import time

import pytest

import attacks
import broker as broker_module
from broker import BINARY, Broker
from raw import Client

NUMBERS = itertools.count(1)


def pytest_configure(config):
    """Fails early and clearly where there is no broker to test."""
    if not BINARY.exists() and not config.option.collectonly:
        raise pytest.UsageError(f"{BINARY} is missing: run `cargo build` first")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Shows the log of every running broker beside a failure."""
    report = (yield).get_result()
    if report.failed:
        for one in broker_module.RUNNING:
            report.sections.append((f"broker on port {one.port}", one.tail()))


@pytest.fixture(scope="module")
def broker(request):
    """A broker for the whole module: stores `s/#`; the module changes it by BROKER, a dict of Broker arguments."""
    one = Broker(**getattr(request.module, "BROKER", {"store": ["s/#"]}))
    one.start()
    yield one
    one.close()


@pytest.fixture
def brokers():
    """Makes brokers for one test only: `brokers(config={...}, store=[...])` returns one that runs."""
    made = []

    def make(start=True, **options):
        one = Broker(**options)
        made.append(one)
        return one.start() if start else one

    yield make
    for one in made:
        one.close()


@pytest.fixture
def connect():
    """Makes connected raw clients: `connect(broker, "id", version=5, clean=True, ...)`; CONNACK must be a success."""
    made = []

    def make(broker, client_id="", version=5, auto_ack=True, **options):
        client = Client(broker.port, version, auto_ack)
        made.append(client)
        connack = client.connect(client_id, **options)
        assert connack.reason == 0, f"CONNACK {connack.reason:#x}: {connack.properties}"
        return client

    yield make
    for client in made:
        client.socket.close()


@pytest.fixture
def durable(connect):
    """Makes connected raw clients whose sessions outlive their connections: `durable(broker, "id", version=4, ...)`."""

    def make(broker, client_id, version=5, **options):
        if version == 5:
            options.setdefault("session_expiry", 1000)
        return connect(broker, client_id, version=version, clean=False, **options)

    return make


@pytest.fixture
def back(durable):
    """The same for a client that returns: its session must be there."""

    def make(broker, client_id, version=5, **options):
        client = durable(broker, client_id, version, **options)
        assert client.connack.session_present, "the session is gone"
        return client

    return make


@pytest.fixture
def over(clock):
    """`over(broker, way)` ends it in order ("restart") or by kill -9 ("crash") and starts it `down` seconds later."""

    def go(broker, way, down=0):
        broker.stop() if way == "restart" else broker.kill9()
        clock(down)
        broker.start()

    return go


@pytest.fixture
def settle(clock):
    """Before a crash: lets what nobody waits for get to the disk, which takes less than a second."""
    return lambda way: clock(1.2 if way == "crash" else 0)


@pytest.fixture
def dial():
    """Makes raw clients that have not sent CONNECT yet."""
    made = []

    def make(broker, version=5, auto_ack=True):
        made.append(Client(broker.port, version, auto_ack))
        return made[-1]

    yield make
    for client in made:
        client.socket.close()


@pytest.fixture
def name(request):
    """A name that no other test uses, fit for topics and client identifiers."""
    return f"{request.node.originalname.removeprefix('test_')[:40]}-{next(NUMBERS)}"


@pytest.fixture
def s(name):
    """A topic prefix whose messages are stored by the module's broker."""
    return f"s/{name}"


@pytest.fixture
def p(name):
    """A topic prefix whose messages are not stored."""
    return f"p/{name}"


def pass_time(until_ns: int) -> None:
    """Waits until the system's clock is past a moment: for rules that speak of elapsed time."""
    while (left := until_ns - time.time_ns()) > 0:
        time.sleep(left / 1e9)


@pytest.fixture
def clock():
    """`clock(seconds)` lets at least that much time pass: only for rules that speak of time."""
    return lambda seconds: pass_time(time.time_ns() + int(seconds * 1e9))


@pytest.fixture
def good(broker):
    """Good clients of the module's broker, served before and behind the test."""
    one = attacks.Bystander(broker)
    one.check()
    yield one
    one.check()
    one.close()
