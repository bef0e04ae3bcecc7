"""`rewindmq pub` and `rewindmq sub` as a person types them, and the line for mosquitto_sub that explains a sub."""

import json
import os
import re
import signal
import subprocess

import pytest

import broker as broker_module
import cli
from broker import BINARY
from listeners import listening, make_certificates, mutual, port, tls

BROKER = {"store": ["s/#"]}


@pytest.fixture
def run(broker):
    """`run("pub", "t", "-m", "x")` on the module's broker; the exit code must be `code`."""

    def go(*args, code=0, given="", env=None):
        done = subprocess.run(
            [str(BINARY), *map(str, args)],
            input=given,
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, **cli.url(broker), **(env or {})},
        )
        assert done.returncode == code, f"{args} ended with {done.returncode}:\n{done.stdout[-500:]}{done.stderr[-2000:]}"
        return done

    return go


@pytest.fixture
def events(run, s):
    """A topic with the stored events x1 to x5."""
    run("pub", f"{s}/1", "--stdin", "--lines", given="".join(f"x{number}\n" for number in range(1, 6)))
    return f"{s}/1"


def objects(text):
    return [json.loads(line) for line in text.splitlines()]


# pub


@pytest.mark.parametrize("qos", [1, 2])
def test_pub_tells_what_became_of_a_message(run, s, p, qos):
    assert run("pub", s, "-m", "a", "--qos", qos).stdout.startswith("1 acknowledged, 1 stored as sequence 1")
    assert run("pub", p, "-m", "a", "--qos", qos).stdout == "1 acknowledged, none stored, 1 had no subscriber\n"
    assert run("pub", p, "-m", "a", "--qos", qos, "--store").stdout.startswith("1 acknowledged, 1 stored as sequence 1")
    told = json.loads(run("pub", s, "-m", "a", "--qos", qos, "--repeat", 2500, "--json").stdout)
    assert (told["sent"], told["acknowledged"], told["stored"], told["sequence"]) == (2500, 2500, 2500, 2501)


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_pub_sends_what_is_asked_for(run, broker, connect, p, tmp_path, qos):
    client = connect(broker)
    client.granted(f"{p}/#", qos=2)
    (tmp_path / "payload").write_bytes(b"\x00\xff\n")
    given = ["--qos", qos, "--expiry", "5m", "-p", "a=1", "-p", "a=b=c"]
    run("pub", f"{p}/1", "-f", tmp_path / "payload", *given)
    message = client.message()
    assert (message.topic, message.payload, message.qos) == (f"{p}/1", b"\x00\xff\n", qos)
    assert message.user == [("a", "1"), ("a", "b=c")]
    assert message.prop("message_expiry") in (299, 300)
    run("pub", f"{p}/1", "--stdin", "--qos", qos, given="two\nlines\n")
    assert client.message().payload == b"two\nlines\n"
    run("pub", f"{p}/1", "-m", "kept", "--retain", "--qos", qos)
    assert client.message().payload == b"kept"
    other = connect(broker)
    other.granted(f"{p}/1", qos=0)
    message = other.message()
    assert (message.payload, message.retain) == (b"kept", True)


def test_pub_at_qos_0_returns_when_the_broker_has_all_of_it(run, broker, connect, p):
    before = broker.metrics().total("rewindmq_messages_received_total", qos="0")
    assert run("pub", p, "-m", "x", "--qos", "0", "--repeat", "5000").stdout == "5000 sent\n"
    assert broker.metrics().total("rewindmq_messages_received_total", qos="0") == before + 5000


def test_pub_tells_what_is_refused_and_goes_on(run, p):
    done = run("pub", p, "-m", "x", "-p", "store=maybe", "--repeat", 30, code=1)
    assert done.stdout == "0 acknowledged, none stored, 30 refused\n"
    lines = done.stderr.splitlines()
    assert re.fullmatch(r"rewindmq: message 1 was refused: .*\(0x83\): .*property store.*", lines[0]), lines[0]
    assert (len(lines), lines[-1]) == (21, "rewindmq: 10 more were refused")
    told = json.loads(run("pub", p, "-m", "x", "-p", "store=maybe", "--json", code=1).stdout)
    assert (told["refused"], told["refusals"][0]["reason_code"]) == (1, 0x83)
    assert "property store" in told["refusals"][0]["reason_string"]


def test_an_interrupted_pub_tells_what_it_has_sent(broker, s):
    line = [str(BINARY), "pub", s, "--stdin", "--lines"]
    before = broker.metrics().total("rewindmq_store_records_total")
    pipe = subprocess.PIPE
    env = {**os.environ, **cli.url(broker)}
    with subprocess.Popen(line, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=env) as process:
        process.stdin.write("one\n")
        process.stdin.flush()
        broker.wait_metrics(lambda now: now.total("rewindmq_store_records_total") > before)
        process.send_signal(signal.SIGINT)
        assert process.wait(cli.DEADLINE) == 1
        assert process.stdout.read() == "1 acknowledged, 1 stored as sequence 1\n"
        assert process.stderr.read() == "rewindmq: interrupted\n"


def test_pub_tells_what_is_too_large_before_it_is_sent(brokers, p):
    one = brokers(config={"session": {"max_packet_size": "4KiB"}})
    done = broker_module.run("pub", p, "-m", "x" * 5000, env=cli.url(one))
    assert done.returncode == 1
    assert "message 1 is too large" in done.stderr and "4KiB" in done.stderr


# sub


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ("first", ["x1", "x2", "x3", "x4", "x5"]),
        ("last", ["x5"]),
        ("last:2", ["x4", "x5"]),
        ("seq:3", ["x3", "x4", "x5"]),
        ("5m", ["x1", "x2", "x3", "x4", "x5"]),
        ("2020-02-29T12:00:00Z", ["x1", "x2", "x3", "x4", "x5"]),
    ],
)
def test_sub_starts_where_it_is_told(run, events, start, expected):
    assert run("sub", events, "--from", start, "-n", len(expected), "-q").stdout.splitlines() == expected


def test_sub_without_a_start_is_live(run, broker, events):
    with cli.Sub(broker, events, "-q") as sub:
        run("pub", events, "-m", "now")
        assert sub.next() == "now"


def test_sub_new_begins_now_and_has_a_sequence(run, broker, events):
    with cli.Sub(broker, events, "--from", "new") as sub:
        run("pub", events, "-m", "now")
        assert re.fullmatch(rf"\d\d:\d\d:\d\d\.\d{{3}}  {events}  #6  now", sub.next())


def test_sub_prints_a_line_for_each_message(run, events):
    run("pub", f"{events}/bin", "--stdin", given="two\nlines\x1b[2J")
    lines = run("sub", f"{events}/#", "--from", "first", "-n", "6").stdout.splitlines()
    assert all(re.match(rf"\d\d:\d\d:\d\d\.\d{{3}}  {events}", line) for line in lines)
    assert [line.split("  ", 2)[2].split(None, 1) for line in lines[:5]] == [[f"#{n}", f"x{n}"] for n in range(1, 6)]
    assert lines[5].endswith(r"#1  two\nlines\x1b[2J")
    lines = run("sub", f"{events}/bin", "--from", "first", "-n", "1", "--hex").stdout.splitlines()
    assert lines[0].endswith("  " + b"two\nlines\x1b[2J".hex())


def test_sub_prints_json(run, broker, connect, s):
    client = connect(broker)
    client.publish(s, "é\n", user=[("a", "1"), ("a", "2"), ("es-seq", "99")], content_type="text/plain")
    client.publish(s, b"\xff\x00", qos=2)
    first, second = objects(run("sub", s, "--from", "first", "-n", "2", "--json", "--qos", "2").stdout)
    assert (first["topic"], first["payload"], first["payload_base64"]) == (s, "é\n", None)
    assert (first["sequence"], first["channel"], first["qos"]) == (1, s.replace("/", "."), 1)
    assert (first["content_type"], first["retain"], first["redelivered"]) == ("text/plain", False, False)
    assert first["user_properties"] == [{"name": "a", "value": "1"}, {"name": "a", "value": "2"}]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", first["time"])
    assert (second["payload"], second["payload_base64"], second["qos"]) == (None, "/wA=", 2)
    (live,) = objects(run("sub", s, "--from", first["time"], "-n", "1", "--json").stdout)
    assert live["sequence"] == 1


def test_sub_ends_without_messages_and_says_whether_it_has_all(run, events):
    run("sub", events, "--timeout", "200ms")
    run("sub", events, "--timeout", "200ms", "-n", "1", code=3)
    done = run("sub", events, "--from", "first", "--timeout", "2s", "-n", "6", "-q", code=3)
    assert done.stdout.splitlines() == ["x1", "x2", "x3", "x4", "x5"]
    run("sub", events, "--from", "first", "--timeout", "20s", "-n", "5", "-q")


def test_sub_selects(run, events):
    run("pub", events, "-m", "yes", "-p", "region=eu")
    args = ["sub", events, "--from", "first", "--selector", "region = 'eu'", "-n", "1", "-q"]
    assert run(*args).stdout == "yes\n"
    done = run("sub", events, "--selector", "region == 'eu'", code=2)
    assert "^ at character 8" in done.stderr


def test_sub_tells_why_the_broker_refuses_it(run, brokers, tmp_path, p):
    rules = tmp_path / "acl"
    rules.write_text(f"allow all anyone on {p}/yes\n")
    one = brokers(config={"auth": {"acl_file": str(rules)}})
    done = broker_module.run("sub", f"{p}/yes", f"{p}/no", env=cli.url(one))
    assert done.returncode == 1
    assert f"refused the subscription to {p}/no: not authorized (0x87)" in done.stderr
    assert f"to {p}/yes" not in done.stderr


# Places that are kept


def test_sub_acknowledges_what_it_has_printed_and_goes_on_behind_it(run, broker, events, name):
    args = [events, "--from", "first", "-i", name]
    assert run("sub", *args, "-n", "2", "-q").stdout.splitlines() == ["x1", "x2"]
    with cli.Sub(broker, *args) as sub:
        assert [sub.next().split()[-1] for _ in range(3)] == ["x3", "x4", "x5"]
        assert sub.interrupt() == 0
        assert "--reset starts at --from again" in sub.process.stderr.read()
    broker.wait_log(rf"disconnected .*\b{name}\b")
    run("pub", events, "-m", "x6")
    assert run("sub", *args, "-n", "1", "-q", "--qos", "2").stdout == "x6\n"
    run("sub", *args, "-n", "1", "-q", "--timeout", "300ms", code=3)
    assert run("sub", *args, "--reset", "-n", "1", "-q").stdout == "x1\n"


def test_what_a_killed_member_has_not_printed_goes_to_another(run, broker, s, name):
    texts = [f"{number:04}-{'x' * 1000}" for number in range(300)]
    run("pub", s, "--stdin", "--lines", given="\n".join(texts))
    args = [s, "--from", "first", "--group", name, "-q"]
    with cli.Sub(broker, *args, reading=False) as sub:
        # It fills the pipe, which holds a part of all, and hangs.
        first = sub.process.stdout.readline()
        sub.process.kill()
        sub.process.wait(cli.DEADLINE)
        printed = {line.rstrip("\n") for line in [first, *sub.process.stdout]}
    assert len(printed) < len(texts)
    with cli.Sub(broker, *args) as sub:
        missing = set(texts) - printed
        while missing:
            missing.discard(sub.next())


def test_a_reader_that_pauses_does_not_cost_the_connection(run, broker, clock, s):
    texts = [f"{number:04}-{'x' * 1000}" for number in range(300)]
    run("pub", s, "--stdin", "--lines", given="\n".join(texts))
    with cli.Sub(broker, s, "--from", "first", "-q", "--keep-alive", "1s", "-n", "301", reading=False) as sub:
        clock(2.5)
        sub.read()
        assert [sub.next() for _ in texts] == texts
        run("pub", s, "-m", "still here")
        assert sub.next() == "still here"
        assert sub.process.wait(cli.DEADLINE) == 0


def test_a_durable_subscriber_finds_what_waited(run, broker, p, name):
    args = [p, "--durable", name, "-q"]
    with cli.Sub(broker, *args) as sub:
        run("pub", p, "-m", "live")
        assert sub.next() == "live"
        assert sub.interrupt() == 0
    run("pub", p, "--stdin", "--lines", "--qos", "2", given="one\ntwo\n")
    assert run("sub", *args, "-n", "2", "--qos", "2").stdout == "one\ntwo\n"
    run("sub", *args, "-n", "1", "--timeout", "300ms", code=3)


def test_members_share(run, broker, p, name):
    with cli.Sub(broker, p, "-g", name, "-q") as one, cli.Sub(broker, p, "-g", name, "-q") as two:
        run("pub", p, "--stdin", "--lines", given="".join(f"{number}\n" for number in range(50)))
        for sub in (one, two):
            sub.first = sub.next()
            assert sub.interrupt() == 0
        got = [line for sub in (one, two) for line in [sub.first, *sub.rest()]]
    assert sorted(got, key=int) == [str(number) for number in range(50)]


# --explain


@pytest.mark.parametrize(
    "options",
    [
        ["--from", "first", "-n", "5"],
        ["--from", "last:3", "-n", "3"],
        ["--from", "5m", "-n", "5", "--group", "it's a group"],
        ["--from", "first", "-n", "2", "--selector", "JMSMessageID LIKE '%/2' OR nr = 4 OR \"a b\" = '$HOME'"],
    ],
)
@pytest.mark.parametrize("form", [["-q"], ["--json"], []])
def test_mosquitto_gets_the_same_by_the_explained_line(run, s, options, form):
    for number in range(1, 6):
        run("pub", f"{s}/a b/{number}", "-m", f"$x {number}", "-p", f"nr={number}", "-p", "a b=$HOME" if number == 2 else "c=d")
    filters = [f"{s}/a b/+"]
    explained = run("sub", *filters, *options, *form, "--explain").stdout
    assert explained.startswith("mosquitto_sub ") and explained.count("\n") == 1
    theirs = subprocess.run(explained, shell=True, capture_output=True, text=True, timeout=60, check=True).stdout
    if "--group" in options:
        options = [*options, "--reset"]
    ours = run("sub", *filters, *options, "--json").stdout
    messages = [(one["topic"], one["payload"]) for one in objects(ours)]
    if form == ["-q"]:
        assert theirs.splitlines() == [payload for _, payload in messages]
    elif form == ["--json"]:
        assert [(one["topic"], one["payload"]) for one in objects(theirs)] == messages
    else:
        assert theirs.splitlines() == [f"{topic} {payload}" for topic, payload in messages]


def test_explain_connects_to_nothing_and_says_what_it_cannot(run):
    nowhere = {"REWINDMQ_MQTT_URL": "mqtts://nowhere.example"}
    done = run("sub", "a", "--explain", "--timeout", "5s", env=nowhere)
    assert done.stdout == "mosquitto_sub -V 5 -h nowhere.example -p 8883 --capath /etc/ssl/certs -q 1 -t a -v\n"
    assert "-W SECONDS" in done.stderr
    done = run("sub", "a", "--explain", "--url", "ws://nowhere.example", code=1)
    assert "no WebSocket" in done.stderr


# Ways to the broker


@pytest.fixture(scope="module")
def certs(tmp_path_factory):
    """Certificates of every kind."""
    return make_certificates(tmp_path_factory.mktemp("certs"))


def test_both_speak_tls_and_websocket(brokers, certs, name):
    ws = {"transport": "websocket"}
    at = {"address": "127.0.0.1:0", "anonymous": True}
    kinds = {"mqtts": {"tls": tls(certs)}, "ws": ws, "wss": {"tls": tls(certs), **ws}}
    one = listening(
        brokers,
        *({"name": kind, **at, **more} for kind, more in kinds.items()),
        {"name": "mutual", **at, "anonymous": False, "tls": mutual(certs)},
    )
    ca = ["--ca-file", certs / "ca.pem"]
    mine = ["--cert", certs / "client.pem", "--key", certs / "client.key"]
    urls = [(kind, f"{kind}://localhost:{port(one, kind)}", ca if kind != "ws" else []) for kind in kinds]
    urls += [("mutual", f"mqtts://localhost:{port(one, 'mutual')}", [*ca, *mine])]
    for kind, url, options in urls:
        topic = f"s/{name}/{kind}"
        done = broker_module.run("pub", topic, "-m", kind, "--url", url, *options)
        assert done.returncode == 0, (kind, done.stderr)
        done = broker_module.run("sub", topic, "--from", "first", "-n", "1", "-q", "--url", url, *options)
        assert (done.returncode, done.stdout) == (0, f"{kind}\n"), (kind, done.stderr)
    for options, url, why in [
        ([], urls[0][1], "TLS: "),
        (ca, urls[3][1], "mqtts://localhost"),
        (["--ca-file", certs / "none.pem"], urls[0][1], "none.pem"),
        ([], urls[1][1] + "/elsewhere", "404"),
        ([], f"mqtt://127.0.0.1:{one.http_port}", "MQTT"),
        ([], f"ws://127.0.0.1:{one.http_port}", "WebSocket"),
    ]:
        done = broker_module.run("pub", "t", "-m", "x", "--url", url, *options)
        assert done.returncode == 1 and why in done.stderr, (url, options, done.stderr)
        assert done.stderr.startswith("rewindmq: ") and "panicked" not in done.stderr


def test_a_password_comes_from_a_file(brokers, tmp_path, p):
    users, secret = tmp_path / "users", tmp_path / "secret"
    subprocess.run([BINARY, "passwd", users, "ann"], input="annann\n", text=True, check=True, capture_output=True, timeout=60)
    secret.write_text("annann\nanother line\n")
    one = brokers(config={"auth": {"users_file": str(users)}})
    given = ["--password-file", secret]
    good = [["--url", f"mqtt://ann@127.0.0.1:{one.port}"], ["--url", f"mqtt://127.0.0.1:{one.port}", "--username", "ann"]]
    for options in good:
        assert broker_module.run("pub", p, "-m", "x", *options, *given).returncode == 0
    secret.write_text("wrong\n")
    done = broker_module.run("pub", p, "-m", "x", *good[0], *given)
    assert done.returncode == 1 and "(0x86)" in done.stderr and "--password-file" in done.stderr
    secret.write_text("\n")
    done = broker_module.run("pub", p, "-m", "x", *good[0], *given)
    assert done.returncode == 1 and str(secret) in done.stderr


def test_a_broker_that_is_not_there_or_leaves_is_told(brokers, p):
    one = brokers()
    with cli.Sub(one, p) as sub:
        one.stop()
        assert sub.process.wait(cli.DEADLINE) == 1
        assert "server shutting down (0x8B)" in sub.process.stderr.read()
    done = broker_module.run("pub", p, "-m", "x", env=cli.url(one))
    assert done.returncode == 1 and "cannot connect to" in done.stderr


# Completions and manual pages


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_get_completions_of_all_commands(shell):
    script = broker_module.run("completions", shell).stdout
    for word in (*commands(), "payload-only", "ca-file"):
        assert word in script
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=script, text=True, check=True, timeout=60)


def test_every_command_has_a_manual_page(tmp_path):
    page = broker_module.run("man").stdout
    assert ".TH rewindmq 1" in page and "Exit codes" in page
    assert broker_module.run("man", "--output", tmp_path / "new").returncode == 0
    for command in commands():
        page = (tmp_path / "new" / f"rewindmq-{command}.1").read_text()
        assert ".SH SYNOPSIS" in page
    assert "REWINDMQ_MQTT_URL" in (tmp_path / "new" / "rewindmq-sub.1").read_text()
    assert broker_module.run("man", "--output", "/dev/null/x").returncode == 1


def commands() -> list[str]:
    """The commands that the help names."""
    text = broker_module.run("--help").stdout
    found = re.findall(r"^  ([a-z-]+) ", text.split("Commands:")[1].split("Arguments:")[0].split("Options:")[0], re.M)
    assert {"check", "pub", "sub", "completions", "man"} <= set(found)
    return [command for command in found if command != "help"]
