"""SIGHUP: the configuration is read again; all of it takes effect, or none."""

import signal
import subprocess
from pathlib import Path

import pytest

from broker import BINARY, Broker, literal, toml
from raw import Client

SMALL = {"session": {"max_subscriptions": 1}}


def reload(broker: Broker, config: dict | str, metric: str = "rewindmq_reloads_total") -> None:
    """Writes the file anew, sends SIGHUP and waits until it was read."""
    before = broker.metrics().total(metric)
    text = config if isinstance(config, str) else toml(config)
    (Path(broker.folder.name) / "rewindmq.toml").write_text(text)
    broker.process.send_signal(signal.SIGHUP)
    broker.wait_metrics(lambda now: now.total(metric) > before)


def refused(broker: Broker, config: str) -> None:
    """The same for a file that must be refused."""
    reload(broker, config, "rewindmq_reloads_failed_total")


def test_a_changed_limit_takes_effect_on_clients_that_are_connected(brokers, connect):
    broker = brokers(config=SMALL)
    client = connect(broker)
    client.granted("a")
    assert client.subscribe("b").reasons == [0x97]
    reload(broker, {"session": {"max_subscriptions": 2}})
    client.granted("b")
    assert client.subscribe("c").reasons == [0x97]
    broker.wait_log(r"read again.*session\.max_subscriptions")


def test_a_faulty_file_leaves_everything_in_force_and_names_the_line(brokers, connect):
    broker = brokers(config=SMALL)
    client = connect(broker)
    client.granted("a")
    refused(broker, "[session]\nmax_subscriptions = 5\nmax_inflight = 0\n")
    broker.wait_log(r"rewindmq\.toml:3")
    assert client.subscribe("b").reasons == [0x97]
    assert broker.metrics().total("rewindmq_reloads_total") == 0


def test_a_faulty_users_file_leaves_everything_in_force(brokers, connect, tmp_path):
    users = tmp_path / "users"
    users.write_text("no user\n")
    broker = brokers(config=SMALL)
    client = connect(broker)
    client.granted("a")
    refused(broker, f"[auth]\nusers_file = {literal(users)}\n[session]\nmax_subscriptions = 5\n")
    broker.wait_log(r"users:1")
    assert client.subscribe("b").reasons == [0x97]


def test_store_rules_change_what_is_stored(brokers, connect):
    rule = {"filters": ["a/#"]}
    broker = brokers(config={"store": {"rules": [rule]}})
    publisher = connect(broker)
    publisher.publish("a/1", "stored")
    # Twice, so that the broker knows the way of the topic by heart.
    publisher.publish("b/1", "lost", qos=0)
    publisher.publish("b/1", "lost", qos=0)
    publisher.sync()
    reload(broker, {"store": {"rules": [rule | {"filters": ["b/#"]}]}})
    publisher.publish("a/1", "lost")
    publisher.publish("b/1", "stored", qos=0)
    publisher.publish("b/1", "end")
    reader = connect(broker)
    reader.replay("first", "#")
    assert [(got.topic, got.payload) for got in reader.messages(3)] == [
        ("a/1", b"stored"),
        ("b/1", b"stored"),
        ("b/1", b"end"),
    ]


def test_retention_changes(brokers, connect):
    broker = brokers(config={"store": {"retention_interval": "10ms", "rules": [{"filters": ["a"]}]}})
    publisher = connect(broker)
    for number in range(5):
        publisher.publish("a", number)
    rule = {"filters": ["a"], "max_count": 2}
    reload(broker, {"store": {"retention_interval": "10ms", "rules": [rule]}})
    broker.wait_metrics(lambda now: now.total("rewindmq_store_trimmed_records_total") == 3)


def test_the_log_level_changes(brokers, connect):
    broker = brokers(config={"log": {"level": "info"}})
    reload(broker, {"log": {"level": "warn"}})
    connect(broker, "quiet").disconnect()
    reload(broker, {"log": {"level": "info"}})
    connect(broker, "loud")
    broker.wait_log(r"connected.*loud")
    assert not any("quiet" in line for line in broker.log)


def test_what_a_connection_was_told_holds_until_its_end(brokers, connect):
    broker = brokers(config={"session": {"max_packet_size": 2000}})
    client = connect(broker)
    assert client.connack.prop("maximum_packet_size") == 2000
    reload(broker, {"session": {"max_packet_size": 1000}})
    assert client.publish("t", "x" * 1500).reason < 0x80
    later = connect(broker)
    assert later.connack.prop("maximum_packet_size") == 1000
    later.send_publish("t", "x" * 1500)
    later.expect_disconnect(0x95)


def test_what_needs_a_restart_is_named_and_stays(brokers, connect):
    broker = brokers(config={"store": {"durability": "sync"}})
    reload(broker, {"store": {"durability": "memory"}, "runtime": {"workers": 3}})
    broker.wait_log(r"WARN.*store\.durability runtime\.workers|runtime\.workers.*started again")
    assert connect(broker).connack.user_value("durability") == "sync"


def test_the_shared_strategy_changes_for_new_groups(brokers, connect):
    broker = brokers(config={"shared": {"strategy": "round_robin"}})
    reload(broker, {"shared": {"strategy": "sticky"}})
    members = [connect(broker) for _ in range(2)]
    for member in members:
        member.granted("$share/g/t", qos=1)
    publisher = connect(broker)
    for number in range(10):
        publisher.publish("t", number)
    for member in members:
        member.sync()
    assert sorted(len(member.set_aside()) for member in members) == [0, 10]


@pytest.mark.parametrize("way", ["unchanged", "no file"])
def test_a_broker_goes_on_where_nothing_changed_or_there_is_no_file(brokers, connect, way):
    broker = brokers(config={} if way == "unchanged" else None)
    client = connect(broker)
    broker.process.send_signal(signal.SIGHUP)
    broker.wait_metrics(lambda now: now.total("rewindmq_reloads_total") == 1)
    client.sync()


def test_users_that_come_by_reload_close_the_door_to_who_proves_nothing(brokers, tmp_path):
    users = tmp_path / "users"
    line = [BINARY, "passwd", users, "ann", "--iterations", "4096"]
    assert subprocess.run(line, input="secret\n", capture_output=True, text=True, check=False).returncode == 0
    broker = brokers(config=SMALL)
    ann = {"username": b"ann", "password": b"secret"}

    def reasons():
        """What a client is told that proves nothing, and one that proves that it is ann."""
        told = []
        for names in ({}, ann):
            client = Client(broker.port)
            told.append(client.connect(**names).reason)
            client.drop()
        return told

    assert reasons()[0] == 0
    reload(broker, f"[auth]\nusers_file = {literal(users)}\n")
    assert reasons() == [0x87, 0]
    reload(broker, "")
    assert reasons()[0] == 0
