"""The API's document: good and bad requests made from it never end in a 5xx, and every answer has the shape that it tells."""

import json
import random

import jsonschema
import pytest

from raw import Client
from test_api import Api, publish, quoted, receive

JUNK = ["", " ", "a", "s/a", "s/#", "+", "#", "a/#/b", "$SYS/x", "$share/g/a", "$replay/first/a", "é", "\u0000", "x" * 70_000, "%", "..", "0", "-1"]
JUNK += ["18446744073709551616", "true", "first", "seq:1", "last:9223372036854775807", "delta:5m", "a = 1", "(" * 300]
VALUES = [*JUNK, None, True, 0, 1, -1, 2, 3, 255, 2**31, 2**63, 2**64, 1.5, [], {}, [1], {"a": {}}, [{"name": "a"}], [{"name": "a", "value": "b"}]]


@pytest.fixture(scope="module")
def served(broker):
    """A broker with something of everything, its API and its document."""
    api = Api(broker)
    for number in range(3):
        publish(api, "s/a", str(number), retain=True)
    client = Client(broker.port)
    client.connect(client_id="a", session_expiry=1000)
    client.subscribe("$share/g/$replay/first/s/#", "$share/l/x", "$replay/first/s/a", "s/#", qos=1)
    yield api, api.get("/openapi.json"), client


def something(api):
    """Makes sure that there is something to name, and names it."""
    publish(api, "s/a", "kept", retain=True)
    receive(api, "s/a", start="first", client_id="z")
    receive(api, "s/a", start="first", group="g")
    [cursor] = api.get("/cursors?owner=z")["items"]
    return {"id": cursor["id"], "group": "g", "filter": "s/a", "topic": "s/a"}


def filled(path, operation, draw, there):
    """The path with its parameters; a longer one than HTTP allows would be refused before the API sees it."""
    query = []
    for parameter in operation.get("parameters", ()):
        value = there.get(parameter["name"]) if draw.random.random() < 0.3 else None
        value = draw(parameter["schema"]) if value is None else value
        value = value[:2_000] if isinstance(value, str) else value
        if parameter["in"] == "path":
            text = value if isinstance(value, str) and value not in ("", ".", "..") else "a"
            path = path.replace("{" + parameter["name"] + "}", quoted(text if not isinstance(value, int) else str(value)))
        elif parameter["required"] or draw.random.random() < 0.5:
            query.append(f"{parameter['name']}={quoted(str(value))}")
    return path + ("?" + "&".join(query) if query else "")


class Draw:
    """Values for schemas: good ones, mostly, or any."""

    def __init__(self, document, seed, wild):
        self.document, self.random, self.wild = document, random.Random(seed), wild

    def __call__(self, schema):
        if self.random.random() < self.wild:
            return self.random.choice(VALUES)
        if "$ref" in schema:
            schema = self.document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
        kind = schema["type"] if isinstance(schema["type"], str) else self.random.choice(schema["type"])
        if "examples" in schema:
            return self.random.choice(schema["examples"])
        if "enum" in schema:
            return self.random.choice(schema["enum"])
        if kind == "object":
            names = schema.get("properties", {})
            wanted = schema.get("required", ())
            body = {name: self(names[name]) for name in names if name in wanted or self.random.random() < 0.3}
            if self.random.random() < self.wild:
                body[self.random.choice(JUNK)] = 1
            return body
        if kind == "array":
            return [self(schema["items"]) for _ in range(self.random.randrange(3))]
        if kind == "integer":
            low, high = schema.get("minimum", 0), schema.get("maximum", 2**32)
            return self.random.choice([low, min(low + 1, high), high if high <= 1000 else low])
        return {"string": self.random.choice(["a", "s/a", "g", "x", "first", "#"]), "boolean": True, "null": None}[kind]


def check(document, path, method, operation, status, answer):
    """No 5xx, and the shape that the document tells."""
    assert status < 500, (method, path, answer)
    responses = operation["responses"]
    response = responses.get(str(status)) or responses[f"{status // 100}XX"]
    [(kind, content)] = response["content"].items()
    validator = jsonschema.Draft202012Validator({**content["schema"], "components": document["components"]})
    for one in answer if kind == "application/x-ndjson" else [answer]:
        validator.validate(one)


@pytest.mark.parametrize("wild", [0.0, 0.3, 0.8])
def test_every_answer_has_the_shape_that_the_document_tells(served, wild):
    api, document, _ = served
    statuses = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            there = something(api)
            for seed in range(30):
                draw = Draw(document, f"{path}{method}{seed}", wild)
                body = operation.get("requestBody")
                body = body and draw(body["content"]["application/json"]["schema"])
                if isinstance(body, dict) and isinstance(body.get("wait_ms"), int):
                    body["wait_ms"] = min(body["wait_ms"], 1)
                target = "/api/v1" + filled(path, operation, draw, there)
                raw = None if body is None and "requestBody" not in operation else json.dumps(body)
                status, answer = api.ask(method.upper(), target, raw=raw, headers={"Content-Type": "application/json"})
                check(document, target, method, operation, status, answer)
                statuses.setdefault((path, method), set()).add(status)
    if wild == 0.0:
        never = [key for key, seen in statuses.items() if not seen & {200, 201} and "{token}" not in key[0]]
        assert never == []


@pytest.mark.parametrize("body", [b"", b"{", b"null", b"[]", b"\xff\xfe", b'"x"', b"[" * 5000, b'{"topic": "a", "topic": "b"}'])
def test_a_body_that_is_no_object_is_refused(served, body):
    api, document, _ = served
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if "requestBody" in operation:
                target = "/api/v1" + path.replace("{", "").replace("}", "")
                status, answer = api.ask(method.upper(), target, raw=body, headers={"Content-Type": "application/json"})
                check(document, target, method, operation, status, answer)
