"""Snapshots of sessions as JSON text, with what a test is about in its place."""

from __future__ import annotations

from hashlib import sha256

from fencepost.spec import DecodedSession, decode_session

ID = "00000000-0000-4000-8000-0000000000ff"
NOW = '{"secs_since_epoch":1,"nanos_since_epoch":2}'

FIELDS = {"id": f'"{ID}"', "messages": "[]", "created_at": NOW, "updated_at": NOW}
"""What a session has to have, as JSON text."""


def written(fields: dict[str, str | None]) -> bytes:
    """A snapshot with these fields; None leaves a field out."""
    return ("{" + ",".join(f'"{key}":{text}' for key, text in fields.items() if text is not None) + "}").encode()


def session(messages: str = "[]", **changes: str | None) -> bytes:
    """A snapshot with these messages, and these other fields in place of the usual ones or beside them."""
    return written({**FIELDS, "messages": messages, **changes})


def tool_use(args: str) -> str:
    """Messages with free-form JSON, six levels down from the session."""
    return (
        '[{"role":"block_assistant","blocks":[{"block_type":"tool_use",'
        f'"data":{{"id":"t","name":"n","args":{args}}}}}],"stop_reason":"tool_use"}}]'
    )


def decoded(messages: str, **changes: str | None) -> DecodedSession:
    """What a session with these messages says."""
    return decode_session(session(messages, **changes))


def hashed(canonical: str) -> str:
    """The digest of messages whose canonical encoding is this."""
    return sha256(canonical.encode()).hexdigest()
