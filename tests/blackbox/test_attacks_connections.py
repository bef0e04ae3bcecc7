"""Attacks before and around CONNECT: silence, slowness, floods. Good clients go on, and what is refused is counted."""

import os
import random

import pytest

import attacks
import wire
from attacks import closed, dial, many, memory

BROKER = {"config": {"session": {"connect_timeout": "2s"}, "log": attacks.QUIET}}
CONNECT = wire.connect(5, "", True, 0, [], None)


def refused(broker, reason):
    """Connections refused so far for a reason."""
    return broker.metrics().total("rewindmq_connections_refused_total", reason=reason)


def test_thousands_of_connections_that_send_nothing(brokers):
    # They stay for the whole test: the timeout is longer than it.
    broker = brokers(config={"session": {"connect_timeout": "1h"}, "log": attacks.QUIET})
    count = attacks.files_allowed(10_000)
    good = attacks.Bystander(broker)
    good.check()
    before = memory(broker)
    with many(broker, count) as silent:
        good.check()
        # All are accepted: the broker holds one file for each.
        broker.wait_metrics(lambda _: len(os.listdir(f"/proc/{broker.process.pid}/fd")) >= count)
        good.check()
        assert memory(broker) - before < count * 16_384
        assert broker.metrics().total("rewindmq_connections") == 2
        silent[-1].sendall(CONNECT)
        assert silent[-1].recv(1) == b"\x20"
    broker.wait_metrics(lambda now: now.total("rewindmq_connections_refused_total", reason="lost") == count - 1)
    good.check()
    good.close()


def test_silent_connections_are_closed_and_counted(broker, good):
    before = refused(broker, "timeout")
    with many(broker, 100) as silent:
        good.check()
        assert all(closed(one) == b"" for one in silent)
    broker.wait_refused(before + 100, "timeout")


def test_a_connect_that_comes_byte_by_byte_is_cut_off(broker, good, clock):
    before = refused(broker, "timeout")
    long = wire.connect(5, "x" * 1000, True, 0, [], None)
    with many(broker, 20) as slow:
        for byte in long[:30]:
            for one in slow:
                # The broker may have closed it by now: that is what is tested.
                try:
                    one.send(bytes([byte]))
                except OSError:
                    pass
            clock(0.1)
            if byte % 10 == 0:
                good.check()
        assert all(closed(one) == b"" for one in slow)
    broker.wait_refused(before + 20, "timeout")


def test_a_connect_that_announces_much_and_sends_little_takes_no_memory(broker, good):
    before = memory(broker)
    # Almost 1 MiB is allowed and announced; a few bytes of it come.
    head = b"\x10" + wire.varint((1 << 20) - 100) + b"\x00\x04MQTT\x05\x02\x00\x00"
    with many(broker, 500) as liars:
        for one in liars:
            one.sendall(head)
        good.check()
        assert memory(broker) - before < 100 << 20


def test_a_flood_of_connects_that_are_refused(broker, good):
    before = refused(broker, "protocol")
    bad = wire.connect(5, "x", True, 0, [("receive_maximum", 0)], None)
    for _ in range(10):
        with many(broker, 50) as flood:
            for one in flood:
                one.sendall(bad)
            good.check()
            assert all(closed(one)[:1] == b"\x20" for one in flood)
    broker.wait_refused(before + 500, "protocol")


def test_a_flood_of_takeovers_of_one_identifier(broker, good):
    packet = wire.connect(5, "wanted", True, 0, [], None)
    with many(broker, 300) as flood:
        for one in flood:
            one.sendall(packet)
        good.check()
        # Each is let in in its turn, and turned out by the next one.
        assert all(one.recv(1) == b"\x20" for one in flood)
        with dial(broker) as last:
            last.sendall(packet)
            assert last.recv(1) == b"\x20"
            # DISCONNECT with 0x8E ends each of them.
            assert all(b"\x8e" in closed(one) for one in flood)


def test_churn_of_connections_leaves_nothing_behind(broker, good):
    before = broker.metrics()
    for round_number in range(1_000):
        with dial(broker) as one:
            if round_number % 2:
                one.sendall(CONNECT)
            if round_number % 4 == 1:
                assert one.recv(1) == b"\x20"
    good.check()
    now = broker.wait_metrics(lambda now: now.total("rewindmq_connections") == 2)
    assert now.total("rewindmq_sessions") == before.total("rewindmq_sessions") == 2
    assert now.total("rewindmq_subscriptions") == before.total("rewindmq_subscriptions")


def test_clients_that_never_read_their_connack(broker, good):
    packet = wire.connect(5, "", True, 0, [], None)
    with many(broker, 200) as deaf:
        for one in deaf:
            one.sendall(packet)
        good.check()
        broker.wait_metrics(lambda now: now.total("rewindmq_connections") >= 200)
        # What they ask for beyond is answered into their sockets' buffers, and then they are left alone.
        for one in deaf:
            one.sendall(b"\xc0\x00" * 1_000)
        good.check()
    broker.wait_metrics(lambda now: now.total("rewindmq_connections") == 2)


@pytest.mark.parametrize("seed", range(4))
def test_garbage_is_refused_and_counted(broker, good, seed):
    chance = random.Random(seed)
    before = broker.metrics().sum_like("connections_refused_total")
    for _ in range(50):
        with dial(broker) as one:
            junk = chance.randbytes(chance.randrange(1, 5_000))
            # A first byte that begins no CONNECT, so that nothing is waited for.
            try:
                one.sendall(bytes([chance.choice([0x00, 0x11, 0x30, 0xF0, 0xFF])]) + b"\x00" + junk)
            except OSError:
                pass
            closed(one)
    assert broker.metrics().sum_like("connections_refused_total") == before + 50


def test_other_protocols_are_refused_at_once(broker, good):
    hello = bytes.fromhex("16030100c8010000c40303") + bytes(200)
    for text in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", hello, b"SSH-2.0-x\r\n", b"\x00" * 1_000):
        with dial(broker) as one:
            one.sendall(text)
            assert closed(one) == b""


def test_empty_packets_by_the_thousand(broker, good):
    client = good.client()
    # PINGREQ is the only packet without content: as many answers as questions.
    client.send(b"\xc0\x00" * 20_000)
    for _ in range(20_000):
        client.expect(wire.PINGRESP)
    good.check()
    # Zero-length packets of every other type end the connection that sends them.
    for kind in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15):
        one = good.client()
        one.send(bytes([kind << 4, 0]))
        one.expect_disconnect(0x81, 0x82)
