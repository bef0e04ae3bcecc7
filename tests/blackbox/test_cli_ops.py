"""The commands that talk to a running broker: lists, what is shown, what is changed, and what is said when it cannot be."""

import json
import os
import pty
import re
import subprocess

import pytest

from broker import BINARY, run
from raw import Client
from test_api import Api, publish, receive

NAMES = ["clients", "subscriptions", "sessions", "channels", "cursors", "groups", "retained"]


@pytest.fixture(scope="module")
def served(broker):
    """A broker with something of everything, and its API."""
    api = Api(broker)
    for number in range(1, 6):
        publish(api, "s/a", f"m{number}")
    publish(api, "r/a", "kept", retain=True)
    receive(api, "s/a", start="first", client_id="reader", count=2)
    receive(api, "s/a", start="first", group="team", count=1)
    client = Client(broker.port)
    client.connect(client_id="dev/1", session_expiry=1000)
    client.subscribe("x/#", qos=1)
    yield broker, api
    client.socket.close()


@pytest.fixture
def cli(served):
    """Runs a command against the broker; its output."""
    broker, _ = served
    return lambda *words, **more: said(broker, *words, **more)


def ask(broker, *words, env=None):
    """A command with the broker's address in the environment."""
    return run(*words, env={"REWINDMQ_API": f"http://127.0.0.1:{broker.http_port}", **(env or {})})


def said(broker, *words, code=0):
    """What a command says: its output, or its error if it is to fail."""
    done = ask(broker, *words)
    assert done.returncode == code, done
    return done.stdout if code == 0 else done.stderr


def rows(text):
    """The cells of a table, by its titles."""
    head, *lines = text.splitlines()
    titles = re.split(r"\s{2,}", head.strip())
    return [dict(zip(titles, re.split(r"\s{2,}", line.strip()))) for line in lines]


def still(answer):
    """An answer without what passes with time."""
    if isinstance(answer, dict):
        return {name: still(value) for name, value in answer.items() if name != "seconds"}
    return [still(item) for item in answer] if isinstance(answer, list) else answer


def number_of(api, owner):
    [cursor] = api.get(f"/cursors?owner={owner}")["items"]
    return str(cursor["id"])


def test_lists_are_tables(cli):
    [client] = rows(cli("clients", "list", "--prefix", "dev"))
    assert client == {"CLIENT": "dev/1", "CONNECTED": "yes", "MQTT": "5.0", "USER": "-", "DURABLE": "yes", "WAITING": "0"}
    [channel] = rows(cli("channels", "list", "--filter", "s/#"))
    assert (channel["TOPIC"], channel["FIRST"], channel["LAST"], channel["EVENTS"]) == ("s/a", "1", "5", "5")
    [cursor] = rows(cli("cursors", "list", "--owner", "reader"))
    assert (cursor["KIND"], cursor["FILTER"], cursor["IN USE"], cursor["BEHIND"]) == ("client", "s/a", "no", "3")
    [group] = rows(cli("groups", "list"))
    assert (group["GROUP"], group["KIND"], group["BEHIND"]) == ("team", "group", "4")
    [subscription] = rows(cli("subscriptions", "list", "--matches", "x/y"))
    assert (subscription["CLIENT"], subscription["FILTER"], subscription["QOS"]) == ("dev/1", "x/#", "1")
    assert [row["TOPIC"] for row in rows(cli("retained", "list"))] == ["r/a"]
    assert [row["CLIENT"] for row in rows(cli("sessions", "list"))] == ["dev/1"]
    assert cli("clients", "list", "--prefix", "nobody") == "none\n"


def test_json_is_what_the_api_said(cli, served):
    _, api = served
    for name in NAMES:
        assert still(json.loads(cli(name, "list", "--json"))) == still(api.get(f"/{name}")), name
    for line, path in [
        (["channels", "show", "s/a"], "/channels/s%2Fa"),
        (["clients", "show", "dev/1"], "/clients/dev%2F1"),
        (["groups", "show", "team", "s/a"], "/groups/team/s%2Fa"),
        (["broker", "listeners"], "/listeners"),
        (["broker", "config"], "/config"),
    ]:
        assert json.loads(cli("broker", "about", "--json"))["version"]
        shown, there = json.loads(cli(*line, "--json")), api.get(path)
        assert shown.keys() == there.keys(), line


def test_lists_are_read_to_their_end_or_their_limit(cli, served):
    _, api = served
    for number in range(1200):
        publish(api, f"many/{number}", "x", retain=True)
    assert len(rows(cli("retained", "list", "--filter", "many/#"))) == 1200
    assert len(json.loads(cli("retained", "list", "--filter", "many/#", "--json"))["items"]) == 1200
    assert len(rows(cli("retained", "list", "--limit", "1001"))) == 1001
    assert cli("retained", "clear", "--filter", "many/#", "--yes") == "1200 retained messages are gone\n"
    assert cli("retained", "list", "--filter", "many/#") == "none\n"


def test_one_thing_is_shown_line_by_line(cli):
    shown = cli("clients", "show", "dev/1")
    assert re.search(r"^peer +127\.0\.0\.1:\d+$", shown, re.M)
    assert re.search(r"^subscriptions\nFILTER +GROUP .*\nx/# +- +live +1 ", shown, re.M)
    assert re.search(r"^session expiry +16m40s$", shown, re.M)
    assert re.search(r"^payload +kept$", cli("retained", "show", "r/a"), re.M)
    assert re.search(r"^last sequence +5$", cli("channels", "show", "s/a"), re.M)
    assert re.search(r"^events behind +4$", cli("groups", "show", "team", "s/a"), re.M)
    assert re.search(r"^expires +-$", cli("sessions", "show", "dev/1"), re.M)
    assert re.search(r"^sessions +1$", cli("broker", "about"), re.M)


def test_a_cursor_and_a_group_are_reset(cli, served):
    _, api = served
    shown = cli("cursors", "reset", number_of(api, "reader"), "seq:2", "--yes")
    assert re.search(r"^events behind +4$", shown, re.M)
    assert re.search(r"^events behind +3$", cli("groups", "reset", "team", "s/a", "last:3", "--yes"), re.M)
    assert re.search(r"^events behind +5$", cli("cursors", "reset", number_of(api, "reader"), "1h", "--yes"), re.M)
    done = run("cursors", "reset", "1", "yesterday")
    assert done.returncode == 2 and "yesterday" in done.stderr


def test_cursors_groups_and_channels_are_deleted(served, cli):
    broker, api = served
    for number in range(1, 5):
        publish(api, "s/gone", str(number))
    receive(api, "s/gone", start="first", client_id="leaver")
    receive(api, "s/gone", start="first", group="leavers")
    assert re.search(r"^first sequence +3$", cli("channels", "purge", "s/gone", "--through", "2", "--yes"), re.M)
    cli("cursors", "delete", number_of(api, "leaver"), "--yes")
    cli("groups", "delete", "leavers", "s/gone", "--yes")
    assert cli("channels", "delete", "s/gone", "--yes") == "the channel is empty\n"
    assert cli("cursors", "list", "--owner", "leaver") == cli("channels", "list", "--filter", "s/gone") == "none\n"


def test_a_client_is_kicked_and_its_session_ended(served, cli):
    broker, _ = served
    client = Client(broker.port)
    client.connect(client_id="unwanted", session_expiry=1000)
    assert cli("clients", "kick", "unwanted", "--yes") == "the client is disconnected\n"
    client.expect_disconnect(0x98)
    cli("sessions", "delete", "unwanted", "--yes")
    assert "there is no client or session" in cli("clients", "show", "unwanted", code=1)


def test_the_log_level_is_changed(cli):
    assert cli("broker", "log-level") == "level  info\n"
    assert cli("broker", "log-level", "info,rewindmq::net=debug") == "level  info,rewindmq::net=debug\n"
    cli("broker", "log-level", "info")
    assert run("broker", "log-level", "loud").returncode == 2


def test_without_a_terminal_nothing_is_lost_without_yes(cli, served):
    _, api = served
    for line in (["channels", "purge", "s/a"], ["retained", "clear", "r/a"], ["clients", "kick", "dev/1"]):
        assert "say --yes if it is meant" in cli(*line, code=1)
    assert api.get("/channels/s%2Fa")["count"] == 5


def at_terminal(broker, *words, answer):
    """Runs a command at a terminal and answers its question; what the terminal shows, and the exit code."""
    terminal, side = pty.openpty()
    environment = {**os.environ, "REWINDMQ_API": f"http://127.0.0.1:{broker.http_port}"}
    process = subprocess.Popen([BINARY, *words], stdin=side, stdout=side, stderr=side, env=environment)
    os.close(side)
    shown = b""
    try:
        while b"[y/N]" not in shown:
            shown += os.read(terminal, 1000)
        os.write(terminal, answer)
        while True:
            shown += os.read(terminal, 1000)
    except OSError:
        pass  # The other side is closed.
    os.close(terminal)
    return shown.decode(), process.wait(60)


def test_at_a_terminal_the_user_is_asked(served):
    broker, api = served
    publish(api, "r/asked", "x", retain=True)
    shown, code = at_terminal(broker, "retained", "clear", "r/asked", answer=b"n\n")
    assert code == 1 and 'Remove the retained message of topic "r/asked"? [y/N]' in shown and "nothing was done" in shown
    assert api.get("/retained/r%2Fasked")["payload"] == "x"
    shown, code = at_terminal(broker, "retained", "clear", "r/asked", answer=b"y\n")
    assert code == 0 and "the retained message is gone" in shown


def test_a_refusal_says_what_would_be_right(cli):
    assert cli("cursors", "show", "999999", code=1) == "rewindmq: there is no cursor 999999\n"
    refused = cli("channels", "list", "--filter", "a/#/b", code=1)
    assert refused.startswith("rewindmq: parameter filter: ") or refused.startswith("rewindmq: filter: ")


def test_where_nobody_listens_that_is_said(brokers):
    one = brokers()
    port = one.http_port
    one.stop()
    done = run("clients", "list", "--api", f"http://127.0.0.1:{port}")
    assert done.returncode == 1
    assert f"nobody listens at http://127.0.0.1:{port}" in done.stderr and "--api" in done.stderr
    done = run("clients", "list", "--api", "here")
    assert done.returncode == 1 and "is no URL" in done.stderr


def test_where_something_else_listens_that_is_said(served):
    broker, _ = served
    done = run("clients", "list", "--api", f"http://127.0.0.1:{broker.http_port}/other")
    assert done.returncode == 1 and "is no RewindMQ API" in done.stderr


def test_a_token_opens_the_api(brokers, tmp_path):
    tokens = tmp_path / "tokens"
    tokens.write_text("# of the tests\n0123456789abcdef\n")
    tokens.chmod(0o600)
    one = brokers(config={"http": {"token_file": str(tokens)}})
    refused = said(one, "clients", "list", code=1)
    assert "needs a token" in refused and "--token-file" in refused
    assert said(one, "clients", "list", "--token-file", str(tokens)) == "none\n"
    assert ask(one, "clients", "list", env={"REWINDMQ_TOKEN_FILE": str(tokens)}).stdout == "none\n"
    assert "cannot be used" in said(one, "clients", "list", "--token-file", str(tmp_path / "none"), code=1)


def test_names_cannot_play_with_the_terminal(served, cli):
    broker, _ = served
    client = Client(broker.port)
    client.connect(client_id="evil\u202e")
    assert "evil\\u{202e}" in cli("clients", "list", "--prefix", "evil")
    client.disconnect()
