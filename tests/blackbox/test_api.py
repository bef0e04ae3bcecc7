"""The API: what it shows is what clients did; what it changes, clients see; what is bad is refused clearly."""

import base64
import http.client
import json
import os
import urllib.parse

import pytest

from raw import Client, payloads


def quoted(text):
    return urllib.parse.quote(text, safe="")


class Api:
    """One HTTP client of a broker's API."""

    def __init__(self, broker, headers=None):
        self.port, self.headers = broker.http_port, headers or {}

    def ask(self, method, path, body=None, headers=None, raw=None):
        """The status and the JSON of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        sent = dict(self.headers)
        data = raw
        if body is not None:
            sent["Content-Type"], data = "application/json", json.dumps(body)
        sent.update(headers or {})
        connection.request(method, path, data, sent)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        if answer.headers["Content-Type"] == "application/x-ndjson":
            return answer.status, [json.loads(line) for line in text.splitlines()]
        return answer.status, json.loads(text)

    def get(self, path):
        status, answer = self.ask("GET", "/api/v1" + path)
        assert status == 200, answer
        return answer

    def do(self, method, path, body=None, status=200):
        got, answer = self.ask(method, "/api/v1" + path, body)
        assert got == status, answer
        return answer


@pytest.fixture
def one(brokers):
    """A broker of its own."""
    return brokers(store=["s/#"])


@pytest.fixture
def api(one):
    return Api(one)


def publish(api, topic, payload, **more):
    return api.do("POST", "/publish", {"topic": topic, "payload": payload, "qos": 1, **more}, 201)


def receive(api, filter, status=200, **more):
    return api.do("POST", "/receive", {"filter": filter, **more}, status)


def test_alive_and_ready(one, api):
    assert api.ask("GET", "/healthz") == (200, {"status": "alive"})
    status, ready = api.ask("GET", "/readyz")
    assert (status, ready["ready"], ready["store"], ready["listeners"]) == (200, True, "ok", "ok")


def test_what_is_published_is_a_channel_that_can_be_purged_and_deleted(api):
    for number in range(1, 6):
        assert publish(api, "s/a/b", f"m{number}")["sequence"] == number
    listed = api.get("/channels?filter=s/%23")["items"]
    assert [(c["topic"], c["channel"], c["first"], c["last"], c["count"]) for c in listed] == [("s/a/b", "s.a.b", 1, 5, 5)]
    path = "/channels/" + quoted("s/a/b")
    shown = api.get(path)
    assert shown["first_time"] <= shown["last_time"]
    assert api.do("POST", path + "/purge", {"through": 2})["first"] == 3
    api.do("DELETE", path)
    assert api.get("/channels")["items"] == []
    assert api.get("/channels?empty=true")["items"][0]["next"] == 6
    assert publish(api, "s/a/b", "again")["sequence"] == 6


def test_lists_are_read_page_by_page(api):
    for number in range(7):
        publish(api, f"s/{number}", "x", retain=True)
    for path in ("/channels", "/retained"):
        found, cursor = [], ""
        while cursor is not None:
            page = api.get(f"{path}?limit=3{cursor and '&cursor=' + cursor}")
            assert len(page["items"]) <= 3
            found += [item["topic"] for item in page["items"]]
            cursor = page["next"]
        assert found == [f"s/{number}" for number in range(7)], path


def test_a_client_is_shown_and_kicked(one, api):
    client = Client(one.port)
    client.connect(client_id="dev/1")
    client.subscribe("x/#", qos=1)
    assert [c["client_id"] for c in api.get("/clients?connected=true&prefix=dev")["items"]] == ["dev/1"]
    shown = api.get("/clients/dev%2F1")
    assert shown["connection"]["peer"].startswith("127.0.0.1:")
    assert [(s["filter"], s["qos"], s["kind"]) for s in shown["subscriptions"]] == [("x/#", 1, "live")]
    assert [s["client_id"] for s in api.get("/subscriptions?matches=x/y")["items"]] == ["dev/1"]
    assert api.get("/subscriptions?matches=y")["items"] == []
    api.do("DELETE", "/clients/dev%2F1")
    client.expect_disconnect(0x98)
    assert api.do("GET", "/clients/nobody", status=404)["error"] == "not_found"


def test_a_retained_message_is_shown_and_cleared(api):
    publish(api, "r/a", "kept", retain=True, content_type="text/plain")
    shown = api.get("/retained/r%2Fa")
    assert (shown["payload"], shown["content_type"]) == ("kept", "text/plain")
    api.do("DELETE", "/retained/r%2Fa")
    api.do("GET", "/retained/r%2Fa", status=404)
    publish(api, "r/a", "kept", retain=True)
    publish(api, "r/b", "kept", retain=True)
    assert api.do("DELETE", "/retained?filter=r/%2B") == {"cleared": 2, "more": False}
    assert api.get("/retained")["items"] == []


def test_payloads_that_are_no_text_come_back_as_they_were(api):
    payload = bytes(range(256))
    body = {"topic": "s/b", "payload_base64": base64.b64encode(payload).decode(), "user_properties": [{"name": "k", "value": "v"}]}
    api.do("POST", "/publish", body, 201)
    [message] = receive(api, "s/b", start="first")["messages"]
    assert base64.b64decode(message["payload_base64"]) == payload
    assert message["user_properties"] == [{"name": "k", "value": "v"}]
    assert message["sequence"] == 1 and message["time"]


def test_a_receive_goes_on_where_its_client_identifier_has_got_to(api):
    for number in range(5):
        publish(api, "s/q", str(number))
    got = lambda **more: [m["payload"] for m in receive(api, "s/q", start="first", client_id="c", **more)["messages"]]
    assert got(count=2) == ["0", "1"]
    assert got(count=10) == ["2", "3", "4"]
    assert got(count=10) == []
    [cursor] = api.get("/cursors?owner=c")["items"]
    assert (cursor["filter"], cursor["in_use"], cursor["lag"]["events"]) == ("s/q", False, 0)
    again = api.do("POST", f"/cursors/{cursor['id']}/reset", {"to": "seq:4"})
    assert again["lag"]["events"] == 2 and again["lag"]["seconds"] > 0
    assert got(count=10) == ["3", "4"]
    api.do("DELETE", f"/cursors/{again['id']}")
    assert api.get("/cursors")["items"] == []


def test_an_explicit_receive_is_redelivered_until_its_token_comes_back(api):
    for number in range(3):
        publish(api, "s/e", str(number))
    ask = lambda: receive(api, "s/e", start="first", group="g", count=2, ack="explicit")
    first = ask()
    assert [m["payload"] for m in first["messages"]] == ["0", "1"]
    api.do("DELETE", "/receive/" + first["token"])
    second = ask()
    assert [m["payload"] for m in second["messages"]] == ["0", "1"]
    api.do("POST", "/receive/" + second["token"])
    api.do("POST", "/receive/" + second["token"], status=404)
    group = api.get("/groups/g/s%2Fe")
    assert group["cursor"]["lag"]["events"] == 1
    assert [m["payload"] for m in ask()["messages"]] == ["2"]


def test_a_group_with_members_is_reset_under_them(one, api):
    for number in range(3):
        publish(api, "s/g", str(number))
    client = Client(one.port)
    client.connect(client_id="m1")
    client.subscribe("$share/g/$replay/first/s/g", qos=1)
    assert payloads(client.messages(3)) == ["0", "1", "2"]
    group = api.get("/groups/g/s%2Fg")
    assert [m["client_id"] for m in group["members"]] == ["m1"]
    api.do("POST", "/groups/g/s%2Fg/reset", {"to": "first"})
    assert payloads(client.messages(3)) == ["0", "1", "2"]


@pytest.mark.parametrize("connected", [True, False])
def test_a_cursor_in_use_is_reset_by_its_session(one, api, connected):
    for number in range(3):
        publish(api, "s/u", str(number))
    client = Client(one.port)
    client.connect(client_id="u", session_expiry=1000)
    client.replay("first", "s/u", qos=1)
    assert payloads(client.messages(3)) == ["0", "1", "2"]
    client.sync()
    if not connected:
        client.disconnect()
        client.expect_closed()
    [cursor] = api.get("/cursors?owner=u")["items"]
    assert cursor["in_use"]
    api.do("DELETE", f"/cursors/{cursor['id']}", status=409)
    assert api.do("POST", f"/cursors/{cursor['id']}/reset", {"to": "seq:2"})["id"] != cursor["id"]
    if not connected:
        client = Client(one.port)
        assert client.connect(client_id="u", clean=False, session_expiry=1000).session_present
    assert payloads(client.messages(2)) == ["1", "2"]


def test_a_durable_session_is_ended(one, api):
    client = Client(one.port)
    client.connect(client_id="d", session_expiry=1000)
    client.subscribe("x", qos=1)
    client.disconnect()
    publish(api, "x", "waits")
    assert [s["client_id"] for s in api.get("/sessions")["items"]] == ["d"]
    assert api.get("/sessions/d")["durable"]
    api.do("DELETE", "/sessions/d")
    api.do("GET", "/sessions/d", status=404)
    client = Client(one.port)
    assert not client.connect(client_id="d", session_expiry=1000, clean=False).session_present


def test_the_log_level_is_changed(api):
    assert api.do("PUT", "/log-level", {"level": "debug"}) == {"level": "debug"}
    assert api.get("/log-level") == {"level": "debug"}
    assert api.do("PUT", "/log-level", {"level": "loud"}, 400)["error"] == "invalid"


def test_the_configuration_is_shown(one, api):
    config = api.get("/config")
    assert config["store"]["rules"][0]["filters"] == ["s/#"]
    assert config["store"]["default_retention"]["max_age"] == "7d"


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}])
def test_pages_of_other_sites_are_refused(api, headers):
    status, answer = api.ask("GET", "/api/v1/broker", headers=headers)
    assert (status, answer["error"]) == (403, "forbidden")


def test_a_form_of_a_page_changes_nothing(api):
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        status, answer = api.ask("POST", "/api/v1/publish", raw='{"topic": "s/x"}', headers={"Content-Type": kind})
        assert (status, answer["error"]) == (415, "not_json")
    assert api.get("/channels")["items"] == []


def test_tokens_open_the_api_and_nothing_else_does(brokers, tmp_path):
    tokens = tmp_path / "tokens"
    tokens.write_text("0123456789abcdef\n")
    os.chmod(tokens, 0o600)
    broker = brokers(config={"http": {"token_file": str(tokens)}})
    for value, status in [(None, 401), ("Bearer 0123456789abcdeF", 401), ("Basic x", 401), ("Bearer 0123456789abcdef", 200)]:
        api = Api(broker, {"Authorization": value} if value else {})
        assert api.ask("GET", "/api/v1/broker")[0] == status, value
        assert api.ask("GET", "/healthz")[0] == 200


def test_without_tokens_a_network_gets_no_api(brokers, tmp_path):
    args = ["--listen", "127.0.0.1:0", "--http", "0.0.0.0:0", "--data", str(tmp_path / "data")]
    api = Api(brokers(flags=False, args=args))
    status, answer = api.ask("GET", "/api/v1/broker")
    assert status == 403 and "http.token_file" in answer["hint"]
    assert api.ask("GET", "/healthz")[0] == api.ask("GET", "/readyz")[0] == 200


def test_what_is_bad_is_refused_with_its_name(api):
    for method, path, body, status, word in [
        ("GET", "/clients?limit=0", None, 400, "limit"),
        ("GET", "/clients?limti=3", None, 400, "limti"),
        ("GET", "/channels?filter=a/%23/b", None, 400, "filter"),
        ("POST", "/publish", {"topic": "a/+"}, 400, "topic"),
        ("POST", "/publish", {"topic": "$SYS/x"}, 400, "SYS"),
        ("POST", "/publish", {"topic": "a", "qos": 3}, 400, "qos"),
        ("POST", "/publish", {"topic": "a", "payload": "x", "payload_base64": "eA=="}, 400, "payload"),
        ("POST", "/publish", {"topic": "a", "colour": 1}, 400, "colour"),
        ("POST", "/receive", {"filter": "a", "start": "frist"}, 400, "frist"),
        ("POST", "/receive", {"filter": "a", "selector": "a =="}, 400, "selector"),
        ("POST", "/cursors/1/reset", {"to": "first"}, 404, "cursor"),
        ("GET", "/nothing", None, 404, "nothing"),
        ("PATCH", "/clients", None, 405, "GET"),
    ]:
        answer = api.do(method, path, body, status)
        assert word in answer["what"], answer
