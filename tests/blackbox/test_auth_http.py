"""The HTTP service for authentication: a server in the test that allows, denies, is slow, fails and talks nonsense."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import wire


class Service:
    """Answers as `reply` says: (status, body), or nothing until `release` is set."""

    def __init__(self):
        self.asked = []
        self.reply = (200, {"allow": True})
        self.release = threading.Event()
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                service.asked.append(body)
                if service.reply is None:
                    service.release.wait(60)
                    return
                status, answer = service.reply
                data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                if status == 307:
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/auth"

    def close(self):
        self.release.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def service():
    one = Service()
    yield one
    one.close()


@pytest.fixture
def made(brokers, service):
    """Makes a broker that asks the service, with more options of [auth.http]."""

    def make(more="", level="trace"):
        text = f'[auth.http]\nurl = "{service.url}"\n{more}\n[log]\nlevel = "{level}"\n'
        return brokers(config=text)

    return make


def tried(client, client_id, username=None, password=None, clean=True, properties=()):
    client.send(wire.connect(client.version, client_id, clean, 0, list(properties), None, username, password))
    return client.expect(wire.CONNACK).reason


def test_the_service_is_asked_once_and_learns_what_it_needs(made, service, dial, name):
    broker = made()
    for _ in range(2):
        assert tried(dial(broker), name, "ann", "a-password") == 0
    assert service.asked == [
        {
            "username": "ann",
            "password": "a-password",
            "password_base64": None,
            "client_id": name,
            "address": "127.0.0.1",
            "listener": service.asked[0]["listener"],
            "certificate": None,
        }
    ]
    assert tried(dial(broker), name, "ann", "another-password") == 0
    assert tried(dial(broker), name, "ann", b"\xff\xfe") == 0
    assert [one["password"] for one in service.asked[1:]] == ["another-password", None]
    assert service.asked[2]["password_base64"] == "//4="
    broker.stop()
    log = "\n".join(broker.log)
    # The client that the broker uses would show requests in rows of a few bytes.
    assert "ureq" not in log
    assert "a-password" not in log and "another-password" not in log and "//4=" not in log


def test_without_a_cache_it_is_asked_each_time(made, service, dial, name):
    broker = made('cache_ttl = "0s"')
    for _ in range(3):
        assert tried(dial(broker), name, "ann", "x") == 0
    assert len(service.asked) == 3


@pytest.mark.parametrize("version, code", [(5, 0x86), (4, 4)])
def test_who_is_denied_is_told_no_more(made, service, dial, name, version, code):
    service.reply = (200, {"allow": False, "username": "ann"})
    assert tried(dial(made(), version), name, "ann", "x") == code


def test_the_name_that_the_service_gives_is_the_user_s(made, service, dial, name):
    broker = made()
    service.reply = (200, {"allow": True, "username": "root", "groups": ["a"], "claims": {"site": "x"}})
    assert tried(dial(broker), name, "ann", "x", False, [("session_expiry", 100)]) == 0
    service.reply = (200, {"allow": True})
    assert tried(dial(broker), name, "bob", "x") == 0x87, "the session is root's"
    assert tried(dial(broker), name, "root", "x") == 0


@pytest.mark.parametrize(
    "reply",
    [
        (500, {"allow": True}),
        (204, b""),
        (307, {"allow": True}),
        (200, b"nonsense"),
        (200, {"username": "ann"}),
        (200, {"allow": "yes"}),
        (200, {"allow": True, "username": "a:b"}),
        (200, {"allow": True, "username": "x" * 100_000}),
    ],
    ids=["500", "204", "redirect", "no JSON", "no allow", "text", "no name", "too long"],
)
@pytest.mark.parametrize("version, code", [(5, 0x88), (4, 3)])
def test_an_answer_that_is_none_lets_nobody_in(made, service, dial, name, reply, version, code):
    broker = made()
    service.reply = reply
    assert tried(dial(broker, version), name, "ann", "x") == code
    assert broker.metrics().total("rewindmq_authentication_failures_total") == 1
    service.reply = (200, {"allow": True})
    assert tried(dial(broker, version), name, "ann", "x") == 0, "a fault is not remembered"


def test_a_service_that_is_silent_or_gone_holds_up_nobody_else(made, service, brokers, dial, name, tmp_path):
    users = tmp_path / "users"
    users.write_text("")
    broker = made('timeout = "300ms"\nmax_concurrent = 2')
    first = dial(broker)
    assert tried(first, name, "ann", "x") == 0
    first.granted(name)
    service.reply = None
    waiting = [dial(broker) for _ in range(5)]
    for number, client in enumerate(waiting):
        client.send(wire.connect(5, f"{name}{number}", True, 0, [], None, "bob", str(number)))
    first.publish(name, "on")
    assert first.message().payload == b"on"
    for client in waiting:
        assert client.expect(wire.CONNACK).reason == 0x88
    service.close()
    assert tried(dial(broker), f"{name}-x", "bob", "x") == 0x88


def test_a_url_that_is_none_stops_the_start(brokers, service):
    broker = brokers(start=False, config='[auth.http]\nurl = "ldap://x"\n')
    broker.launch()
    assert broker.ended() == 1
    assert "auth.http.url" in "\n".join(broker.log)
