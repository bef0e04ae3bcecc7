"""What listeners ask of connections: Unix sockets, the PROXY protocol, versions, how many there may be, who may come in."""

import os
import socket
import stat

import mosquitto
import paho.mqtt.client as paho
import pytest

import wire
from broker import run
from listeners import closed, listening, port
from raw import Client, dial

V2 = b"\r\n\r\n\0\r\nQUIT\n"


# Unix sockets


@pytest.fixture
def path(tmp_path_factory):
    """A path that is short enough for a socket."""
    return tmp_path_factory.mktemp("unix") / "mqtt.sock"


def unix(path):
    """A connection to a Unix socket."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(15)
    connection.connect(str(path))
    return connection


def test_clients_come_over_a_unix_socket(brokers, path, name):
    broker = listening(brokers, {"address": f"unix:{path}", "mode": "0600"})
    broker.wait_log(rf"listening.*address=unix:{path}")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    with mosquitto.Sub(0, "--unix", str(path), "-t", name) as sub:
        mosquitto.pub(0, "--unix", str(path), "-t", name, "-m", "local")
        assert sub.next() == "local"
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, transport="unix")
    assert client.connect(str(path)) == paho.MQTT_ERR_SUCCESS
    client.loop_start()
    client.publish(name, b"x", qos=1).wait_for_publish(15)
    client.disconnect()
    client.loop_stop()
    broker.stop()
    assert not path.exists()


def test_a_socket_that_a_dead_broker_left_is_replaced(brokers, path):
    broker = listening(brokers, {"address": f"unix:{path}"})
    broker.wait_log(rf"listening.*address=unix:{path}")
    broker.kill9()
    assert path.exists()
    broker.start()
    broker.wait_log(rf"listening.*address=unix:{path}")
    client = Client(None, over=unix(path))
    assert client.connect().reason == 0


def test_the_socket_of_a_living_broker_is_left_alone(brokers, path):
    broker = listening(brokers, {"address": f"unix:{path}"})
    broker.wait_log(rf"listening.*address=unix:{path}")
    second = brokers(start=False, flags=False, args=["--listen", f"unix:{path}", "--http", "127.0.0.1:0", "--data", ""])
    second.options[-1] = str(second.data)
    second.launch()
    assert second.ended() == 1
    assert "another program listens there" in second.tail()
    client = Client(None, over=unix(path))
    assert client.connect().reason == 0


# PROXY protocol


def v1(text):
    """A header of version 1."""
    return f"PROXY {text}\r\n".encode()


def v2(command, family, body=b""):
    """A header of version 2."""
    return V2 + bytes([command, family]) + len(body).to_bytes(2, "big") + body


IPV4 = bytes([192, 0, 2, 1, 192, 0, 2, 2]) + (40_000).to_bytes(2, "big") + (1883).to_bytes(2, "big")
IPV6 = bytes.fromhex("20010db8" + "00" * 11 + "01") + bytes(16) + (9).to_bytes(2, "big") + bytes(2)
HEADERS = {
    "v1 TCP4": (v1("TCP4 192.0.2.1 192.0.2.2 40000 1883"), "192.0.2.1:40000"),
    "v1 TCP6": (v1("TCP6 2001:db8::1 ::1 9 1883"), r"\[2001:db8::1\]:9"),
    "v1 UNKNOWN": (v1("UNKNOWN"), "127.0.0.1:"),
    "v2 IPv4": (v2(0x21, 0x11, IPV4), "192.0.2.1:40000"),
    "v2 IPv6": (v2(0x21, 0x21, IPV6), r"\[2001:db8::1\]:9"),
    "v2 with more": (v2(0x21, 0x11, IPV4 + b"\x04\x00\x01x"), "192.0.2.1:40000"),
    "v2 LOCAL": (v2(0x20, 0x00), "127.0.0.1:"),
}
BAD_HEADERS = {
    "none": b"",
    "half a line": v1("TCP4 192.0.2.1"),
    "an endless line": b"PROXY TCP4 " + b"1" * 200,
    "cut off addresses": v2(0x21, 0x11, IPV4[:8]),
    "an unknown version": v2(0x11, 0x11, IPV4),
    "a huge body": V2 + b"\x21\x11\xff\xff",
}


@pytest.fixture
def proxied(brokers):
    """A broker behind a proxy on this machine, and with a listener for proxies elsewhere."""
    common = {"address": "127.0.0.1:0", "anonymous": True, "proxy_protocol": True}
    return listening(
        brokers,
        {"name": "near", "trusted_proxies": ["127.0.0.0/8"], **common},
        {"name": "far", "trusted_proxies": ["192.0.2.0/24"], **common},
        session={"connect_timeout": "2s"},
    )


@pytest.mark.parametrize("kind", HEADERS)
def test_a_trusted_proxy_names_the_client(proxied, name, kind):
    header, peer = HEADERS[kind]
    connection = dial(port(proxied, "near"))
    # In one piece with CONNECT: what is behind the header is the client's.
    connection.sendall(header + wire.connect(5, name, True, 0, []))
    client = Client(None, over=connection)
    assert client.expect(wire.CONNACK).reason == 0
    proxied.wait_log(rf'connected.*client="{name}" address={peer}')
    client.sync()


def test_a_header_may_come_byte_by_byte(proxied, name):
    for header in (HEADERS["v1 TCP4"][0], HEADERS["v2 IPv4"][0]):
        connection = dial(port(proxied, "near"))
        for byte in header:
            connection.sendall(bytes([byte]))
        assert Client(None, over=connection).connect(name).reason == 0


@pytest.mark.parametrize("kind", BAD_HEADERS)
def test_a_connection_without_a_good_header_is_refused(proxied, kind):
    with dial(port(proxied, "near")) as connection:
        connection.sendall(BAD_HEADERS[kind] + wire.connect(5, "x" * 100, True, 0, []))
        assert closed(connection)
    proxied.wait_metrics(lambda page: page.total("rewindmq_connections_refused_total", reason="proxy") == 1)
    proxied.wait_log(r'connection refused.*listener="near".*no header of the PROXY protocol')


def test_a_header_that_does_not_come_is_not_waited_for(proxied):
    with dial(port(proxied, "near")) as silent, dial(port(proxied, "near")) as slow:
        slow.sendall(V2[:5])
        assert closed(silent) and closed(slow)
    assert proxied.metrics().total("rewindmq_connections_refused_total", reason="timeout") == 2


def test_who_is_not_trusted_is_refused_whatever_it_says(proxied):
    with dial(port(proxied, "far")) as connection:
        try:
            connection.sendall(HEADERS["v2 IPv4"][0])
        except ConnectionError:
            pass
        assert closed(connection)
    proxied.wait_log(r'connection refused.*listener="far".*none of the trusted_proxies')
    assert proxied.metrics().total("rewindmq_connections_refused_total", reason="proxy") == 1


def test_a_listener_without_the_option_takes_no_header(proxied):
    with dial(proxied.port) as connection:
        connection.sendall(HEADERS["v1 TCP4"][0])
        assert closed(connection)


# What each listener asks


def test_a_version_that_a_listener_does_not_speak_is_refused(brokers):
    common = {"address": "127.0.0.1:0", "anonymous": True}
    broker = listening(
        brokers, {"name": "old", "versions": "3.1.1", **common}, {"name": "new", "versions": ["5.0"], **common}
    )
    for name, version, reason in [("old", 4, 0), ("old", 5, 0x84), ("new", 5, 0), ("new", 4, 1)]:
        client = Client(port(broker, name), version)
        assert client.connect("x").reason == reason, (name, version)
        if reason:
            client.expect_closed()
    assert broker.metrics().total("rewindmq_connections_refused_total", reason="version") == 2


def test_a_listener_has_as_many_connections_as_it_may(brokers, name):
    broker = listening(brokers, {"name": "two", "address": "127.0.0.1:0", "anonymous": True, "max_connections": 2})
    at = port(broker, "two")
    first, second = Client(at), Client(at)
    assert first.connect().reason == 0
    with dial(at) as third:
        assert closed(third)
    broker.wait_log(r'connection refused.*listener="two".*max_connections')
    assert broker.metrics().total("rewindmq_connections_refused_total", reason="limit") == 1
    # One that has sent nothing counts too; other listeners have their own number.
    assert second.connect().reason == 0
    other = Client(broker.port)
    assert other.connect().reason == 0
    first.disconnect()
    broker.wait_metrics(lambda _: not closed_at_once(at))


def closed_at_once(at):
    """Whether a connection finds no room; one that does is asked for its CONNECT."""
    client = Client(at)
    try:
        client.connect()
    except (AssertionError, OSError):
        return True
    client.disconnect()
    return False


def test_who_proves_nothing_is_refused_where_it_is_not_let_in(brokers):
    broker = listening(brokers, {"name": "closed", "address": "127.0.0.1:0", "anonymous": False})
    for version, reason in [(5, 0x87), (4, 5)]:
        client = Client(port(broker, "closed"), version)
        assert client.connect("x").reason == reason
    assert broker.metrics().total("rewindmq_connections_refused_total", reason="authentication") == 2


def test_a_listener_that_is_open_to_a_network_is_refused_unless_somebody_said_so():
    done = run("check", "--listen", "0.0.0.0:1883")
    assert done.returncode == 1
    assert "auth.users_file" in done.stderr and "--anonymous" in done.stderr
    done = run("check", "--listen", "0.0.0.0:1883", "--anonymous")
    assert done.returncode == 0, done.stderr
    assert "0.0.0.0:1883, anonymous clients too" in done.stdout
