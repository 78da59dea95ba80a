"""The AsyncAPI 3 document of the topics, generated from the types that validate (messaging.md A1).

`python -m protocols.events.asyncapi` prints it; with `--check` it reads a document on standard input and
exits 1 where that differs.
"""

import sys
from collections.abc import Sequence
from inspect import cleandoc
from typing import Any

import msgspec

from protocols.events.events import Event
from protocols.events.frames import (
    CentreState,
    Frame,
    PersonAnswer,
    PersonQuery,
    Presence,
    Receipt,
    SignedReceipt,
    Unknown,
)
from protocols.events.keys import (
    AuthenticationData,
    AuthenticationStep,
    KeyRefusal,
    Mac,
    MacStep,
    SessionKey,
    SessionStep,
)
from protocols.events.topics import BUCKETS, CENTRE, CENTRE_GONE, ROOT, TERMINAL_ID, TOPICS, Topic

Json = dict[str, Any]

MESSAGES: dict[str, tuple[type, ...]] = {
    "event": (Frame,),
    "receipt": (SignedReceipt,),
    "presence": (Presence,),
    "query": (PersonQuery,),
    "key": (AuthenticationStep, MacStep, SessionStep),
    "answer": (PersonAnswer, Unknown, AuthenticationData, Mac, SessionKey, KeyRefusal),
    "desired": (),
}
"""What travels on each topic; an empty one is reserved."""
ALL_MESSAGES = (*(each for types in MESSAGES.values() for each in types), CentreState)
CENTRE_CHANNELS = {
    "centre": (
        f"{ROOT}/{{bucket}}/{CENTRE}",
        "the holder of a bucket listens: lease number and time",
    ),
    "centreGone": (CENTRE_GONE, "last will of a worker, shared by its buckets"),
}
"""Address and meaning of the topics that belong to no terminal."""
RAW = {("Entry", "event"): Event, ("SignedReceipt", "receipt"): Receipt}
"""Fields kept as untouched bytes, and the type they hold."""


def document() -> Json:
    """The whole document, seen from the terminal (`send` is up)."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Social security card counter terminal",
            "version": "1",
            "license": {"name": "Apache-2.0"},
            "description": (
                "Messages between terminals and the centre over MQTT 5. QoS 1 everywhere; a PUBACK only "
                "frees a packet id, the signed receipt alone says that the centre has an event. "
                "Unknown fields are refused."
            ),
        },
        "defaultContentType": "application/json",
        "servers": {"broker": _server()},
        "channels": {each.name: _channel(each) for each in TOPICS} | _centre_channels(),
        "operations": {each.name: _operation(each) for each in TOPICS} | _centre_operations(),
        "components": {"messages": _messages(), "schemas": _schemas()},
    }


def text() -> str:
    """The document as it is kept: two-space JSON with a final newline."""
    return msgspec.json.format(msgspec.json.encode(document()), indent=2).decode() + "\n"


def main(arguments: Sequence[str]) -> int:
    """Print the document, or with `--check` compare it with standard input; 2 for other arguments."""
    if list(arguments) == []:
        sys.stdout.write(text())
        return 0
    if list(arguments) != ["--check"]:
        sys.stderr.write("usage: python -m protocols.events.asyncapi [--check < docs/asyncapi.json]\n")
        return 2
    if sys.stdin.read() == text():
        return 0
    sys.stderr.write("the AsyncAPI document differs from the message types; run make gen\n")
    return 1


def _server() -> Json:
    return {
        "host": "{broker}",
        "protocol": "mqtt",
        "protocolVersion": "5.0",
        "description": "One of the brokers named in the enrolment record; user name is the terminal id.",
        "variables": {"broker": {"description": "host:port"}},
        "bindings": {
            "mqtt": {
                "clientId": "fixed, the terminal id",
                "cleanSession": True,
                "sessionExpiryInterval": 0,
                "lastWill": {"topic": f"{ROOT}/{{bucket}}/{{terminal}}/presence", "qos": 1, "retain": True},
            }
        },
    }


def _channel(topic: Topic) -> Json:
    return {
        "address": f"{ROOT}/{{bucket}}/{{terminal}}/{topic.name}",
        "description": topic.what if MESSAGES[topic.name] else f"{topic.what}; reserved, no message yet",
        "parameters": {
            "bucket": _bucket(),
            "terminal": {"description": f"`{TERMINAL_ID.pattern}`, not `{CENTRE}`"},
        },
        "messages": _references(*MESSAGES[topic.name]),
    }


def _centre_channels() -> Json:
    return {
        name: {
            "address": address,
            "description": what,
            **({"parameters": {"bucket": _bucket()}} if "{bucket}" in address else {}),
            "messages": _references(CentreState),
        }
        for name, (address, what) in CENTRE_CHANNELS.items()
    }


def _references(*messages: type) -> Json:
    return {each.__name__: {"$ref": f"#/components/messages/{each.__name__}"} for each in messages}


def _bucket() -> Json:
    return {"description": f"first byte of SHA-256(terminal) mod {BUCKETS}, decimal"}


def _operation(topic: Topic) -> Json:
    found: Json = {
        "action": "send" if topic.direction == "up" else "receive",
        "channel": {"$ref": f"#/channels/{topic.name}"},
        "summary": topic.what,
        "bindings": {"mqtt": {"qos": 1, "retain": topic.retained}},
    }
    if topic.name in ("query", "key"):
        found["reply"] = {"channel": {"$ref": "#/channels/answer"}}
    if topic.name == "event":
        found["x-receipt"] = {"channel": {"$ref": "#/channels/receipt"}}
    return found


def _centre_operations() -> Json:
    return {
        name: {
            "action": "receive",
            "channel": {"$ref": f"#/channels/{name}"},
            "summary": what,
            "bindings": {"mqtt": {"qos": 1, "retain": "{bucket}" in address}},
        }
        for name, (address, what) in CENTRE_CHANNELS.items()
    }


def _messages() -> Json:
    correlated = MESSAGES["query"] + MESSAGES["key"] + MESSAGES["answer"]
    return {
        each.__name__: {
            "name": each.__name__,
            "summary": (each.__doc__ or "").splitlines()[0],
            "payload": {"$ref": f"#/components/schemas/{each.__name__}"},
            **({"bindings": {"mqtt": {"correlationData": {"type": "string"}}}} if each in correlated else {}),
        }
        for each in ALL_MESSAGES
    }


def _schemas() -> Json:
    """JSON schemas of all types; a raw field points at the type its bytes hold."""
    _, schemas = msgspec.json.schema_components(
        (*ALL_MESSAGES, *RAW.values()), ref_template="#/components/schemas/{name}"
    )
    for (owner, field), held in RAW.items():
        schemas[owner]["properties"][field] = {"$ref": f"#/components/schemas/{held.__name__}"}
    return {name: _plain(schemas[name]) for name in sorted(schemas)}


def _plain(part: Any) -> Any:
    """The same schema without discriminators (AsyncAPI's is a plain string, and the tag's enum already tells).

    Descriptions are docstrings, which Python 3.13 dedents and earlier ones do not.
    """
    if isinstance(part, dict):
        return {key: _plain(value) for key, value in part.items() if key != "discriminator"}
    if isinstance(part, list):
        return [_plain(value) for value in part]
    return cleandoc(part) if isinstance(part, str) else part


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
