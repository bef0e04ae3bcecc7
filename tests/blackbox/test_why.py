"""Why a message of a topic reaches a client, or does not: what is said is what happens."""

import json

import pytest

from test_api import Api, publish, quoted, receive
from test_cli_ops import said

ACL = """
deny  subscribe          client barred  on s/secret/#
allow all                anyone         on #
"""


@pytest.fixture(scope="module")
def served(broker):
    """A broker of the module, and its API."""
    return broker, Api(broker)


def why(api, client, topic):
    return api.get(f"/clients/{quoted(client)}/why?topic={quoted(topic)}")


def found(answer, about):
    """What was found about something."""
    return [(finding["verdict"], finding["what"]) for finding in answer["findings"] if finding["about"] == about]


def test_a_connected_subscriber_gets_it(served, connect):
    broker, api = served
    client = connect(broker, "plain")
    client.subscribe("a/+", qos=1)
    said = why(api, "plain", "a/b")
    assert said["verdict"] == "yes" and said["last_drop"] is None
    assert found(said, "connection")[0][1].startswith("connected since ")
    assert found(said, "subscription") == [("yes", "a/+ matches: live subscription, QoS 1")]
    assert found(said, "store") == [("yes", "no rule stores it; it is stored if its publisher asks for that (user property store)")]
    assert found(why(api, "plain", "s/b"), "store") == [("yes", "it is stored, by the rule for s/#")]
    said = why(api, "plain", "b")
    assert (said["verdict"], said["because"]) == ("no", "none of its 1 subscriptions matches: a/+")


def test_an_unknown_client_and_a_bad_topic_are_refused(served):
    _, api = served
    assert api.do("GET", "/clients/nobody/why?topic=a", status=404)["error"] == "not_found"
    assert "topic" in api.do("GET", "/clients/nobody/why", status=400)["what"]
    assert api.do("GET", "/clients/nobody/why?topic=a/%23", status=400)["error"] == "invalid"


def test_an_absent_session_gets_it_later_or_never(served, durable):
    broker, api = served
    client = durable(broker, "away")
    client.subscribe("q1/#", qos=1)
    client.subscribe("q0/#", qos=0)
    client.disconnect()
    client.expect_closed()
    assert why(api, "away", "q1/x")["verdict"] == "later"
    answer = why(api, "away", "q0/x")
    assert (answer["verdict"], answer["because"]) == ("no", "it is away, and QoS 0 does not wait")


def test_a_selector_and_a_group_depend(served, connect):
    broker, api = served
    first, second = connect(broker, "first"), connect(broker, "second")
    first.subscribe("sel", qos=1, user=[("selector", "x = 'y'")])
    assert found(why(api, "first", "sel"), "selector") == [("depends", "only messages for which its selector is true: x = 'y'")]
    first.subscribe("$share/g/work", qos=1)
    assert why(api, "first", "work")["verdict"] == "yes"
    second.subscribe("$share/g/work", qos=1)
    answer = why(api, "first", "work")
    assert answer["verdict"] == "depends" and "1 other members are connected" in answer["because"]


def test_a_reader_that_is_behind_gets_it_later(served, connect):
    broker, api = served
    for number in range(4):
        publish(api, "s/behind", str(number))
    client = connect(broker, "reader", auto_ack=False, receive_maximum=2)
    client.replay("first", "s/behind", qos=1)
    client.messages(2)
    answer = why(api, "reader", "s/behind")
    assert answer["verdict"] == "later"
    assert found(answer, "cursor")[0][0] == "later" and "4 events come first" in found(answer, "cursor")[0][1]
    assert found(answer, "flow")[0][0] == "later" and "Receive Maximum" in found(answer, "flow")[0][1]


def test_the_rule_that_denies_it_is_named(brokers, connect, tmp_path):
    rules = tmp_path / "rules.acl"
    rules.write_text(ACL)
    one = brokers(config={"auth": {"acl_file": str(rules)}}, args=["--anonymous"])
    api = Api(one)
    client = connect(one, "barred")
    client.subscribe("s/#", qos=1)
    answer = why(api, "barred", "s/secret/x")
    assert answer["verdict"] == "no" and "rules.acl:2: deny" in answer["because"]
    assert why(api, "barred", "s/open")["verdict"] == "yes"


def test_the_last_drop_of_a_client_is_told(served, connect):
    broker, api = served
    client = connect(broker, "narrow", maximum_packet_size=100)
    client.subscribe("wide/#", qos=1)
    publish(api, "wide/load", "x" * 200)
    publish(api, "wide/end", "x")
    assert client.message().topic == "wide/end"
    drop = why(api, "narrow", "wide/load")["last_drop"]
    assert (drop["reason"], drop["topic"], drop["count"]) == ("too_large", "wide/load", 1)
    client.publish("$SYS/mine", "x", qos=1)
    drop = why(api, "narrow", "wide/load")["last_drop"]
    assert (drop["reason"], drop["topic"], drop["count"]) == ("invalid_topic", "$SYS/mine", 2)


def test_the_command_says_it_step_by_step(served, connect):
    broker, _ = served
    client = connect(broker, "told")
    client.subscribe("a/+", qos=1)
    text = said(broker, "why", "told", "a/b")
    assert text.startswith("yes: it is connected, subscribed and allowed to\n\nyes  connection    connected since ")
    assert text.endswith("\nno message of this client was dropped lately\n")
    assert said(broker, "why", "told", "x").startswith("no: none of its 1 subscriptions matches: a/+\n")
    assert json.loads(said(broker, "why", "told", "x", "--json"))["verdict"] == "no"
    assert "there is no client" in said(broker, "why", "nobody", "x", code=1)
