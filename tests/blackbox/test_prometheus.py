"""conf/: the dashboard and the alerts, read by a real Prometheus that scrapes a broker at work."""

import json
import re

import pytest

from broker import Broker
from listeners import make_certificates, tls
from prometheus import CONF, Prometheus, metric_names, promtool, until
from raw import Client

DASHBOARD = json.loads((CONF / "grafana-dashboard.json").read_text())
CASES = (CONF.parent / "tests" / "blackbox" / "alert_cases.yml").read_text()
OWN = re.compile(r"rewindmq_\w+|process_\w+|up")


class Work:
    """A broker and clients that do a bit of everything, once for each call."""

    def __init__(self, folder):
        config = {
            "listeners": [{"address": "127.0.0.1:0"}, {"address": "127.0.0.1:0", "tls": tls(make_certificates(folder))}],
            "http": {"address": "127.0.0.1:0"},
            "store": {"path": str(folder / "data"), "rules": [{"filters": ["s/#"]}]},
        }
        self.broker = Broker(config=config, flags=False).start()
        self.writer, self.reader, self.group, self.small = (Client(self.broker.port) for _ in range(4))
        self.writer.connect("writer")
        self.reader.connect("reader")
        self.reader.replay("first", "s/#")
        self.reader.granted("live/#", qos=0)
        self.group.connect("member")
        self.group.replay("first", "$share/g/s/#")
        self.small.connect("small", maximum_packet_size=100)
        self.small.granted("big", qos=1)

    def __call__(self) -> None:
        """Stored events that a replay and a group get, messages that nobody keeps, one that is dropped."""
        for number in range(10):
            self.writer.publish(f"s/{number % 3}", "x" * 50)
            self.writer.publish("live/a", "y", qos=0)
        self.writer.publish("big", "z" * 200)
        for client in (self.reader, self.group, self.small):
            client.sync()

    def close(self) -> None:
        """Ends all of it."""
        for client in (self.writer, self.reader, self.group, self.small):
            client.socket.close()
        self.broker.close()


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    one = Work(tmp_path_factory.mktemp("broker"))
    yield one
    one.close()


@pytest.fixture(scope="module")
def prometheus(work, tmp_path_factory):
    """Has scraped twice, so that there are rates."""
    one = Prometheus(tmp_path_factory.mktemp("prometheus"), work.broker.http_port)
    try:
        seen = 'count_over_time(rewindmq_dropped_total{reason="too_large"}[1m])'
        until(lambda: one.query(seen), lambda found: found and float(found[0]["value"][1]) >= 3, work)
        yield one
    finally:
        one.stop()


def expressions(node):
    """Every expression below a part of the dashboard."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "expr":
                yield value
            else:
                yield from expressions(value)
    elif isinstance(node, list):
        for value in node:
            yield from expressions(value)


def filled(expression: str) -> str:
    """An expression of the dashboard with Grafana's variables put in."""
    text = expression.replace("$__rate_interval", "1m").replace("$instance", ".*")
    assert "$" not in text, f"another variable: {expression}"
    return text


def test_the_page_has_the_form_that_prometheus_asks_for(work):
    promtool("check", "metrics", stdin=work.broker.http("/metrics"))


def test_the_example_configuration_and_the_alerts_are_right():
    promtool("check", "config", CONF / "prometheus.yml")


def test_alerts_fire_when_they_should_and_only_then():
    promtool("test", "rules", CONF.parent / "tests" / "blackbox" / "alert_cases.yml")


def test_every_alert_has_a_case_and_says_what_to_do(prometheus):
    rules = prometheus.rules()
    assert len(rules) > 15
    for rule in rules:
        assert f'alertname="{rule["name"]}"' in CASES, rule["name"]
        assert rule["labels"]["severity"] in ("warning", "critical"), rule["name"]
        assert rule["annotations"]["summary"] and rule["annotations"]["description"], rule["name"]


def test_every_metric_of_dashboard_and_alerts_is_scraped(prometheus):
    read = [filled(one) for one in expressions(DASHBOARD)] + [rule["query"] for rule in prometheus.rules()]
    wanted = set().union(*map(metric_names, read))
    assert len(wanted) > 50
    assert all(OWN.fullmatch(name) for name in wanted), wanted
    assert wanted <= prometheus.names(), wanted - prometheus.names()


def test_every_panel_has_something_to_show(prometheus, work):
    wanted = set(map(filled, expressions(DASHBOARD["panels"])))
    until(lambda: sorted(one for one in wanted if not prometheus.query(one)), lambda empty: empty == [], work)


def test_every_alert_is_evaluated(prometheus):
    rules = until(prometheus.rules, lambda rules: all(rule["health"] != "unknown" for rule in rules))
    assert {rule["name"]: rule.get("lastError", "") for rule in rules if rule["health"] != "ok"} == {}


def test_dropped_messages_raise_their_alert(prometheus, work):
    def dropped():
        [rule] = [rule for rule in prometheus.rules() if rule["name"] == "RewindmqMessagesDropped"]
        return rule["alerts"]

    alerts = until(dropped, bool, work)
    assert [alert["labels"]["reason"] for alert in alerts] == ["too_large"]
    assert alerts[0]["state"] in ("pending", "firing")
    assert "too_large" in alerts[0]["annotations"]["summary"]


def test_nothing_is_wrong_with_a_broker_at_work(prometheus):
    alerts = {rule["name"]: rule["alerts"] for rule in prometheus.rules() if rule["alerts"]}
    # What its certificate and the machine's disk stand at is not the broker's.
    others = {"RewindmqMessagesDropped", "RewindmqDiskNearlyFull", "RewindmqDiskFillsUp"}
    assert set(alerts) <= others | {"RewindmqCertificateExpires", "RewindmqCertificateExpiresNow"}


def test_the_dashboard_is_put_together_right():
    assert DASHBOARD["schemaVersion"] >= 38
    assert [one["name"] for one in DASHBOARD["templating"]["list"]] == ["datasource", "instance"]
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24 and not cells & places, panel["title"]
        places |= cells
        if panel["type"] != "row":
            assert panel["description"].endswith("."), panel["title"]
            assert panel["targets"], panel["title"]
            for target in panel["targets"]:
                assert target["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
