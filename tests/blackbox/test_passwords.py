"""User names and passwords in CONNECT: users files of every form, tokens, floods. Knows no exchange (see test_auth.py)."""

import base64
import hashlib
import hmac
import json
import socket
import subprocess
import time

import paho.mqtt.client as paho
import pytest

import wire
from broker import BINARY
from listeners import make_certificates

SECRET = b"0123456789abcdef0123456789abcdef"
CODE = {5: {"wrong": 0x86, "denied": 0x87}, 4: {"wrong": 4, "denied": 5}}


def passwd(path, user, password, *more):
    line = [BINARY, "passwd", path, user, *more]
    subprocess.run(line, input=f"{password}\n", text=True, check=True, capture_output=True, timeout=60)


def old_mosquitto(password):
    """What mosquitto_passwd wrote before version 2."""
    salt = b"twelve bytes"
    digest = hashlib.sha512(password.encode() + salt).digest()
    return f"$6${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


@pytest.fixture(scope="module")
def users(tmp_path_factory):
    """A users file with each form; the password is the name twice."""
    path = tmp_path_factory.mktemp("passwords") / "users"
    subprocess.run(["mosquitto_passwd", "-c", "-b", path, "mos", "mosmos"], check=True, capture_output=True, timeout=60)
    assert "mos:$7$" in path.read_text()
    passwd(path, "scram", "scramscram", "--iterations", "4096")
    passwd(path, "argon", "argonargon", "--argon2")
    assert "argon:$argon2id$v=19$m=19456,t=2,p=1$" in path.read_text()
    with path.open("a") as file:
        file.write(f"old:{old_mosquitto('oldold')}\n")
    return path


@pytest.fixture(scope="module")
def secret(tmp_path_factory):
    path = tmp_path_factory.mktemp("jwt") / "secret"
    path.write_bytes(SECRET + b"\n")
    return path


@pytest.fixture
def broker(brokers, users):
    return brokers(config={"auth": {"users_file": str(users)}})


def tried(client, client_id, username=None, password=None, clean=True, **properties):
    """The code of CONNACK."""
    options = {"username": username, "password": password}
    client.send(wire.connect(client.version, client_id, clean, 0, list(properties.items()), None, **options))
    return client.expect(wire.CONNACK).reason


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("user", ["mos", "scram", "argon", "old"])
def test_the_right_password_lets_in_and_a_wrong_one_does_not(broker, dial, name, user, version):
    assert tried(dial(broker, version), name, user, user * 2) == 0
    for wrong in (user, user * 2 + "\n", "", b"\xff"):
        assert tried(dial(broker, version), name, user, wrong) == CODE[version]["wrong"], wrong
    assert tried(dial(broker, version), name, user) == CODE[version]["wrong"]
    assert tried(dial(broker, version), name, "nobody", user * 2) == CODE[version]["wrong"]


@pytest.mark.parametrize("version", [4, 5])
def test_who_brings_nothing_gets_in_only_where_anonymous_is_allowed(brokers, broker, dial, users, name, version):
    assert tried(dial(broker, version), name) == CODE[version]["denied"]
    free = brokers(config={"auth": {"users_file": str(users)}}, args=["--anonymous"])
    assert tried(dial(free, version), name) == 0
    assert tried(dial(free, version), name, "mos", "wrong") == CODE[version]["wrong"]


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("end", ["restart", "drop"])
def test_a_session_belongs_to_the_user_of_the_password(broker, dial, over, name, end, version):
    properties = {"session_expiry": 100} if version == 5 else {}
    first = dial(broker, version)
    assert tried(first, name, "mos", "mosmos", clean=False, **properties) == 0
    over(broker, end) if end == "restart" else first.drop()
    for clean in (True, False):
        assert tried(dial(broker, version), name, "scram", "scramscram", clean) == CODE[version]["denied"]
    again = dial(broker, version)
    again.send(wire.connect(version, name, False, 0, list(properties.items()), None, "mos", "mosmos"))
    connack = again.expect(wire.CONNACK)
    assert (connack.reason, connack.session_present) == (0, True)


@pytest.mark.parametrize("end", ["restart", "crash", None])
def test_a_cursor_belongs_to_the_user_beyond_the_session(brokers, users, connect, over, settle, name, end):
    broker = brokers(config={"auth": {"users_file": str(users)}}, store=["s/#"])
    topic = f"s/{name}"
    ann, bob = ({"username": user, "password": user * 2} for user in ("mos", "scram"))
    writer = connect(broker, **bob)
    for number in (1, 2):
        writer.publish(topic, number)

    def read(user, *expected):
        client = connect(broker, name, **user)
        client.replay("first", topic)
        assert [client.message().payload.decode() for _ in expected] == list(expected)
        client.sync()
        client.disconnect()

    read(ann, "1", "2")
    if end:
        settle(end)
        over(broker, end)
    connect(broker, **bob).publish(topic, 3)
    read(bob, "1", "2", "3")
    read(ann, "3")
    connect(broker, **ann).publish(topic, 4)
    read(bob, "4")
    read(ann, "4")


@pytest.mark.parametrize("protocol", [paho.MQTTv311, paho.MQTTv5])
def test_paho_gets_in_with_its_password(broker, protocol, name):
    def reason(password):
        client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=name, protocol=protocol)
        client.username_pw_set("argon", password)
        answer = []
        client.on_connect = lambda client, data, flags, reason, properties: answer.append(reason)
        client.connect("127.0.0.1", broker.port)
        while not answer and client.loop(1) == paho.MQTT_ERR_SUCCESS:
            pass
        client.disconnect()
        return answer[0]

    assert not reason("argonargon").is_failure
    assert reason("wrong").is_failure


def test_mosquitto_s_clients_get_in_with_their_password(broker, name):
    def publish(password):
        line = ["mosquitto_pub", "-p", str(broker.port), "-q", "1", "-t", name, "-m", "x", "-u", "mos", "-P", password]
        return subprocess.run(line, capture_output=True, text=True, timeout=60)

    assert publish("mosmos").returncode == 0
    assert publish("wrong").returncode != 0


def test_no_password_gets_into_the_log(brokers, dial, users, name):
    broker = brokers(config={"auth": {"users_file": str(users)}, "log": {"level": "trace"}})
    assert tried(dial(broker), name, "mos", "mosmos") == 0
    assert tried(dial(broker), name, "mos", "a-wrong-password") == 0x86
    broker.wait_log("authentication refused")
    broker.stop()
    log = "\n".join(broker.log)
    assert "mosmos" not in log and "a-wrong-password" not in log
    assert "$6$" in log, "the old form is taken with a warning"


def test_removing_a_user_takes_effect_at_a_reload(brokers, dial, tmp_path, name):
    path = tmp_path / "users"
    passwd(path, "ann", "one", "--iterations", "4096")
    broker = brokers(config={"auth": {"users_file": str(path)}})
    assert tried(dial(broker), name, "ann", "one") == 0
    passwd(path, "ann", "two", "--iterations", "4096")
    broker.process.send_signal(1)
    broker.wait_log("were read again")
    assert tried(dial(broker), name, "ann", "one") == 0x86
    assert tried(dial(broker), name, "ann", "two") == 0


def test_a_flood_of_wrong_passwords_leaves_room_for_others(brokers, dial, tmp_path, name):
    path = tmp_path / "users"
    # An attempt costs tens of milliseconds: the flood is never worked off while the good ones come.
    passwd(path, "ann", "right", "--iterations", "100000")
    limits = {"max_queued": 100, "max_queued_per_address": 40, "threads": 1}
    broker = brokers(config={"auth": {"users_file": str(path), **limits}, "session": {"connect_timeout": "60s"}})
    flood = []
    try:
        for number in range(200):
            flood.append(socket.create_connection(("127.0.0.1", broker.port), source_address=("127.0.0.2", 0)))
            flood[-1].sendall(wire.connect(5, f"bad{number}", True, 0, [], None, "ann", "wrong"))
        # One address cannot fill the queue.
        broker.wait_log("as many clients of this address as allowed")
        clients = []
        for number in range(5):
            client = dial(broker)
            clients.append(client)
            assert tried(client, f"{name}{number}", "ann", "right") == 0
        clients[0].granted(name)
        for number, client in enumerate(clients):
            client.publish(name, number)
            assert clients[0].message().payload == str(number).encode()
        assert broker.metrics().total("rewindmq_authentications_busy_total") > 0
    finally:
        for one in flood:
            one.close()


# ---- Tokens


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(key=SECRET, alg="HS256", **claims):
    claims = {"sub": "ann", "exp": time.time() + 1000, **claims}
    signed = f"{b64(json.dumps({'alg': alg, 'typ': 'JWT'}).encode())}.{b64(json.dumps(claims).encode())}"
    return f"{signed}.{b64(hmac.new(key, signed.encode(), hashlib.sha256).digest())}"


@pytest.fixture
def issuer(brokers, secret, users):
    """A broker that takes tokens, and passwords as well."""
    jwt = {"secret_file": str(secret), "issuer": "me", "leeway": "0s"}
    text = f'[auth]\nusers_file = "{users}"\n[auth.jwt]\n'
    return brokers(config=text + "".join(f'{key} = "{value}"\n' for key, value in jwt.items()))


@pytest.mark.parametrize("version", [4, 5])
def test_a_token_lets_its_user_in(issuer, dial, name, version):
    good = token(iss="me")
    for user in ("ann", ""):
        assert tried(dial(issuer, version), name, user, good) == 0
    assert tried(dial(issuer, version), name, "bob", good) == CODE[version]["wrong"]
    assert tried(dial(issuer, version), f"{name}-2", "mos", "mosmos") == 0


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "other"},
        {"iss": "me", "exp": 1},
        {"iss": "me", "exp": None},
        {"iss": "me", "nbf": 4e9},
        {"iss": "me", "alg": "none"},
        {"iss": "me", "alg": "RS256"},
        {"iss": "me", "key": b"another"},
        {"iss": "me", "sub": None},
    ],
    ids=lambda claims: "-".join(map(str, claims)),
)
def test_a_token_that_is_wrong_lets_nobody_in_and_is_not_logged(issuer, dial, name, claims):
    wrong = token(**claims)
    assert tried(dial(issuer), name, "ann", wrong) == 0x86
    issuer.wait_log("authentication refused")
    assert wrong not in "\n".join(issuer.log)


def test_a_token_that_was_changed_lets_nobody_in(issuer, dial, name):
    head, claims, signature = token(iss="me").split(".")
    other = b64(json.dumps({"sub": "root", "iss": "me", "exp": 4e9}).encode())
    none = b64(json.dumps({"alg": "none"}).encode())
    for changed in (f"{head}.{other}.{signature}", f"{head}.{claims}.", f"{none}.{claims}."):
        assert tried(dial(issuer), name, "", changed) == 0x86


@pytest.mark.parametrize("version", [4, 5])
def test_a_connection_ends_with_its_token(issuer, dial, name, version):
    client = dial(issuer, version)
    # Long enough to come in on a slow machine.
    assert tried(client, name, "", token(iss="me", exp=time.time() + 4)) == 0
    if version == 5:
        client.expect_disconnect(0xA0)
    else:
        assert client.expect_closed() == []
    issuer.wait_log("has expired")
    assert tried(dial(issuer, version), name, "", token(iss="me")) == 0


def openssl(*words, data=None):
    done = subprocess.run(["openssl", *map(str, words)], input=data, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def raw_signature(der):
    """The two numbers of an ECDSA signature, 32 bytes each, out of their DER form."""
    first, second = der[4 : 4 + der[3]], der[4 + der[3] + 2 :]
    return b"".join(number.lstrip(b"\0").rjust(32, b"\0") for number in (first, second))


def signed_by(key, alg, **claims):
    """A token signed with a private key."""
    text = token(alg=alg, **claims).rpartition(".")[0]
    signature = openssl("dgst", "-sha256", "-sign", key, data=text.encode())
    return f"{text}.{b64(raw_signature(signature) if alg == 'ES256' else signature)}"


def test_tokens_are_signed_with_private_keys_too(brokers, dial, tmp_path, name):
    certs = make_certificates(tmp_path / "certs")
    ec, other, rsa = certs / "server.key", certs / "second.key", tmp_path / "rsa.key"
    openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", rsa)
    (tmp_path / "keys.pem").write_bytes(b"".join(openssl("pkey", "-in", key, "-pubout") for key in (ec, rsa)))
    broker = brokers(config=f'[auth.jwt]\nkeys_file = "{tmp_path / "keys.pem"}"\n')
    assert tried(dial(broker), name, "ann", signed_by(ec, "ES256")) == 0
    assert tried(dial(broker), f"{name}-2", "ann", signed_by(rsa, "RS256")) == 0
    for key, alg in ((other, "ES256"), (rsa, "ES256"), (ec, "RS256")):
        assert tried(dial(broker), f"{name}-3", "ann", signed_by(key, alg)) == CODE[5]["wrong"]
    # A public key is no secret of HS256.
    public = (tmp_path / "keys.pem").read_bytes()
    assert tried(dial(broker), f"{name}-3", "ann", token(key=public)) == CODE[5]["wrong"]
