"""Listeners with TLS: real clients, certificates of both sides, changed files, and what is no TLS at all."""

import re
import shutil
import socket
import ssl
import subprocess

import pytest

import mosquitto
from broker import BINARY
from listeners import (
    closed,
    context,
    copy,
    is_refused,
    listening,
    make_certificates,
    mutual,
    port,
    secure,
    secure_client,
    tls,
)
from raw import Client, dial

VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
RELOADED = r"certificates loaded"


@pytest.fixture(scope="module")
def certs(tmp_path_factory):
    """Certificates of every kind."""
    return make_certificates(tmp_path_factory.mktemp("certs"))


@pytest.fixture
def broker(brokers, certs):
    """A broker with TLS, with and without certificates of clients."""
    return listening(
        brokers,
        {"name": "tls", "address": "127.0.0.1:0", "anonymous": True, "tls": tls(certs)},
        {
            "name": "mutual",
            "address": "127.0.0.1:0",
            "tls": mutual(certs, client_crl=str(certs / "crl.pem")),
        },
        session={"connect_timeout": "2s"},
    )


def still_serves(broker, name):
    """Others go on being served."""
    client = Client(broker.port)
    assert client.connect().reason == 0
    client.granted(name)
    client.send_publish(name, b"x")
    assert client.message().payload == b"x"
    client.disconnect()


@pytest.mark.parametrize("version", ["tlsv1.2", "tlsv1.3"])
@pytest.mark.parametrize("protocol", ["mqttv311", "mqttv5"])
def test_mosquitto_clients_speak_tls(broker, certs, name, version, protocol):
    options = ["-V", protocol, "--cafile", str(certs / "ca.pem"), "--tls-version", version, "--tls-alpn", "mqtt"]
    at = port(broker, "tls")
    with mosquitto.Sub(at, *options, "-t", name, "-q", "1") as sub:
        mosquitto.pub(at, *options, "-t", name, "-m", "over TLS", "-q", "1")
        assert sub.next() == "over TLS"


def test_mosquitto_clients_show_their_certificates(broker, certs, name):
    options = ["--cafile", str(certs / "ca.pem")]
    mine = [*options, "--cert", str(certs / "client.pem"), "--key", str(certs / "client.key")]
    at = port(broker, "mutual")
    with mosquitto.Sub(at, *mine, "-t", name) as sub:
        mosquitto.pub(at, *mine, "-t", name, "-m", "known")
        assert sub.next() == "known"
    assert mosquitto.pub(at, *options, "-t", name, "-m", "unknown", check=False).returncode != 0


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("client", [None, "foreign", "expired", "revoked", "nameless"])
def test_a_client_without_a_good_certificate_is_refused_and_counted(broker, certs, name, client, version):
    at = port(broker, "mutual")
    assert is_refused(at, context(certs, client, VERSIONS[version])) or client == "nameless"
    if client == "nameless":
        # Its certificate is good, but names nobody: the handshake ends, then the connection.
        assert closed(secure(at, context(certs, client, VERSIONS[version])))
        broker.wait_log(r"connection refused.*has no common name")
    assert broker.wait_metrics(lambda page: page.total("rewindmq_connections_refused_total", reason="tls") >= 1)
    broker.wait_log(r'connection refused.*listener="mutual".*reason=')
    secure_client(at, context(certs, "client", VERSIONS[version])).disconnect()
    still_serves(broker, name)


def test_where_a_certificate_is_optional_it_opens_what_is_not_anonymous(brokers, certs):
    table = mutual(certs, client_certificate="optional", client_identity="email")
    broker = listening(brokers, {"name": "tls", "address": "127.0.0.1:0", "anonymous": False, "tls": table})
    at = port(broker, "tls")
    secure_client(at, context(certs, "client")).disconnect()
    stranger = Client(None, over=secure(at, context(certs)))
    assert stranger.connect().reason == 0x87
    assert is_refused(at, context(certs, "foreign"))


def test_a_session_belongs_to_the_name_in_the_certificate(brokers, certs, name):
    broker = listening(brokers, {"name": "tls", "address": "127.0.0.1:0", "tls": mutual(certs)})
    at, options = port(broker, "tls"), {"clean": False, "session_expiry": 100}
    ann = Client(None, over=secure(at, context(certs, "client")))
    assert ann.connect(name, **options).reason == 0
    # Another certificate is another user; over the plain listener comes nobody.
    other = Client(None, over=secure(at, context(certs, "server")))
    assert other.connect(name, **options).reason == 0x87
    assert Client(broker.port).connect(name, **options).reason == 0x87
    ann.disconnect()
    again = Client(None, over=secure(at, context(certs, "client")))
    assert again.connect(name, **options).session_present


def test_the_name_that_is_asked_for_chooses_the_certificate(brokers, certs):
    table = tls(certs)
    for key in ("certificate", "key"):
        table[key] = [table[key], table[key].replace("server", "second")]
    broker = listening(brokers, {"name": "tls", "address": "127.0.0.1:0", "anonymous": True, "tls": table})
    made = context(certs)
    for name, shown in [("localhost", "localhost"), ("second.example", "second.example"), ("127.0.0.1", "localhost")]:
        with secure(port(broker, "tls"), made, name) as connection:
            subject = dict(pair for part in connection.getpeercert()["subject"] for pair in part)
            assert subject["commonName"] == shown


def test_old_versions_and_other_protocols_are_refused(brokers, certs):
    table = tls(certs, min_version="1.3")
    broker = listening(brokers, {"name": "tls", "address": "127.0.0.1:0", "anonymous": True, "tls": table})
    at = port(broker, "tls")
    assert is_refused(at, context(certs, version=VERSIONS["1.2"]))
    other = context(certs)
    other.set_alpn_protocols(["h2"])
    assert is_refused(at, other)
    right = context(certs)
    right.set_alpn_protocols(["h2", "mqtt"])
    with secure(at, right) as connection:
        assert connection.selected_alpn_protocol() == "mqtt"
    broker.wait_refused(2, "tls")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_session_is_resumed(broker, certs, version):
    at, made = port(broker, "tls"), context(certs, version=VERSIONS[version])
    first = secure_client(at, made)
    session = first.socket.session
    first.disconnect()
    with secure(at, made, session=session) as connection:
        assert connection.session_reused


@pytest.mark.parametrize("version", VERSIONS)
def test_a_client_that_was_revoked_comes_in_no_more_once_the_list_is_read(brokers, certs, tmp_path, version):
    shutil.copy(certs / "empty-crl.pem", tmp_path / "crl.pem")
    table = mutual(certs, client_crl=str(tmp_path / "crl.pem"))
    broker = listening(brokers, {"name": "tls", "address": "127.0.0.1:0", "tls": table})
    at, made = port(broker, "tls"), context(certs, "revoked", VERSIONS[version])
    client = secure_client(at, made)
    session = client.socket.session
    copy(certs, "crl", tmp_path, "crl")
    broker.wait_log(RELOADED)
    client.sync()
    assert is_refused(at, made)
    assert is_refused(at, made, session=session)
    secure_client(at, context(certs, "client")).disconnect()


def test_files_that_change_are_read_while_connections_go_on(brokers, certs, tmp_path):
    copy(certs, "server", tmp_path, "live")
    broker = listening(
        brokers, {"name": "tls", "address": "127.0.0.1:0", "anonymous": True, "tls": tls(tmp_path, "live")}
    )
    at, made = port(broker, "tls"), context(certs)
    made.check_hostname = False

    def serial():
        with secure(at, made) as connection:
            return connection.getpeercert()["serialNumber"]

    client, before = secure_client(at, made), serial()
    (tmp_path / "new").write_text("no certificate")
    (tmp_path / "new").rename(tmp_path / "live.pem")
    said = broker.wait_log(r"certificates not loaded.*live\.pem.*")
    assert "holds no certificate" in said.group(0)
    assert serial() == before
    copy(certs, "second", tmp_path, "live")
    broker.wait_log(RELOADED)
    # Between the two files there may have been a moment in which they did not go together.
    broker.wait_metrics(lambda _: serial() != before)
    client.sync()
    client.disconnect()


def test_the_end_of_a_certificate_is_a_metric_and_a_warning(brokers, certs):
    table = tls(certs, "expired")
    broker = listening(
        brokers,
        {"name": "old", "address": "127.0.0.1:0", "anonymous": True, "tls": table},
        {"name": "new", "address": "127.0.0.1:0", "anonymous": True, "tls": tls(certs)},
    )
    broker.wait_log(r'certificate has expired.*listener="old"')
    metric = "rewindmq_tls_certificate_expiry_timestamp_seconds"
    page = broker.metrics()
    assert page.total(metric, listener="old") == ssl.cert_time_to_seconds("Jan 1 00:00:00 2021 GMT")
    assert page.total(metric, listener="new") == ssl.cert_time_to_seconds("Jan 1 00:00:00 2040 GMT")


GARBAGE = {
    "MQTT": b"\x10\x10\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x03abc",
    "HTTP": b"GET / HTTP/1.1\r\n\r\n",
    "an empty handshake": b"\x16\x03\x01\x00\x00" * 50,
    "a record beyond its bound": b"\x16\x03\x01\xff\xff" + b"\x01" * 20_000,
    "a hello of junk": b"\x16\x03\x01\x00\x20\x01\x00\x00\x1c" + b"\xff" * 28,
    "an alert": b"\x15\x03\x03\x00\x02\x02\x28",
}


@pytest.mark.parametrize("what", GARBAGE)
def test_what_is_no_tls_is_refused_and_counted(broker, name, what):
    with dial(port(broker, "tls")) as connection:
        try:
            connection.sendall(GARBAGE[what])
            while connection.recv(1000):
                pass
        except ConnectionError:
            pass
    broker.wait_metrics(
        lambda page: sum(page.total("rewindmq_connections_refused_total", reason=one) for one in ("tls", "timeout")) == 1
    )
    still_serves(broker, name)


def test_a_handshake_that_does_not_end_is_ended(broker, name):
    with dial(port(broker, "tls")) as silent, dial(port(broker, "tls")) as slow:
        slow.sendall(b"\x16\x03\x01\x01\x00\x01")
        still_serves(broker, name)
        assert closed(silent) and closed(slow)
    broker.wait_refused(2, "timeout")
    broker.wait_log(r'connection refused.*listener="tls".*the handshake did not end in time')


def test_time_for_connect_counts_from_the_beginning_of_the_connection(broker, certs):
    with secure(port(broker, "tls"), context(certs)) as connection:
        assert closed(connection)
    broker.wait_refused(1, "timeout")


@pytest.mark.parametrize("version", VERSIONS)
def test_large_messages_go_to_a_reader_that_takes_its_time(broker, certs, name, version):
    at, made = port(broker, "tls"), context(certs, version=VERSIONS[version])
    reader, writer = secure_client(at, made), secure_client(at, made)
    reader.granted(name, qos=1)
    payloads = [bytes([number]) * 900_000 for number in range(8)]
    for payload in payloads:
        writer.publish(name, payload)
    assert [message.payload for message in reader.messages(len(payloads))] == payloads


def test_the_end_of_a_connection_is_said_in_tls(broker, certs):
    client = secure_client(port(broker, "tls"), context(certs))
    client.send(b"\xe0\x00")
    # Without close_notify this would be an error.
    client.socket.suppress_ragged_eofs = False
    assert client.socket.recv(10) == b""


@pytest.mark.parametrize(
    "change, said",
    [
        ({"certificate": "none.pem"}, r"none\.pem: cannot be read"),
        ({"key": "ca.key"}, r"ca\.key: does not go with the certificate in .*server\.pem"),
        ({"key": "server.pem"}, r"server\.pem: holds no key in PEM"),
        ({"client_ca": "server.key"}, r"server\.key: holds no certificate in PEM"),
        ({"client_crl": "ca.pem"}, r"ca\.pem: holds no revocation list in PEM"),
    ],
)
def test_a_file_that_cannot_be_used_stops_the_start_and_says_why(brokers, certs, change, said):
    table = mutual(certs) | {key: str(certs / file) for key, file in change.items()}
    broker = brokers(start=False, flags=False)
    broker.config = {
        "listeners": [{"address": "127.0.0.1:0", "tls": table}],
        "http": {"enabled": False},
        "store": {"path": str(broker.data)},
    }
    broker.launch()
    assert broker.ended() == 1
    assert re.search(said, broker.tail()), broker.tail()


def test_flags_open_a_listener_with_tls(brokers, certs, name):
    flags = ["--listen", "mqtts://127.0.0.1:0", "--tls-cert", certs / "server.pem", "--tls-key", certs / "server.key"]
    broker = brokers(flags=False, args=[*map(str, flags), "--http", "127.0.0.1:0", "--data", "data"], start=False)
    broker.options[-1] = str(broker.data)
    broker.start()
    secure_client(broker.port, context(certs)).disconnect()
    with socket.create_connection(("127.0.0.1", broker.port)) as plain:
        plain.sendall(GARBAGE["MQTT"])
        assert plain.recv(1) in (b"", b"\x15")


@pytest.mark.parametrize("needs_password", [False, True])
def test_a_password_beside_a_certificate_is_right_and_of_the_same_user(brokers, certs, tmp_path, needs_password):
    users = tmp_path / "users"
    for user in ("ann", "bob"):
        line = [BINARY, "passwd", users, user, "--iterations", "4096"]
        assert subprocess.run(line, input=f"of {user}\n", capture_output=True, text=True, check=False).returncode == 0
    table = {"name": "tls", "address": "127.0.0.1:0", "anonymous": False, "tls": mutual(certs)}
    auth = {"users_file": str(users), "certificate_needs_password": needs_password}
    broker = listening(brokers, table, auth=auth)

    def reason(**names) -> int:
        client = Client(None, over=secure(port(broker, "tls"), context(certs, "client")))
        return client.connect(**names).reason

    assert reason() == (0x87 if needs_password else 0)
    assert reason(username=b"ann", password=b"of ann") == 0
    assert reason(username=b"ann", password=b"of bob") == 0x86
    assert reason(username=b"bob", password=b"of bob") in (0x86, 0x87)
