"""Wills and their delay (MQTT 5.0 sections 3.1.2.5, 3.1.3.2, 3.14)."""

import time

import pytest

import wire

VERSIONS = [4, 5]


@pytest.fixture
def watcher(broker, connect, p):
    """A client that sees every message of the test."""
    client = connect(broker)
    client.granted(f"{p}/#", qos=2)
    return client


def will(p, payload="gone", **more):
    """A will of QoS 1."""
    return {"topic": f"{p}/will", "payload": payload, "qos": 1, **more}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_will_is_published_when_the_connection_is_lost(broker, connect, watcher, p, version, qos):
    connect(broker, version=version, will=will(p, qos=qos)).drop()
    got = watcher.message()
    assert (got.topic, got.payload, got.qos, got.retain) == (f"{p}/will", b"gone", qos, False)


@pytest.mark.parametrize("version", VERSIONS)
def test_will_is_not_published_after_disconnect(broker, connect, watcher, p, version):
    connect(broker, version=version, will=will(p)).disconnect()
    connect(broker, version=version, will=will(p, "end")).drop()
    assert watcher.until("end") == []


def test_will_is_published_after_disconnect_with_will(broker, connect, watcher, p):
    connect(broker, will=will(p)).disconnect(reason=0x04)
    assert watcher.message().payload == b"gone"


def test_will_is_published_after_a_protocol_error(broker, connect, watcher, p):
    client = connect(broker, will=will(p))
    client.send(b"\xff\x00")
    client.expect_closed()
    assert watcher.message().payload == b"gone"


@pytest.mark.parametrize("version", VERSIONS)
def test_will_is_published_after_keep_alive_ran_out(broker, connect, watcher, p, version):
    connect(broker, version=version, keep_alive=1, will=will(p))
    assert watcher.message().payload == b"gone"


@pytest.mark.parametrize("version", VERSIONS)
def test_will_is_published_when_another_connection_takes_over(broker, connect, watcher, p, name, version):
    connect(broker, name, version=version, will=will(p))
    connect(broker, name, version=version)
    assert watcher.message().payload == b"gone"


def test_will_may_be_empty_and_retained(broker, connect, watcher, p):
    connect(broker, will=will(p, "kept", retain=True)).drop()
    assert watcher.message().retain is False
    late = connect(broker)
    late.granted(f"{p}/will", qos=1)
    got = late.message()
    assert (got.payload, got.retain) == (b"kept", True)
    connect(broker, will=will(p, b"", retain=True)).drop()
    assert watcher.message().payload == b""


def test_will_properties_pass_through(broker, connect, watcher, p):
    properties = [
        ("payload_format", 1),
        ("message_expiry", 500),
        ("content_type", "t"),
        ("response_topic", "r"),
        ("correlation_data", b"c"),
        ("user", ("b", "1")),
        ("user", ("a", "2")),
    ]
    connect(broker, will=will(p, properties=properties)).drop()
    got = watcher.message()
    assert got.user == [("b", "1"), ("a", "2")]
    assert 490 <= got.prop("message_expiry") <= 500
    for name, value in properties[2:5]:
        assert got.prop(name) == value
    assert got.prop("payload_format") == 1
    assert got.prop("will_delay") is None


def test_will_delay_holds_the_will_back(broker, connect, watcher, p):
    client = connect(broker, session_expiry=100, will=will(p, properties=[("will_delay", 1)]))
    lost = time.monotonic()
    client.drop()
    assert watcher.message().payload == b"gone"
    assert time.monotonic() - lost >= 0.95


def test_will_delay_ends_with_the_session(broker, connect, watcher, p):
    started = time.monotonic()
    connect(broker, session_expiry=1, will=will(p, properties=[("will_delay", 1000)])).drop()
    assert watcher.message().payload == b"gone"
    assert time.monotonic() - started >= 0.95
    connect(broker, will=will(p, "at once", properties=[("will_delay", 1000)])).drop()
    assert watcher.message().payload == b"at once"


def test_will_is_cancelled_when_the_client_returns_before_the_delay_is_over(broker, connect, watcher, p, name):
    delayed = will(p, properties=[("will_delay", 1)])
    connect(broker, name, session_expiry=100, will=delayed).drop()
    back = connect(broker, name, clean=False, session_expiry=100)
    assert back.connack.session_present
    connect(broker, session_expiry=100, will=will(p, "end", properties=[("will_delay", 2)])).drop()
    assert watcher.until("end") == []


def test_clean_start_ends_the_session_and_sends_its_delayed_will(broker, connect, watcher, p, name):
    delayed = will(p, properties=[("will_delay", 1000)])
    connect(broker, name, session_expiry=2000, will=delayed).drop()
    connect(broker, name, clean=True)
    assert watcher.message().payload == b"gone"


def test_take_over_of_a_kept_session_cancels_a_delayed_will(broker, connect, watcher, p, name):
    old = connect(broker, name, session_expiry=100, will=will(p, properties=[("will_delay", 1)]))
    new = connect(broker, name, clean=False, session_expiry=100)
    assert new.connack.session_present
    old.expect_disconnect(0x8E)
    connect(broker, session_expiry=100, will=will(p, "end", properties=[("will_delay", 2)])).drop()
    assert watcher.until("end") == []


def test_the_will_belongs_to_the_connection_not_to_the_session(broker, connect, watcher, p, name):
    connect(broker, name, session_expiry=100, will=will(p)).drop()
    assert watcher.message().payload == b"gone"
    connect(broker, name, clean=False, session_expiry=100).drop()
    connect(broker, will=will(p, "end")).drop()
    assert watcher.until("end") == []


def test_will_topic_with_wildcard_is_refused(broker, dial, p):
    client = dial(broker)
    client.send(wire.connect(5, "", True, 0, [], will={"topic": f"{p}/+", "payload": b"x"}))
    (connack,) = client.expect_closed()
    assert connack.kind == wire.CONNACK and connack.reason in (0x81, 0x82, 0x90)
