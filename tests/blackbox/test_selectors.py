"""Message selectors as clients use them: by property, by prefix, over every kind of subscription and over crashes."""

import json

import pytest

from broker import run
from mosquitto import Sub, pub, sub
from raw import payloads, sequences


def colour(client, topic, payload, value, qos=1, **options):
    """PUBLISH with a user property."""
    return client.publish(topic, payload, qos=qos, user=[("colour", value)], **options)


def by(selector, *more):
    """The user properties of SUBSCRIBE."""
    return [("selector", selector), *more]


def test_mosquitto_sub_gets_what_its_selector_lets_pass(broker, p):
    line = ["-V", "5", "-t", f"{p}/#", "-D", "subscribe", "user-property", "selector", "colour = 'red' AND size > 2"]
    with Sub(broker.port, *line) as subscriber:
        for payload, value, size in [("a", "red", "3"), ("b", "blue", "3"), ("c", "red", "1"), ("d", "red", "2.5")]:
            properties = ["-D", "publish", "user-property"]
            pub(
                broker.port, "-V", "5", "-t", f"{p}/x", "-m", payload,
                *properties, "colour", value, *properties, "size", size,
            )  # fmt: skip
        assert [subscriber.next(), subscriber.next()] == ["a", "d"]


def test_mosquitto_sub_of_mqtt_3_selects_by_prefix_in_a_replay(broker, connect, s):
    writer = connect(broker)
    for number in range(1, 7):
        writer.publish(f"{s}/a", json.dumps({"n": number}))
    filter_text = f"$replay/first/$select/payload.n%20%3E%204/{s}/#"
    assert sub(broker.port, "-q", "1", "-t", filter_text, "-C", "2") == ['{"n": 5}', '{"n": 6}']
    assert sub(broker.port, "-q", "1", "-t", f"$select/payload.n%3D3/{s}/#", "-E") == []


@pytest.mark.parametrize(
    ("selector", "reason"),
    [
        ("a != 1", "selector: at character 3: != is not known; write <>"),
        ("größe = 'x", "selector: at character 9: the string that begins here has no closing '"),
        ("", "selector: at character 1: the selector is empty; leave it out to get every message"),
        ("a BETWEEN 'x' AND 'z'", "selector: at character 3: strings and booleans are compared with = and <> only"),
        ("a = 1 -- or not", "selector: at character 7: comments are not allowed (write - - for two signs)"),
    ],
)
@pytest.mark.parametrize("share", ["", "$share/g/"])
@pytest.mark.parametrize("start", [[], [("replay", "first")]])
def test_the_reason_string_names_the_fault(broker, connect, s, selector, reason, share, start):
    client = connect(broker)
    suback = client.subscribe(f"{share}{s}", f"{share}{s}/a", qos=1, user=by(selector, *start))
    assert (suback.reasons, suback.prop("reason_string")) == ([0x83, 0x83], reason)
    assert client.unsubscribe(f"{share}{s}").reasons == [0x11]


def test_a_very_long_selector_is_taken_and_a_longer_one_refused(broker, connect, s):
    client = connect(broker)
    fits = "n IN (" + ",".join(["'x'"] * 15_000) + ",'y')"
    client.granted(s, qos=1, user=by(fits))
    client.publish(s, "other", user=[("n", "z")])
    client.publish(s, "wanted", user=[("n", "y")])
    assert client.message().payload == b"wanted"
    nested = "(" * 257 + "a = 1" + ")" * 257
    assert "levels" in client.subscribe(s, user=by(nested)).prop("reason_string")


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("way", ["restart", "crash"])
def test_a_durable_session_gets_what_passes_and_nothing_else_is_kept(brokers, durable, back, connect, over, version, way):
    one = brokers(store=["s/#"])
    reader = durable(one, "reader", version)
    selector = "colour = 'red'"
    if version == 5:
        reader.granted("p/#", "s/#", qos=1, user=by(selector))
    else:
        reader.granted("$select/colour%20=%20%27red%27/p/#", "$select/colour%20=%20%27red%27/s/#", qos=1)
    reader.drop()
    writer = connect(one)
    for number in range(20):
        colour(writer, "p/a", number, "red" if number % 4 == 0 else "blue", qos=1 + number % 2)
        colour(writer, "s/a", 100 + number, "red" if number % 5 == 0 else "blue")
    over(one, way)
    reader = back(one, "reader", version)
    assert payloads(reader.messages(9)) == ["0", "100", "4", "105", "8", "110", "12", "115", "16"]
    colour(connect(one), "p/a", "end", "red")
    assert reader.until("end") == []


def test_records_on_disk_are_only_those_that_somebody_wants(brokers, durable, connect):
    one = brokers(store=["s/#"])
    durable(one, "reader").granted("p/#", qos=1, user=by("colour = 'red'"))
    writer = connect(one)
    for number in range(10):
        colour(writer, "p/a", number, "red" if number < 3 else "blue")
    assert one.metrics().total("rewindmq_store_records_total") == 3


@pytest.mark.parametrize("way", ["restart", "crash"])
def test_a_replay_goes_on_with_its_selector_after_the_broker_was_gone(brokers, durable, back, connect, over, settle, way):
    one = brokers(store=["s/#"])
    writer = connect(one)
    for number in range(1, 11):
        colour(writer, "s/a", number, "red" if number % 3 == 0 else "blue")
    reader = durable(one, "reader", auto_ack=False, receive_maximum=1)
    reader.replay("first", "s/#", user=by("colour = 'red'"))
    first = reader.message()
    reader.puback(first)
    second = reader.message()
    assert sequences([first, second]) == [3, 6]
    settle(way)
    over(one, way)
    reader = back(one, "reader")
    assert sequences(reader.messages(2)) == [6, 9]
    colour(connect(one), "s/a", 12, "red")
    assert payloads(reader.messages(1)) == ["12"]


@pytest.mark.parametrize("way", ["restart", "crash"])
def test_a_group_gets_what_passes_before_and_after_the_broker_was_gone(brokers, connect, over, settle, way):
    one = brokers(store=["s/#"])
    writer = connect(one)
    for number in range(1, 31):
        colour(writer, "s/a", number, "red" if number % 3 == 0 else "blue")

    def members():
        found = [connect(one, f"member-{n}", receive_maximum=2) for n in range(2)]
        for member in found:
            member.replay("first", "$share/g/s/#", user=by("colour = 'red'"))
        return found

    def all_of(count):
        got = []
        both = members()
        while len(got) < count:
            for member in both:
                member.sync()
                got += member.set_aside()
        return both, sorted(sequences(got))

    both, got = all_of(10)
    assert got == list(range(3, 31, 3))
    refused = connect(one, "other").subscribe("$share/g/s/#", qos=1, user=[("replay", "first")])
    assert refused.reasons == [0x83] and "selector" in refused.prop("reason_string")
    settle(way)
    over(one, way)
    writer = connect(one)
    for number in range(31, 40):
        colour(writer, "s/a", number, "red" if number % 3 == 0 else "blue")
    both, got = all_of(3)
    assert got == [33, 36, 39]


def test_counters_tell_how_often_selectors_were_asked(brokers, connect):
    one = brokers(store=["s/#"])
    for number in range(6):
        client = connect(one, f"client-{number}")
        client.granted("p/a", user=by("colour = 'red'" if number < 5 else "colour = 'blue'"))
    writer = connect(one)
    for value in ("red", "blue", "green"):
        colour(writer, "p/a", value, value)
    counts = [one.metrics().total(f"rewindmq_selector_{name}_total") for name in ("evaluated", "passed", "skipped")]
    assert counts == [6, 2, 4]


def test_the_command_tries_a_selector(tmp_path):
    payload = tmp_path / "payload.json"
    payload.write_text('{"temp": 21.5}')
    message = ["--property", "region=eu", "--payload", payload]
    for selector, said in [
        ("region = 'eu' AND payload.temp > 20", "true"),
        ("region = 'us' OR payload.temp > 30", "false"),
        ("pressure > 20", "unknown"),
    ]:
        done = run("selector", selector, *message)
        assert (done.returncode, done.stdout, done.stderr) == (0, f"{said}\n", "")
    done = run("selector", "region = eu' AND temp > 20")
    assert (done.returncode, done.stdout) == (1, "")
    lines = done.stderr.splitlines()
    assert lines[1:] == [
        "region = eu' AND temp > 20",
        "           ^ at character 12: the string that begins here has no closing '",
    ]
    assert run("selector", "a", "--payload", tmp_path / "none").returncode == 1
