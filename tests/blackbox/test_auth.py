"""Enhanced authentication: SCRAM-SHA-256 before CONNACK and again on a living connection (MQTT 5.0 section 4.12)."""

import os
import pty
import stat
import subprocess
import termios

import pytest

import wire
from broker import BINARY
from scram import METHOD, Exchange

AGAIN, CONTINUE = 0x19, 0x18
WRONG = "the user or the password is wrong"


def passwd(path, user, password, *more):
    """`rewindmq passwd` with the password on standard input."""
    line = [BINARY, "passwd", path, user, *more]
    return subprocess.run(line, input=f"{password}\n", text=True, capture_output=True, timeout=60)


@pytest.fixture(scope="module")
def users(tmp_path_factory):
    """A users file with ann and bob."""
    path = tmp_path_factory.mktemp("auth") / "users"
    for user, password in [("ann", "s3cret"), ("bob,=", "pass word")]:
        done = passwd(path, user, password, "--iterations", "4096")
        assert done.returncode == 0, done.stderr
    return path


@pytest.fixture
def broker(brokers, users):
    """A broker that knows them, and lets in others too."""
    config = {"auth": {"users_file": str(users)}, "session": {"connect_timeout": "2s"}}
    return brokers(config=config, args=["--anonymous"])


def auth(client, reason, data, method=METHOD):
    """Sends AUTH."""
    properties = [("authentication_method", method)] if method else []
    properties += [("authentication_data", data)] if data is not None else []
    client.send(wire.packet(wire.AUTH, 0, bytes([reason]) + wire.properties_bytes(properties)))


def begin(client, client_id, data, method=METHOD, **options):
    """Sends CONNECT with the method and data."""
    properties = [("authentication_method", method), *options.items()]
    properties += [("authentication_data", data)] if data is not None else []
    client.send(wire.connect(5, client_id, True, 0, properties))


def challenge(client):
    """The data of the server's AUTH 0x18."""
    got = client.expect(wire.AUTH)
    assert (got.reason, got.prop("authentication_method")) == (CONTINUE, METHOD), got
    return got.prop("authentication_data")


def refused(client, reason):
    """The CONNACK that refuses, then the end of the connection; its reason string."""
    got = client.expect_closed()[-1]
    assert (got.kind, got.reason) == (wire.CONNACK, reason), got
    return got.prop("reason_string")


def log_in(client, client_id, user="ann", password="s3cret", **exchange):
    """The whole exchange; returns the CONNACK."""
    scram = Exchange(user, password, **exchange)
    begin(client, client_id, scram.first())
    auth(client, CONTINUE, scram.last(challenge(client)))
    connack = client.expect(wire.CONNACK)
    assert connack.reason == 0, connack
    assert connack.prop("authentication_method") == METHOD
    scram.check(connack.prop("authentication_data"))
    return connack


@pytest.mark.parametrize("header", ["n,,", "y,,", "n,a=ann,"])
def test_who_knows_the_password_comes_in(broker, dial, name, header):
    client = dial(broker)
    log_in(client, name, header=header)
    client.granted(name)
    client.publish(name, "x")
    assert client.message().payload == b"x"


def test_names_with_commas_and_equals_signs_come_in(broker, dial, name):
    log_in(dial(broker), name, "bob,=", "pass word")


@pytest.mark.parametrize("user, password", [("ann", "wrong"), ("nobody", "s3cret"), ("bob,=", "s3cret")])
def test_who_does_not_is_refused_in_the_same_words(broker, dial, name, user, password):
    client, scram = dial(broker), Exchange(user, password)
    begin(client, name, scram.first())
    auth(client, CONTINUE, scram.last(challenge(client)))
    assert refused(client, 0x87) == WRONG


def test_a_user_that_is_not_there_gets_the_same_challenge_each_time(broker, dial, name):
    def asked(user):
        client = dial(broker)
        begin(client, name, Exchange(user, "", nonce="same").first())
        parts = dict(part.split("=", 1) for part in challenge(client).decode().split(","))
        return parts["s"], parts["i"], len(parts["r"])

    there, nobody = asked("ann"), asked("nobody")
    assert asked("nobody") == nobody and asked("somebody") != nobody
    assert [len(nobody[0]), *nobody[1:]] == [len(there[0]), *there[1:]]
    before = nobody
    broker.stop()
    broker.start()
    assert asked("nobody") == before, "a restart shows who is not there"


def test_an_answer_to_another_challenge_is_refused(broker, dial, name):
    first, scram = dial(broker), Exchange("ann", "s3cret", nonce="same")
    begin(first, name, scram.first())
    answer = scram.last(challenge(first))
    second = dial(broker)
    begin(second, name, scram.first())
    challenge(second)
    auth(second, CONTINUE, answer)
    assert "nonce" in refused(second, 0x87)
    auth(first, CONTINUE, answer)
    assert first.expect(wire.CONNACK).reason == 0


def test_channel_binding_is_refused(broker, dial, name):
    client = dial(broker)
    begin(client, name, Exchange("ann", "s3cret", header="p=tls-exporter,,").first())
    assert "channel binding" in refused(client, 0x87)


def test_another_identity_is_not_given(broker, dial, name):
    client, scram = dial(broker), Exchange("ann", "s3cret", header="n,a=root,")
    begin(client, name, scram.first())
    auth(client, CONTINUE, scram.last(challenge(client)))
    assert refused(client, 0x87) == WRONG


@pytest.mark.parametrize("method", ["SCRAM-SHA-1", "scram-sha-256", ""])
def test_a_method_that_is_not_known_is_refused(broker, dial, name, method):
    client = dial(broker)
    begin(client, name, b"n,,n=ann,r=x", method)
    assert "SCRAM-SHA-256" in refused(client, 0x8C)


def test_without_users_no_method_is_known(brokers, dial, name):
    client = dial(brokers())
    begin(client, name, Exchange("ann", "s3cret").first())
    assert "no enhanced authentication" in refused(client, 0x8C)


def test_data_is_required(broker, dial, name):
    client = dial(broker)
    begin(client, name, None)
    refused(client, 0x82)


@pytest.mark.parametrize(
    "packet",
    [
        b"\xc0\x00",
        wire.publish(5, "t", b"x", 0, False, False, None, []),
        wire.connect(5, "other", True, 0, []),
        wire.packet(wire.AUTH, 0, bytes([AGAIN]) + wire.properties_bytes([("authentication_method", METHOD)])),
        wire.packet(wire.AUTH, 0, bytes([CONTINUE]) + wire.properties_bytes([("authentication_method", "other")])),
        wire.packet(wire.AUTH, 0, bytes([CONTINUE]) + wire.properties_bytes([("authentication_method", METHOD)])),
        b"\xf0\x00",
    ],
    ids=["PINGREQ", "PUBLISH", "CONNECT", "AUTH 0x19", "AUTH of another method", "AUTH without data", "AUTH 0x00"],
)
def test_nothing_else_may_come_before_connack(broker, dial, name, packet):
    client = dial(broker)
    begin(client, name, Exchange("ann", "s3cret").first())
    challenge(client)
    client.send(packet)
    refused(client, 0x82)


def test_a_client_may_give_up(broker, dial, name):
    client = dial(broker)
    begin(client, name, Exchange("ann", "s3cret").first())
    challenge(client)
    client.send(b"\xe0\x00")
    assert client.expect_closed() == []


def test_an_exchange_that_is_not_ended_is_closed(broker, dial, name):
    client = dial(broker)
    begin(client, name, Exchange("ann", "s3cret").first())
    challenge(client)
    assert client.expect_closed() == []
    broker.wait_log("no end of its authentication")


def test_a_challenge_beyond_maximum_packet_size_is_not_sent(broker, dial, name):
    client = dial(broker)
    begin(client, name, Exchange("ann", "s3cret").first(), maximum_packet_size=40)
    assert client.expect_closed() == []


def test_a_connack_beyond_maximum_packet_size_lets_nobody_in(broker, dial, name):
    client, scram = dial(broker), Exchange("ann", "s3cret")
    # The challenge fits; the identifier that the broker gives does not.
    begin(client, "", scram.first(), maximum_packet_size=120)
    auth(client, CONTINUE, scram.last(challenge(client)))
    refused(client, 0x95)


def test_a_session_goes_on_after_an_exchange(broker, dial, name):
    for present in (False, True):
        client, scram = dial(broker), Exchange("ann", "s3cret")
        properties = [("session_expiry", 100), ("authentication_method", METHOD), ("authentication_data", scram.first())]
        client.send(wire.connect(5, name, False, 0, properties))
        auth(client, CONTINUE, scram.last(challenge(client)))
        assert client.expect(wire.CONNACK).session_present == present
        client.disconnect()


def again(client, user="ann", password="s3cret"):
    """Sends the two messages of a re-authentication; returns the exchange."""
    scram = Exchange(user, password)
    auth(client, AGAIN, scram.first())
    auth(client, CONTINUE, scram.last(challenge(client)))
    return scram


def test_a_client_authenticates_again_and_messages_go_on(broker, dial, name):
    client = dial(broker)
    log_in(client, name)
    client.granted(name, qos=1)
    for number in range(3):
        scram = Exchange("ann", "s3cret")
        auth(client, AGAIN, scram.first())
        client.publish(name, number)
        assert client.message().payload == str(number).encode()
        auth(client, CONTINUE, scram.last(challenge(client)))
        got = client.expect(wire.AUTH)
        assert (got.reason, got.prop("authentication_method")) == (0, METHOD)
        scram.check(got.prop("authentication_data"))


@pytest.mark.parametrize("user, password", [("ann", "wrong"), ("nobody", "s3cret"), ("bob,=", "pass word")])
def test_who_fails_to_authenticate_again_is_disconnected(broker, dial, name, user, password):
    client = dial(broker)
    log_in(client, name)
    again(client, user, password)
    client.expect_disconnect(0x87)


def test_the_method_cannot_be_changed(broker, dial, name):
    client = dial(broker)
    log_in(client, name)
    auth(client, AGAIN, b"n,,n=ann,r=x", "SCRAM-SHA-1")
    client.expect_disconnect(0x82)


@pytest.mark.parametrize("reasons", [[CONTINUE], [0], [AGAIN, AGAIN]], ids=["0x18", "0x00", "0x19 twice"])
def test_auth_out_of_order_is_a_protocol_error(broker, dial, name, reasons):
    client = dial(broker)
    log_in(client, name)
    for reason in reasons:
        auth(client, reason, b"n,,n=ann,r=x")
    client.expect_disconnect(0x82)


def test_who_did_not_authenticate_cannot_authenticate_again(broker, connect, name):
    client = connect(broker, name)
    auth(client, AGAIN, b"n,,n=ann,r=x")
    client.expect_disconnect(0x82)


def test_who_asks_for_no_method_comes_in_as_before(broker, connect, name):
    assert connect(broker, name).connack.prop("authentication_method") is None
    assert connect(broker, name, version=4).connack.reason == 0


def owned(client, client_id, user="ann", password="s3cret", clean=False):
    """CONNECT with a session that goes on, and the exchange; returns the CONNACK."""
    scram = Exchange(user, password)
    properties = [("session_expiry", 100), ("authentication_method", METHOD), ("authentication_data", scram.first())]
    client.send(wire.connect(5, client_id, clean, 0, properties))
    auth(client, CONTINUE, scram.last(challenge(client)))
    return client.expect(wire.CONNACK)


def as_nobody(client, client_id, clean=False):
    """CONNECT without authentication; returns the CONNACK."""
    client.send(wire.connect(client.version, client_id, clean, 0, []))
    return client.expect(wire.CONNACK)


@pytest.mark.parametrize("end", ["restart", "crash", "drop", None])
def test_nobody_else_gets_a_user_s_session(broker, dial, over, name, end):
    first = dial(broker)
    assert owned(first, name).reason == 0
    first.granted(name, qos=1)
    if end in ("restart", "crash"):
        over(broker, end)
    elif end == "drop":
        first.drop()
    for clean in (True, False):
        assert as_nobody(dial(broker), name, clean).reason == 0x87
        assert as_nobody(dial(broker, version=4), name, clean).reason == 5
        refusal = owned(dial(broker), name, "bob,=", "pass word", clean)
        assert refusal.reason == 0x87 and "another user" in refusal.prop("reason_string")
    if end is None:
        first.sync()
    again = dial(broker)
    connack = owned(again, name)
    assert (connack.reason, connack.session_present) == (0, True)
    again.publish(name, "x")
    assert again.message().payload == b"x"


def test_a_session_of_nobody_becomes_the_user_s_who_takes_it(broker, dial, connect, over, name):
    connect(broker, name, clean=False, session_expiry=100).drop()
    client = dial(broker)
    assert owned(client, name).session_present
    client.drop()
    over(broker, "crash")
    assert as_nobody(dial(broker), name).reason == 0x87


def test_an_identifier_is_free_when_the_user_s_session_has_ended(broker, dial, name):
    client = dial(broker)
    log_in(client, name)
    assert as_nobody(dial(broker), name).reason == 0x87
    client.disconnect()
    assert as_nobody(dial(broker), name).reason == 0


def test_passwd_changes_removes_and_refuses(users, tmp_path):
    path = tmp_path / "users"
    assert passwd(path, "a", "one").returncode == 0
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    first = path.read_text()
    assert first.startswith("a:SCRAM-SHA-256$15000:") and first.count("\n") == 1
    assert passwd(path, "a", "one").returncode == 0
    assert path.read_text() != first, "another salt"
    for user, password, more, why in [
        ("b", "", [], "the password must not be empty"),
        ("b:c", "x", [], "a user's name"),
        ("b", "x", ["--iterations", "1"], "from 4096 to 10000000"),
        ("b", "", ["--delete"], "there is no user b"),
    ]:
        done = passwd(path, user, password, *more)
        assert done.returncode == 1 and why in done.stderr, done
    assert passwd(path, "a", "", "--delete").returncode == 0
    assert path.read_text() == ""


def test_passwd_at_a_terminal_asks_twice_and_shows_nothing(tmp_path):
    path = tmp_path / "users"
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(BINARY, [str(BINARY), "passwd", str(path), "ann"])
    shown = b""
    for prompt in (b"Password: ", b"Again: "):
        while prompt not in shown:
            shown += os.read(terminal, 1000)
        # The prompt comes before the terminal stops showing what is typed.
        while termios.tcgetattr(terminal)[3] & termios.ECHO:
            os.sched_yield()
        os.write(terminal, b"typed\n")
    try:
        while chunk := os.read(terminal, 1000):
            shown += chunk
    except OSError:
        pass
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, shown
    os.close(terminal)
    assert b"typed" not in shown, shown
    assert path.read_text().startswith("ann:")


def test_a_faulty_users_file_stops_the_start_and_fails_the_check(tmp_path):
    path = tmp_path / "users"
    path.write_text("# people\nann:plain\n")
    variables = {**os.environ, "REWINDMQ__AUTH__USERS_FILE": str(path)}
    flags = ["--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data", str(tmp_path / "data")]
    for line in ([BINARY, "check"], [BINARY, *flags]):
        done = subprocess.run(line, env=variables, capture_output=True, text=True, timeout=60)
        assert done.returncode == 1, done
        assert f"{path}:2: ann: expected SCRAM-SHA-256$<iterations>:<salt>" in done.stderr, done.stderr
