"""MQTT in WebSocket frames (MQTT 5.0 section 6): real clients, frames of every shape, and what no client should send."""

import queue
import ssl
import threading

import paho.mqtt.client as paho
import pytest

import wire
from listeners import context, listening, make_certificates, port, secure, tls
from raw import Client, dial
from ws import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, WebSocket, frame, request

DEADLINE = 15
LARGEST = 100_000


@pytest.fixture(scope="module")
def certs(tmp_path_factory):
    """Certificates."""
    return make_certificates(tmp_path_factory.mktemp("certs"))


@pytest.fixture
def broker(brokers, certs):
    """A broker with a WebSocket listener, plain and with TLS."""
    ws = {"address": "127.0.0.1:0", "transport": "websocket", "anonymous": True}
    session = {"connect_timeout": "2s", "max_packet_size": LARGEST}
    return listening(brokers, {"name": "ws", **ws}, {"name": "wss", "tls": tls(certs), **ws}, session=session)


@pytest.fixture
def websocket(broker):
    """Makes open WebSockets."""
    made = []

    def make(**options):
        made.append(WebSocket(dial(port(broker, "ws")), **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def client(websocket):
    """Makes clients that were let in."""

    def make(client_id="", version=5):
        one = Client(None, version, over=websocket())
        assert one.connect(client_id).reason == 0
        return one

    return make


def close_code(one, answered=False):
    """The code of the close frame that comes next; the connection ends with it, or once it is answered."""
    kind, payload = one.next()
    assert kind == CLOSE, (kind, payload)
    if answered:
        one.send(CLOSE, payload[:2])
    assert one.next() is None
    return int.from_bytes(payload[:2], "big")


def still_serves(broker, name):
    """Others go on being served."""
    one = Client(broker.port)
    assert one.connect().reason == 0
    one.granted(name)
    one.send_publish(name, b"x")
    assert one.message().payload == b"x"
    one.disconnect()


@pytest.mark.parametrize("protocol", [paho.MQTTv311, paho.MQTTv5])
@pytest.mark.parametrize("listener", ["ws", "wss"])
def test_paho_speaks_websocket(broker, certs, name, listener, protocol):
    messages, subscribed, ended = queue.Queue(), threading.Event(), threading.Event()
    one = paho.Client(paho.CallbackAPIVersion.VERSION2, protocol=protocol, transport="websockets")
    one.ws_set_options(path="/mqtt")
    if listener == "wss":
        made = context(certs)
        made.verify_mode = ssl.CERT_REQUIRED
        one.tls_set_context(made)
    one.on_connect = lambda *_: one.subscribe(name, qos=1)
    one.on_subscribe = lambda *_: subscribed.set()
    one.on_message = lambda _client, _data, message: messages.put(message.payload)
    one.on_disconnect = lambda *_: ended.set()
    one.connect("localhost" if listener == "wss" else "127.0.0.1", port(broker, listener))
    one.loop_start()
    assert subscribed.wait(DEADLINE)
    payloads = [b"", b"x", bytes(90_000)]
    for payload in payloads:
        one.publish(name, payload, qos=1).wait_for_publish(DEADLINE)
    assert [messages.get(timeout=DEADLINE) for _ in payloads] == payloads
    one.disconnect()
    assert ended.wait(DEADLINE)
    one.loop_stop()


def test_the_subprotocol_is_chosen(websocket):
    for offered in ["mqtt", "mqttv3.1, mqtt"]:
        one = websocket(protocol=offered)
        assert (one.status, one.headers["sec-websocket-protocol"]) == (101, "mqtt")


@pytest.mark.parametrize(
    "options, status, why",
    [
        ({"path": "/"}, 404, "MQTT is spoken at /mqtt"),
        ({"path": "/mqtt/more"}, 404, "MQTT is spoken at /mqtt"),
        ({"protocol": None}, 400, "the subprotocol mqtt must be offered"),
        ({"protocol": "chat, MQTT2"}, 400, "the subprotocol mqtt must be offered"),
    ],
)
def test_another_path_or_subprotocol_is_refused_with_the_reason(broker, websocket, options, status, why):
    one = websocket(**options)
    assert one.status == status
    assert one.body().strip().startswith(why)
    assert broker.wait_metrics(lambda page: page.total("rewindmq_connections_refused_total", reason="websocket") == 1)
    broker.wait_log(rf'connection refused.*listener="ws".*{status}.*{why}')


def test_a_query_is_no_part_of_the_path(websocket):
    assert websocket(path="/mqtt?token=x").status == 101


JUNK = {
    "no HTTP": b"\x10\x10\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x03abc\r\n\r\n",
    "no upgrade": b"GET /mqtt HTTP/1.1\r\nHost: x\r\n\r\n",
    "a POST": b"POST /mqtt HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
    "a key that is none": request(Sec_WebSocket_Key="x")[0],
    "version 8": request(Sec_WebSocket_Version="8")[0],
    "endless headers": b"GET /mqtt HTTP/1.1\r\n" + b"X: y\r\n" * 50_000,
}


@pytest.mark.parametrize("what", JUNK)
def test_what_opens_no_websocket_is_refused(broker, name, what):
    with dial(port(broker, "ws")) as connection:
        try:
            connection.sendall(JUNK[what])
            while connection.recv(1000):
                pass
        except ConnectionError:
            pass
    broker.wait_metrics(lambda page: page.total("rewindmq_connections_refused_total", reason="websocket") == 1)
    still_serves(broker, name)


def test_a_handshake_that_does_not_end_is_ended(broker, name):
    with dial(port(broker, "ws")) as silent, dial(port(broker, "ws")) as slow:
        slow.sendall(b"GET /mqtt HTTP/1.1\r\nHost")
        still_serves(broker, name)
        assert silent.recv(1) == slow.recv(1) == b""
    assert broker.metrics().total("rewindmq_connections_refused_total", reason="timeout") == 2


@pytest.mark.parametrize("version", [4, 5])
def test_a_text_frame_closes_the_connection(broker, websocket, name, version):
    one = websocket()
    one.send(TEXT, wire.connect(version, "x", True, 0, []).replace(b"\xff", b"x"))
    assert close_code(one) == 1003
    broker.wait_log(r"WebSocket closed.*code=1003")
    still_serves(broker, name)


def test_a_text_frame_closes_the_connection_of_a_client_that_is_in(broker, client, name):
    one = client(name)
    one.socket.send(TEXT, b"\xc0\x00".replace(b"\xc0", b"x"))
    assert close_code(one.socket) == 1003
    broker.wait_log(r"connection lost.*" + name)


@pytest.mark.parametrize("version", [4, 5])
def test_packets_and_frames_need_not_begin_together(websocket, name, version):
    one = websocket()
    subscribe = wire.subscribe(version, 1, [(name, 0)], [])
    publish = wire.publish(version, name, b"payload", 0, False, False, None, [])
    stream = wire.connect(version, name, True, 0, []) + subscribe + publish * 20
    # Pieces of every size: frames that hold parts of packets, whole ones and several of them, empty ones too.
    size = 0
    while stream:
        one.send(BINARY, stream[:size])
        stream, size = stream[size:], size % 37 + 1
    received = Client(None, version, over=one)
    assert received.expect(wire.CONNACK).reason == 0
    received.expect(wire.SUBACK)
    assert [message.payload for message in received.messages(20)] == [b"payload"] * 20


def test_messages_may_be_fragmented_with_control_frames_between(client, name):
    one = client()
    one.granted(name)
    publish = wire.publish(5, name, bytes(30_000), 0, False, False, None, [])
    one.socket.send(BINARY, publish[:10_000], final=False)
    one.socket.send(PING, b"alive?")
    one.socket.send(CONTINUATION, publish[10_000:20_000], final=False)
    one.socket.send(PONG, b"unasked")
    one.socket.send(CONTINUATION, publish[20_000:])
    assert one.socket.next() == (PONG, b"alive?")
    assert one.message().payload == bytes(30_000)


BAD_FRAMES = {
    "not masked": (frame(BINARY, b"\xc0\x00", masked=False), 1002),
    "reserved bits": (frame(BINARY, b"\xc0\x00", reserved=4), 1002),
    "a reserved kind": (frame(3, b"\xc0\x00"), 1002),
    "a reserved control kind": (frame(11), 1002),
    "a fragmented ping": (frame(PING, final=False), 1002),
    "a long ping": (frame(PING, bytes(126)), 1002),
    "a continuation of nothing": (frame(CONTINUATION, b"\xc0\x00"), 1002),
    "a message within another": (frame(BINARY, b"\xc0", final=False) + frame(BINARY, b"\x00"), 1002),
    "a frame beyond the limit": (frame(BINARY, bytes(LARGEST + 1)), 1009),
    "fragments beyond the limit": (
        frame(BINARY, bytes(LARGEST // 2), final=False) + frame(CONTINUATION, bytes(LARGEST // 2 + 1), final=False),
        1009,
    ),
    "a length of 2^63 bytes": (bytes([0x82, 0xFF]) + (1 << 63).to_bytes(8, "big") + b"mask", 1009),
}


@pytest.mark.parametrize("what", BAD_FRAMES)
def test_a_malformed_frame_closes_the_connection_with_its_code(broker, client, name, what):
    data, code = BAD_FRAMES[what]
    one = client()
    try:
        one.socket.connection.sendall(data)
        assert close_code(one.socket) == code
    except ConnectionError:
        # What was not read of a frame that is too large makes the system reset the connection.
        assert code == 1009
    broker.wait_log(rf"WebSocket closed.*code={code}")
    still_serves(broker, name)


def test_a_close_frame_is_answered(client):
    one = client()
    one.socket.send(CLOSE, (1000).to_bytes(2, "big") + b"bye")
    assert close_code(one.socket) == 1000


def test_disconnect_ends_the_websocket_in_order(client):
    one = client()
    one.send(b"\xe0\x00")
    assert close_code(one.socket, answered=True) == 1000


def test_the_last_packet_comes_before_the_close_frame(client, name):
    first, second = client(name), client(name)
    assert first.expect(wire.DISCONNECT).reason == 0x8E
    assert close_code(first.socket, answered=True) == 1000
    second.sync()


def test_an_identifier_does_not_wait_for_the_end_of_its_websocket(client, connect, broker, name):
    one = client(name)
    one.send(b"\xe0\x00")
    # Nobody answers the close frame.
    kind, _ = one.socket.next()
    assert kind == CLOSE
    connect(broker, name).sync()


def test_a_batch_goes_out_in_few_frames(client, connect, broker, s):
    count = 2_000
    publisher = connect(broker)
    publisher.publish_all([(s, b"x" * 50)] * count)
    one = client()
    one.replay("first", s, qos=0)
    one.socket.frames = 0
    one.messages(count)
    assert one.socket.frames < count / 10


def test_large_messages_go_both_ways(client, name):
    one = client()
    one.granted(name, qos=1)
    payloads = [bytes([number]) * 90_000 for number in range(10)]
    for payload in payloads:
        one.publish(name, payload)
    assert [message.payload for message in one.messages(10)] == payloads


def test_a_websocket_within_tls(broker, certs, name):
    made = context(certs)
    made.set_alpn_protocols(["http/1.1"])
    one = Client(None, over=WebSocket(secure(port(broker, "wss"), made)))
    assert one.connect().reason == 0
    one.granted(name)
    one.send_publish(name, b"both")
    assert one.message().payload == b"both"
    one.send(b"\xe0\x00")
    assert close_code(one.socket, answered=True) == 1000
