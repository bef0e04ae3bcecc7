"""Access rules: an unauthorised client publishes nothing and gets not one message, however it subscribes."""

import signal
from pathlib import Path

import pytest

import wire
from broker import run
from raw import Client
from test_api import Api, publish, receive

RULES = """
allow all                client admin       on #
deny  subscribe, replay  client reader      on s/secret/#
allow subscribe, replay  client reader      on s/#
allow subscribe, replay  client reader      on open/#
deny  subscribe          client many-0      on s/secret/#
allow subscribe          anyone             on s/#
allow publish            client writer      on s/#
allow publish, store     client writer      on kept/#
allow publish            anyone             on will/%c
"""
MOSQUITTO_EXAMPLE = Path("/usr/share/doc/mosquitto/examples/aclfile.example")


class Guarded:
    """A broker with a file of access rules that can be replaced."""

    def __init__(self, brokers, tmp_path, rules=RULES, **options):
        self.file = tmp_path / "acl"
        self.file.write_text(rules)
        self.broker = brokers(config={"auth": {"acl_file": str(self.file)}}, store=["s/#"], **options)

    def reload(self, rules):
        """Puts other rules in force."""
        before = self.broker.metrics().total("rewindmq_reloads_total")
        self.file.write_text(rules)
        self.broker.process.send_signal(signal.SIGHUP)
        self.broker.wait_metrics(lambda now: now.total("rewindmq_reloads_total") > before)

    def denied(self, action):
        """How often something was refused."""
        return self.broker.metrics().total("rewindmq_unauthorized_total", action=action)


@pytest.fixture
def guarded(brokers, tmp_path):
    return Guarded(brokers, tmp_path)


def pour(admin, count=5, qos=1, live="open/x", **options):
    """Secret and other messages by turns."""
    for number in range(count):
        admin.publish("s/secret/x", f"secret {number}", qos=qos, **options)
        admin.publish("s/open", f"open {number}", qos=qos, **options)
        admin.publish(live, f"live {number}", qos=qos, **options)


def topics(packets):
    return [got.topic for got in packets]


NOT_SECRET = {"s/open", "open/x"}


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_wildcard_brings_only_what_may_be_read(guarded, connect, version, qos):
    admin = connect(guarded.broker, "admin")
    reader = connect(guarded.broker, "reader", version=version)
    reader.granted("#", "s/#", "s/+/x", qos=qos)
    everything = connect(guarded.broker, "anybody")
    everything.granted("s/#")
    pour(admin, qos=qos)
    admin.publish("open/end", "end")
    got = reader.until("end")
    assert set(topics(got)) == NOT_SECRET
    assert [packet.payload for packet in got if packet.topic == "s/open"] == [b"open %d" % n for n in range(5)]
    assert topics(everything.messages(10)) == ["s/secret/x", "s/open"] * 5


def test_one_of_many_subscribers_gets_less(guarded, connect):
    admin = connect(guarded.broker, "admin")
    many = [connect(guarded.broker, f"many-{number}") for number in range(7)]
    for client in many:
        client.granted("s/#")
    for number in range(20):
        admin.send_publish("s/secret/x", f"secret {number}")
    admin.publish("s/end", "end")
    assert [len(client.until("end")) for client in many] == [0, 20, 20, 20, 20, 20, 20]


@pytest.mark.parametrize("version", [4, 5])
def test_a_filter_of_which_nothing_may_be_read_is_refused(guarded, connect, version):
    reader = connect(guarded.broker, "reader", version=version)
    refused = 0x87 if version == 5 else 0x80
    for name in ["s/secret/x", "s/secret/#", "other/#", "$SYS/#", "$share/g/s/secret/+", "$replay/first/s/secret/#"]:
        assert reader.subscribe(name).reasons == [refused], name
    assert reader.subscribe("s/#", "other/x", "other/+/#").reasons == [0, refused, refused]
    assert guarded.denied("subscribe") == 8
    anybody = connect(guarded.broker, "anybody", version=version)
    assert anybody.subscribe("$replay/first/s/#").reasons == [refused]
    assert guarded.denied("replay") == 1
    if version == 5:
        suback = reader.subscribe("s/secret/x")
        assert "s/secret/x" in suback.prop("reason_string")


def test_publishing_is_refused_and_counted(guarded, connect):
    writer = connect(guarded.broker, "writer")
    old = connect(guarded.broker, "writer-3", version=4)
    admin = connect(guarded.broker, "admin")
    admin.granted("#", qos=2)
    assert [writer.publish("no/x", qos=qos).reason for qos in (1, 2)] == [0x87, 0x87]
    assert old.publish("no/x", qos=1) is not None and old.publish("no/x", qos=2) is not None
    for client in (writer, old):
        client.send_publish("no/x")
        client.sync()
    assert guarded.denied("publish") == 6
    assert writer.publish("s/x", "may").reason == 0
    assert writer.publish("s/y", "stored by rule", user=[("store", "true")]).reason == 0x87
    assert writer.publish("kept/x", "stored", user=[("store", "true")]).reason == 0
    assert writer.publish("$store/s/x").reason == 0x87
    assert guarded.denied("store") == 2
    admin.publish("end", "end")
    assert topics(admin.until("end")) == ["s/x", "kept/x"]


@pytest.mark.parametrize("qos", [0, 1])
def test_a_shared_subscription_gives_to_members_that_may_read(guarded, connect, qos):
    admin = connect(guarded.broker, "admin")
    reader = connect(guarded.broker, "reader")
    anybody = connect(guarded.broker, "anybody")
    for client in (reader, anybody):
        client.granted("$share/g/s/#", qos=qos)
    pour(admin, 10, qos=qos)
    for client in (reader, anybody):
        client.granted("s/end", qos=1)
    admin.publish("s/end", "end")
    of_reader, of_anybody = reader.until("end"), anybody.until("end")
    assert "s/secret/x" not in topics(of_reader)
    assert topics(of_anybody).count("s/secret/x") == 10
    assert (topics(of_reader) + topics(of_anybody)).count("s/open") == 10
    anybody.disconnect()
    before = guarded.denied("delivery")
    pour(admin, 3, qos=qos)
    admin.publish("s/end", "end")
    assert "s/secret/x" not in topics(reader.until("end"))
    assert guarded.denied("delivery") == before + 3


@pytest.mark.parametrize("start", ["first", "last:3", "seq:1"])
def test_a_replay_brings_only_what_may_be_read(guarded, connect, start):
    admin = connect(guarded.broker, "admin")
    pour(admin, 10)
    reader = connect(guarded.broker, "reader")
    suback = reader.replay(start, "s/#")
    assert suback.user_value("es-pending") is None
    pour(admin, 3)
    admin.publish("s/end", "end")
    got = reader.until("end")
    assert set(topics(got)) == {"s/open"}
    assert len(got) == (6 if start == "last:3" else 13)


def test_a_cursor_moves_past_what_may_not_be_read(guarded, connect):
    admin = connect(guarded.broker, "admin")
    reader = connect(guarded.broker, "reader")
    reader.replay("first", "s/#")
    pour(admin, 5)
    assert set(topics(reader.messages(5))) == {"s/open"}
    reader.sync()
    reader.disconnect()
    pour(admin, 2)
    reader = connect(guarded.broker, "reader")
    reader.replay("first", "s/#")
    admin.publish("s/end", "end")
    assert [packet.payload for packet in reader.until("end")] == [b"open 0", b"open 1"]


def test_a_group_with_a_cursor_gives_to_members_that_may_read(guarded, connect):
    admin = connect(guarded.broker, "admin")
    pour(admin, 10)
    reader = connect(guarded.broker, "reader")
    reader.replay("first", "$share/g/s/#")
    # What came before anybody was there who may have it is given up.
    assert set(topics(reader.messages(10))) == {"s/open"}
    other = connect(guarded.broker, "admin-2")
    guarded.reload("allow all client admin-2 on #\n" + RULES)
    other.replay("first", "$share/g/s/#")
    pour(admin, 10)
    for client in (reader, other):
        client.granted("open/end")
    admin.publish("open/end", "end")
    of_reader, of_other = reader.until("end"), other.until("end")
    while len(of_reader + of_other) < 20:
        for client, got in [(reader, of_reader), (other, of_other)]:
            client.sync()
            got += client.set_aside()
    assert set(topics(of_reader)) == {"s/open"}
    assert topics(of_other).count("s/secret/x") == 10
    assert topics(of_reader + of_other).count("s/open") == 10
    assert guarded.denied("delivery") == 10


def test_retained_messages_are_looked_at(guarded, connect):
    admin = connect(guarded.broker, "admin")
    pour(admin, 1, retain=True)
    reader = connect(guarded.broker, "reader")
    reader.granted("#", "s/#", qos=1)
    admin.publish("open/end", "end")
    assert set(topics(reader.until("end"))) == NOT_SECRET


def test_a_will_needs_the_right_to_publish_it(guarded, connect):
    bad = Client(guarded.broker.port)
    assert bad.connect("willing", will={"topic": "s/x", "payload": "w", "qos": 1}).reason == 0x87
    admin = connect(guarded.broker, "admin")
    admin.granted("#", qos=1)
    connect(guarded.broker, "willing", will={"topic": "will/willing", "payload": "good", "qos": 1}).drop()
    assert admin.message().payload == b"good"
    late = connect(guarded.broker, "late", will={"topic": "will/late", "payload": "bad", "qos": 1})
    guarded.reload("allow all client admin on #\n")
    late.drop()
    guarded.broker.wait_metrics(lambda now: now.total("rewindmq_unauthorized_total", action="will") == 2)
    admin.publish("end", "end")
    assert admin.until("end") == []


@pytest.mark.parametrize("restart", [False, True])
def test_a_durable_session_gets_nothing_it_may_not_read(guarded, connect, restart):
    expiry = {"session_expiry": 3600}
    reader = connect(guarded.broker, "reader", clean=False, **expiry)
    reader.granted("#", "$share/g/s/#", qos=1)
    reader.disconnect()
    admin = connect(guarded.broker, "admin")
    pour(admin, 4, live="open/x")
    if restart:
        guarded.broker.restart()
        admin = connect(guarded.broker, "admin")
        pour(admin, 1)
    reader = connect(guarded.broker, "reader", clean=False, **expiry)
    admin.publish("open/end", "end")
    got = reader.until("end")
    reader.sync()
    assert "s/secret/x" not in topics(got + reader.set_aside())
    assert topics(got).count("open/x") == (5 if restart else 4)


def test_rules_that_change_hold_for_what_waits(guarded, connect):
    expiry = {"session_expiry": 3600}
    reader = connect(guarded.broker, "reader", clean=False, **expiry)
    reader.granted("open/#", "s/#", qos=1)
    reader.disconnect()
    admin = connect(guarded.broker, "admin")
    pour(admin, 3, live="open/x")
    guarded.reload("allow all client admin on #\ndeny all client reader on open/x\nallow all client reader on #\n")
    reader = connect(guarded.broker, "reader", clean=False, **expiry)
    admin.publish("open/end", "end")
    got = reader.until("end")
    assert "open/x" not in topics(got)
    assert topics(got).count("s/open") == 3


def test_rules_that_change_hold_for_messages_that_flow(guarded, connect):
    admin = connect(guarded.broker, "admin")
    reader = connect(guarded.broker, "reader")
    reader.granted("open/#")
    reader.replay("new", "s/#")
    pour(admin, 20, live="open/x")
    guarded.reload("allow all client admin on #\nallow subscribe client reader on open/end\n")
    admin.publish("open/mark", "mark")
    for _ in range(50):
        admin.send_publish("open/x", "after")
        admin.send_publish("s/open", "after")
    admin.publish("open/end", "end")
    got = reader.until("end")
    assert all(packet.payload not in (b"after", b"mark") for packet in got)
    guarded.reload(RULES)
    admin.publish("open/x", "again")
    assert reader.message().payload == b"again"


def test_a_faulty_file_leaves_the_rules_in_force(guarded, connect):
    reader = connect(guarded.broker, "reader")
    guarded.file.write_text("allow everything\n")
    guarded.broker.process.send_signal(signal.SIGHUP)
    guarded.broker.wait_metrics(lambda now: now.total("rewindmq_reloads_failed_total") == 1)
    guarded.broker.wait_log(r"acl:1:7")
    assert reader.subscribe("s/secret/x").reasons == [0x87]


def test_selectors_and_rules_go_together(guarded, connect):
    admin = connect(guarded.broker, "admin")
    reader = connect(guarded.broker, "reader")
    reader.granted("s/#", qos=1, user=[("selector", "kind = 'a'")])
    reader.granted("#", user=[("selector", "kind = 'b'")])
    reader.replay("first", "s/open", user=[("selector", "kind = 'a'")])
    for kind in ("a", "b", "c"):
        pour(admin, 3, user=[("kind", kind)])
    admin.publish("open/end", "end", user=[("kind", "b")])
    got = topics(reader.until("end"))
    assert (got.count("s/secret/x"), got.count("open/x")) == (0, 3)
    assert got.count("s/open") == 9


def test_without_a_file_everything_is_allowed(brokers, connect):
    broker = brokers()
    client = connect(broker, "c")
    client.granted("#")
    assert client.publish("a").reason in (0, 0x10)
    assert broker.metrics().total("rewindmq_unauthorized_total") == 0


def test_the_command_line_explains(tmp_path):
    file = tmp_path / "acl"
    file.write_text(RULES)
    config = tmp_path / "rewindmq.toml"
    config.write_text(f'[auth]\nacl_file = "{file}"\n')
    asked = ["acl", "explain", "--client", "reader"]
    done = run(*asked, "--acl", file, "subscribe", "s/#")
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "allowed in part")
    assert f"{file}:3: deny  subscribe, replay  client reader      on s/secret/#" in done.stdout
    done = run(*asked, "--config", config, "publish", "s/x")
    assert done.stdout == "denied\n  no rule speaks of it\n"
    assert run("acl", "check", file).stdout.startswith("ok, ")
    assert run("check", "--config", config).returncode == 0
    file.write_text("allow all anyone on a#\n")
    for command in (["acl", "check", file], ["check", "--config", config]):
        done = run(*command)
        assert done.returncode == 1 and f"{file}:1:21: " in done.stderr, done.stderr


def test_mosquittos_example_is_read(brokers, connect):
    done = run("acl", "check", "--mosquitto", MOSQUITTO_EXAMPLE)
    assert done.returncode == 0, done.stderr
    broker = brokers(config={"auth": {"mosquitto_acl_file": str(MOSQUITTO_EXAMPLE)}})
    client = connect(broker, "c")
    assert client.subscribe("$SYS/#", "#", "foo/bar").reasons == [0, 0x87, 0x87]
    asked = ["acl", "explain", "--acl", MOSQUITTO_EXAMPLE, "--mosquitto", "--user", "roger"]
    assert run(*asked, "publish", "foo/bar").stdout.startswith("allowed\n")
    assert run(*asked, "publish", "foo/baz").stdout.startswith("denied\n")


def test_a_user_property_of_a_refusal_is_told(guarded, connect):
    writer = connect(guarded.broker, "writer")
    got = writer.publish("no/x")
    assert got.kind == wire.PUBACK and "not allowed" in got.prop("reason_string")


def test_administrators_are_asked_no_rule(brokers, connect, tmp_path):
    file = tmp_path / "acl"
    file.write_text("allow subscribe client reader on s/#\n")
    broker = brokers(config={"auth": {"acl_file": str(file)}}, store=["s/#"])
    reader = connect(broker, "reader")
    reader.granted("s/#")
    api = Api(broker)
    assert publish(api, "s/x", "told")["stored"] is True
    assert reader.message().payload == b"told"
    got = receive(api, "s/#", start="first", count=1)["messages"]
    assert [message["topic"] for message in got] == ["s/x"]
