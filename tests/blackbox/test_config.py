"""Configuration and command line: what is refused and how it is told, and what wins over what."""

import socket
import subprocess

import pytest

from broker import BINARY, ROOT, Broker
from raw import Client


def run(*args, env=None):
    """The binary to its end; its exit code and all it printed."""
    done = subprocess.run([str(BINARY), *args], capture_output=True, text=True, timeout=30, env=env)
    return done.returncode, done.stdout + done.stderr


def check(tmp_path, text):
    """`rewindmq check` of a file with this text."""
    path = tmp_path / "rewindmq.toml"
    path.write_text(text)
    code, said = run("check", "--config", str(path))
    return code, said


def free_port():
    """A port that nobody listens on at this moment."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def test_check_accepts_the_shipped_file():
    code, said = run("check", "--config", str(ROOT / "conf" / "rewindmq.toml"))
    assert code == 0, said


def test_check_accepts_a_file_with_options_of_every_section(tmp_path):
    text = """
[[listeners]]
address = "127.0.0.1:0"
[store]
max_bytes = "2GiB"
cursor_expiry = "1d12h"
[store.default_retention]
max_age = "1h"
[[store.rules]]
filters = ["a/#", "b/+"]
exclude = ["a/b"]
max_count = 10
[session]
receive_maximum = 10
[retained]
max_messages = 5
[shared]
strategy = "sticky"
[[shared.rules]]
group = "x*"
strategy = "random"
[log]
format = "json"
"""
    code, said = check(tmp_path, text)
    assert code == 0, said


FAULTS = {
    "unknown key": ("[store]\n\nmax_byts = 5\n", 3, ["max_byts", "max_bytes"]),
    "unknown key of a rule": ('[[store.rules]]\nfilter = ["a"]\n', None, ["filter", "filters"]),
    "unknown section": ("[sesion]\nreceive_maximum = 5\n", 1, ["sesion", "session"]),
    "wrong type": ('[session]\nreceive_maximum = "many"\n', 2, ["receive_maximum"]),
    "impossible number": ("[session]\nreceive_maximum = 0\n", 2, ["receive_maximum"]),
    "number too large": ("\n\n[session]\nreceive_maximum = 65536\n", 4, ["receive_maximum"]),
    "bad duration": ('[store]\ncursor_expiry = "soon"\n', 2, ["cursor_expiry"]),
    "bad size": ('[store]\nmax_bytes = "5 gallons"\n', 2, ["max_bytes"]),
    "bad word": ('[shared]\nstrategy = "round-robin"\n', 2, ["strategy", "round_robin"]),
    "bad filter": ('[[store.rules]]\nfilters = ["a/#/b"]\n', 2, ["a/#/b"]),
    "bad address": ('[[listeners]]\naddress = "nowhere:99999"\n', 2, ["address"]),
    "not TOML": ("[store\n", 1, []),
    "key twice": ('[store]\npath = "a"\npath = "b"\n', 3, []),
}


@pytest.mark.parametrize("case", FAULTS)
def test_check_names_file_line_key_and_a_suggestion(tmp_path, case):
    text, line, words = FAULTS[case]
    code, said = check(tmp_path, text)
    assert code != 0
    place = "rewindmq.toml:" + (f"{line}" if line else "")
    assert place in said, said
    for word in words:
        assert word in said, said


def test_check_tells_every_fault_at_once(tmp_path):
    code, said = check(tmp_path, "[store]\nmax_byts = 5\n[session]\nreceive_maximum = 0\n")
    assert code != 0
    assert "rewindmq.toml:2" in said and "rewindmq.toml:4" in said, said


def test_a_missing_file_is_told(tmp_path):
    code, said = run("check", "--config", str(tmp_path / "nothing.toml"))
    assert code != 0
    assert "nothing.toml" in said


def test_the_broker_does_not_start_with_a_faulty_file(tmp_path):
    one = Broker(config="[store]\nmax_byts = 5\n").launch()
    assert one.ended() != 0
    one.wait_log(r"rewindmq\.toml:2.*max_byts.*max_bytes")
    assert not any("listening" in line for line in one.log)
    one.close()


def test_unknown_flags_are_refused():
    code, said = run("--lisen", "127.0.0.1:0")
    assert code != 0
    assert "--listen" in said


def test_help_tells_the_flags():
    code, said = run("--help")
    assert code == 0
    for flag in ("--config", "--listen", "--http", "--data", "--store", "check"):
        assert flag in said, flag


def receive_maximum(one):
    """The Receive Maximum that the broker tells."""
    client = Client(one.port)
    told = client.connect().prop("receive_maximum", 65_535)
    client.disconnect()
    return told


def test_the_environment_wins_over_the_file(brokers):
    file = {"session": {"receive_maximum": 7, "topic_alias_maximum": 5}}
    assert receive_maximum(brokers(config=file)) == 7
    one = brokers(config=file, env={"REWINDMQ__SESSION__RECEIVE_MAXIMUM": "9"})
    assert receive_maximum(one) == 9
    client = Client(one.port)
    assert client.connect().prop("topic_alias_maximum") == 5
    client.disconnect()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REWINDMQ__SESSION__RECEIVE_MAXIMUM", "0"),
        ("REWINDMQ__SESSION__RECEIVE_MAXIMUM", "many"),
        ("REWINDMQ__SESSION__RECIEVE_MAXIMUM", "5"),
        ("REWINDMQ__SESION__RECEIVE_MAXIMUM", "5"),
    ],
)
def test_a_faulty_variable_stops_the_start_and_is_named(name, value):
    one = Broker(env={name: value}).launch()
    assert one.ended() != 0
    one.wait_log(name)
    one.close()


def test_flags_win_over_file_and_environment(tmp_path):
    port = free_port()
    file = {"listeners": [{"address": f"127.0.0.1:{port}"}], "store": {"path": str(tmp_path / "file")}}
    one = Broker(config=file, env={"REWINDMQ__STORE__PATH": str(tmp_path / "env")}, data=tmp_path / "flag").start()
    assert (tmp_path / "flag").exists()
    assert not (tmp_path / "file").exists() and not (tmp_path / "env").exists()
    assert one.port != port
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=5)
    one.stop()
    one.close()


def test_without_flags_the_file_counts(tmp_path, connect):
    file = {
        "listeners": [{"address": "127.0.0.1:0"}],
        "http": {"address": "127.0.0.1:0"},
        "store": {"path": str(tmp_path / "file")},
    }
    one = Broker(config=file, flags=False).start()
    connect(one).sync()
    assert (tmp_path / "file").exists()
    one.stop()
    one.close()


def test_store_flags_add_rules_and_leave_those_of_the_file(brokers, connect):
    one = brokers(config={"store": {"rules": [{"filters": ["file/#"]}]}}, store=["x/#", "y/+"])
    client = connect(one)
    for topic in ("file/a", "x/a/b", "y/a"):
        assert client.publish(topic, "m").user == [("es-seq", "1")], topic
    assert client.publish("y/a/b", "m").user == []


def test_a_malformed_store_flag_is_refused():
    code, said = run("--store", "a/#/b", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0")
    assert code != 0
    assert "a/#/b" in said


def test_listen_is_repeatable(brokers):
    one = brokers(args=["--listen", "127.0.0.1:0"])
    ports = set()
    for line in one.log:
        if "listening" in line and "http listening" not in line:
            ports.add(int(line.split("address=")[1].split()[0].rsplit(":", 1)[1]))
    assert len(ports) == 2
    for port in ports:
        client = Client(port)
        assert client.connect().reason == 0
        client.disconnect()


def test_by_default_only_loopback_is_open_and_the_log_says_how_to_open_it(tmp_path):
    env = {"REWINDMQ__STORE__PATH": str(tmp_path / "data"), "REWINDMQ__HTTP__ADDRESS": "127.0.0.1:0"}
    one = Broker(flags=False, env=env).launch()
    try:
        # Where another program has the port, the refusal shows which address the default is.
        found = one.wait_log(r"\blistening\b.*address=(127\.0\.0\.1:1883)|cannot listen on (127\.0\.0\.1:1883)")
        if found.group(1):
            one.wait_log(r"(?i)loopback.*--listen")
            one.stop()
        else:
            assert one.ended() == 1
    finally:
        if one.alive():
            one.kill9()
        one.close()


def test_a_data_folder_in_use_is_refused_and_named(brokers):
    one = brokers()
    two = Broker(data=one.data).launch()
    assert two.ended() != 0
    two.wait_log(str(one.data))
    two.close()
    assert one.alive()


def test_a_port_in_use_is_refused_and_named(brokers):
    one = brokers()
    two = Broker(args=["--listen", f"127.0.0.1:{one.port}"]).launch()
    assert two.ended() != 0
    two.wait_log(f"127.0.0.1:{one.port}")
    two.close()


def test_client_identifier_policy_reject_refuses_the_newcomer(brokers, connect):
    one = brokers(config={"session": {"duplicate_client_id": "reject"}})
    first = connect(one, "me")
    second = Client(one.port)
    assert second.connect("me").reason == 0x85
    second.expect_closed()
    first.sync()
    first.disconnect()
    connect(one, "me").sync()


def test_limits_on_sessions_are_kept(brokers, connect):
    limits = {
        "max_subscriptions": 2,
        "allow_zero_length_client_id": False,
        "max_expiry": "100s",
        "max_keep_alive": "50s",
    }
    one = brokers(config={"session": limits})
    client = connect(one, "me", session_expiry=5000, keep_alive=60)
    assert client.connack.prop("session_expiry") == 100
    assert client.connack.prop("server_keep_alive") == 50
    assert client.subscribe("a", "b", "c").reasons == [0, 0, 0x97]
    nameless = Client(one.port)
    assert nameless.connect("").reason == 0x85
    nameless.expect_closed()


def test_a_message_beyond_the_retained_limit_is_delivered_and_not_retained(brokers, connect):
    one = brokers(config={"retained": {"max_messages": 1}})
    client = connect(one)
    client.granted("#", qos=1)
    client.publish("a", "kept", retain=True)
    client.publish("b", "not kept", retain=True)
    assert [got.payload for got in client.messages(2)] == [b"kept", b"not kept"]
    assert one.metrics().total("rewindmq_dropped_total", reason="retained_full") == 1
    late = connect(one)
    late.granted("#", qos=1)
    client.publish("c", "end")
    assert [got.topic for got in late.until("end")] == ["a"]
