"""SIGTERM: clients are told, what was acknowledged is there, the exit code is 0."""

import signal

import pytest

import wire
from load import Load
from raw import Client


@pytest.mark.parametrize("name_of_signal", ["SIGTERM", "SIGINT"])
def test_clients_are_told_and_the_exit_code_is_0(brokers, connect, name_of_signal):
    one = brokers()
    new, old = connect(one), connect(one, version=4)
    one.process.send_signal(getattr(signal, name_of_signal))
    new.expect_disconnect(0x8B)
    assert old.expect_closed() == []
    assert one.ended() == 0


def test_a_stop_under_load_keeps_all_that_was_acknowledged(brokers):
    one = brokers(store=["s/#"])
    load = Load(one.port, "s", 2, 20_000)
    load.may_break = True
    load.start()
    load.wait(2_000)
    one.restart()
    load.join()
    client = Client(one.port)
    client.connect()
    client.replay("first", "s/#")
    writer = Client(one.port)
    writer.connect()
    writer.publish("s/marker", "marker")
    found = {topic: {} for topic in load.acknowledged}
    for got in client.until("marker", timeout=60):
        assert got.seq not in found[got.topic]
        found[got.topic][got.seq] = got.payload.decode()
    for topic, told in load.acknowledged.items():
        assert told.items() <= found[topic].items()
        assert sorted(found[topic]) == list(range(1, len(found[topic]) + 1))
    client.disconnect()
    writer.disconnect()


def test_a_stop_with_a_half_sent_packet_and_an_idle_connection_ends(brokers, connect, dial):
    one = brokers()
    half = connect(one)
    half.send(wire.publish(5, "a", b"x" * 100, 1, False, False, 1, [])[:20])
    dial(one)
    one.stop()


def test_start_after_stop_needs_no_cleaning(brokers, connect):
    one = brokers(store=["s/#"])
    for number in range(1, 4):
        connect(one).publish("s/a", number)
        one.restart()
    client = connect(one)
    client.replay("first", "s/a")
    assert [got.seq for got in client.messages(3)] == [1, 2, 3]
