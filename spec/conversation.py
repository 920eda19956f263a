"""What a runtime store has to read of a session snapshot: whose it is, and its messages, of which it makes a digest.

The digest is over a canonical encoding of the decoded messages and never over the snapshot's own bytes: unknown fields vanish,
defaults appear, older forms become new ones. Decoding is stricter than Python's own: a number that no double holds, a lone
surrogate, a byte-order mark, a repeated field or 128 levels are errors. Stores of other runtimes bring a codec of their own.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from hashlib import sha256
from typing import Any, NamedTuple, Protocol
from uuid import UUID

LEVELS = 128
"""So many lists and objects inside each other are too many."""

I64_MAX, U64_MAX, U32_MAX = 2**63 - 1, 2**64 - 1, 2**32 - 1


class UndecodableSession(ValueError):
    """The bytes are no session; the text says why."""


class DecodedSession(NamedTuple):
    """What a receipt says of a session."""

    session_id: UUID
    message_count: int
    conversation_digest: str


class SessionCodec(Protocol):
    """Reads snapshots."""

    def __call__(self, snapshot: bytes) -> DecodedSession:
        """What the snapshot says. Raises `UndecodableSession`."""


def decode_session(snapshot: bytes) -> DecodedSession:
    """The codec of the published runtime. Raises `UndecodableSession`. Requirements: RUNTIME-64 to RUNTIME-66."""
    session = _object(_parsed(snapshot), "the session", SESSION)
    messages = session["messages"]
    return DecodedSession(session["id"], len(messages), conversation_digest(messages))


def conversation_digest(messages: list[Any]) -> str:
    """The lower-case hex SHA-256 of the canonical encoding of decoded messages (RUNTIME-64)."""
    return sha256(canonical(messages).encode()).hexdigest()


class _Pairs(list[tuple[str, Any]]):
    """A JSON object as it is written, repetitions and all."""


def _parsed(snapshot: bytes) -> Any:
    try:
        value = json.loads(
            snapshot.decode("utf-8"),
            object_pairs_hook=_Pairs,
            parse_int=_integer,
            parse_float=_double,
            parse_constant=_no_number,
        )
    except (ValueError, RecursionError) as error:
        raise UndecodableSession(f"no JSON: {error}") from error
    _require_plain(value)
    return value


def _integer(text: str) -> int | float:
    # twenty digits hold every 64-bit number; Python refuses to read thousands of them
    number = int(text) if len(text) <= 20 else None
    if number is None or not -I64_MAX - 1 <= number <= U64_MAX or text == "-0":
        return _double(text)
    return number


def _double(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text[:40]} is out of range")
    return number


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _require_plain(value: Any) -> None:
    """Raise for lone surrogates, and for more levels than the published runtime reads."""
    pending = [(value, 1)]
    while pending:
        item, level = pending.pop()
        if isinstance(item, str):
            try:
                item.encode()
            except UnicodeEncodeError:
                raise UndecodableSession(f"a lone surrogate in {item[:40]!r}") from None
        elif isinstance(item, list):
            if level >= LEVELS:
                raise UndecodableSession(f"{LEVELS} levels of lists and objects")
            for inner in item:
                pending.extend((each, level + 1) for each in (inner if isinstance(item, _Pairs) else (inner,)))


Reader = Callable[[Any, str], Any]
"""Takes a parsed value and where it stands, and gives the decoded one. Raises `UndecodableSession`."""


class _Field(NamedTuple):
    """A field of an object: how it is read, and what stands for it where it is missing."""

    read: Reader
    default: Any = ...
    optional: bool = False
    """Whether null counts as missing, and a missing one is left out of the encoding."""


Fields = dict[str, _Field]


def _object(value: Any, where: str, fields: Fields, *, closed: bool = False) -> dict[str, Any]:
    """The object's known fields, decoded, in the order of the table. Unknown ones are ignored, unless it is closed to them."""
    if not isinstance(value, _Pairs):
        raise UndecodableSession(f"{where} is no object")
    given: dict[str, Any] = {}
    for key, content in value:
        if key not in fields:
            if closed:
                raise UndecodableSession(f"{where} has an unknown field {key[:40]!r}")
            continue
        if key in given:
            raise UndecodableSession(f"{where} has {key!r} twice")
        given[key] = content
    decoded: dict[str, Any] = {}
    for key, field in fields.items():
        if field.optional and given.get(key) is None:
            continue
        if key in given:
            decoded[key] = field.read(given[key], f"{where}.{key}")
        elif field.default is ...:
            raise UndecodableSession(f"{where} has no {key!r}")
        else:
            decoded[key] = field.default
    return decoded


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise UndecodableSession(f"{where} is no text")
    return value


def _flag(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise UndecodableSession(f"{where} is neither true nor false")
    return value


def _number(most: int) -> Reader:
    def read(value: Any, where: str) -> int:
        if type(value) is not int or not 0 <= value <= most:
            raise UndecodableSession(f"{where} is no integer from 0 to {most}")
        return value

    return read


def _count(value: Any, where: str) -> Any:
    """A number, or null, which is written as null."""
    return None if value is None else _number(U64_MAX)(value, where)


def _word(*words: str) -> Reader:
    def read(value: Any, where: str) -> str:
        if value not in words or not isinstance(value, str):
            raise UndecodableSession(f"{where} is none of {', '.join(words)}")
        return value

    return read


def _list_of(read: Reader) -> Reader:
    def read_list(value: Any, where: str) -> list[Any]:
        if not isinstance(value, list) or isinstance(value, _Pairs):
            raise UndecodableSession(f"{where} is no list")
        return [read(item, f"{where}[{place}]") for place, item in enumerate(value)]

    return read_list


def _record(fields: Fields, *, closed: bool = False) -> Reader:
    return lambda value, where: _object(value, where, fields, closed=closed)


def _tagged(tag: str, variants: dict[str, Fields]) -> Reader:
    """An object whose field `tag` says what else it has."""

    def read(value: Any, where: str) -> dict[str, Any]:
        word = _object(value, where, {tag: _Field(_word(*variants))})[tag]
        return {tag: word} | _object(value, where, {tag: _Field(_text)} | variants[word])

    return read


def _free(value: Any, where: str) -> Any:
    """JSON of any form: keys in order, the last of equal ones."""
    if isinstance(value, _Pairs):
        last = dict(value)
        return {key: _free(last[key], where) for key in sorted(last)}
    return [_free(item, where) for item in value] if isinstance(value, list) else value


def _free_object(value: Any, where: str) -> Any:
    if not isinstance(value, _Pairs):
        raise UndecodableSession(f"{where} is no object")
    return _free(value, where)


HEX = r"[0-9a-fA-F]"
UUID_FORMS = re.compile(
    rf"({HEX}{{32}})|((?P<open>\{{)|urn:uuid:)?({HEX}{{8}}-{HEX}{{4}}-{HEX}{{4}}-{HEX}{{4}}-{HEX}{{12}})(?(open)\}})", re.ASCII
)


def _uuid(value: Any, where: str) -> UUID:
    found = UUID_FORMS.fullmatch(_text(value, where))
    if found is None:
        raise UndecodableSession(f"{where} is no UUID")
    return UUID(found[1] or found[4])


def _instant(value: Any, where: str) -> Any:
    fields = {"secs_since_epoch": _Field(_number(U64_MAX)), "nanos_since_epoch": _Field(_number(U32_MAX))}
    instant = _object(value, where, fields, closed=True)
    if instant["secs_since_epoch"] + instant["nanos_since_epoch"] // 10**9 > I64_MAX:
        raise UndecodableSession(f"{where} is out of range")
    return instant


STOP_REASON = _word("end_turn", "tool_use", "max_tokens", "stop_sequence", "content_filter", "cancelled")
RENDER_METADATA: Fields = {
    "class": _Field(
        _word(
            "user_prompt", "peer_message", "peer_request", "peer_response", "external_event",
            "flow_step", "continuation", "system_notice", "tool_scope_notice", "ops_progress",
        )
    ),
    "salience": _Field(_word("background", "normal", "important", "urgent"), "normal"),
}  # fmt: skip
NOTICE_KIND = _word("generic", "mcp_pending", "background_job", "tool_scope", "tool_scope_warning")
USAGE: Fields = {
    "input_tokens": _Field(_number(U64_MAX)),
    "output_tokens": _Field(_number(U64_MAX)),
    "cache_creation_tokens": _Field(_count, None),
    "cache_read_tokens": _Field(_count, None),
}
TOOL_CALL: Fields = {"id": _Field(_text), "name": _Field(_text), "args": _Field(_free)}
META = _Field(
    _tagged(
        "provider",
        {
            "anthropic": {"signature": _Field(_text)},
            "anthropic_redacted": {"data": _Field(_text)},
            "anthropic_compaction": {"content": _Field(_text)},
            "gemini": {"thoughtSignature": _Field(_text)},
            "open_ai": {"id": _Field(_text), "encrypted_content": _Field(_text, optional=True)},
        },
    ),
    optional=True,
)
ASSISTANT_BLOCKS: dict[str, Fields] = {
    "text": {"text": _Field(_text), "meta": META},
    "reasoning": {"text": _Field(_text, ""), "meta": META},
    "tool_use": {**TOOL_CALL, "meta": META},
}


def _image_or_video(value: Any, where: str) -> dict[str, Any]:
    """A block of media: where its data is says `source`, beside the other fields."""
    decoded: dict[str, Any] = _tagged(
        "type",
        {
            "text": {"text": _Field(_text)},
            "image": {"media_type": _Field(_text), "source": _Field(_word("inline", "blob")), **_held(value)},
            "video": {
                "media_type": _Field(_text),
                "duration_ms": _Field(_number(U64_MAX)),
                "source": _Field(_word("inline")),
                "data": _Field(_text),
            },
        },
    )(value, where)
    return decoded


def _held(value: Any) -> Fields:
    source = dict(value).get("source") if isinstance(value, _Pairs) else None
    return {"blob_id": _Field(_text)} if source == "blob" else {"data": _Field(_text)}


def _content(value: Any, where: str) -> Any:
    """A text, or blocks; a single block of text is that text."""
    if isinstance(value, str):
        return value
    blocks = _list_of(_image_or_video)(value, where)
    return blocks[0]["text"] if len(blocks) == 1 and blocks[0]["type"] == "text" else blocks


def _assistant_block(value: Any, where: str) -> dict[str, Any]:
    outer = _object(value, where, {"block_type": _Field(_word(*ASSISTANT_BLOCKS)), "data": _Field(lambda inner, _: inner)})
    return outer | {"data": _object(outer["data"], f"{where}.data", ASSISTANT_BLOCKS[outer["block_type"]])}


RESULT: Fields = {"tool_use_id": _Field(_text), "content": _Field(_content), "is_error": _Field(_flag, False)}
MESSAGES: dict[str, Fields] = {
    "system": {"content": _Field(_text)},
    "system_notice": {"kind": _Field(NOTICE_KIND), "body": _Field(_text)},
    "user": {"content": _Field(_content), "render_metadata": _Field(_record(RENDER_METADATA), optional=True)},
    "assistant": {
        "content": _Field(_text),
        "tool_calls": _Field(_list_of(_record(TOOL_CALL)), []),
        "stop_reason": _Field(STOP_REASON),
        "usage": _Field(_record(USAGE)),
    },
    "block_assistant": {"blocks": _Field(_list_of(_assistant_block)), "stop_reason": _Field(STOP_REASON)},
    "tool_results": {"results": _Field(_list_of(_record(RESULT)))},
}
NOTICES = {
    "[TOOL_SCOPE][WARNING]": ("tool_scope_warning", "tool_scope_notice"),
    "[TOOL_SCOPE]": ("tool_scope", "tool_scope_notice"),
    "[MCP_PENDING]": ("mcp_pending", "system_notice"),
    "[BG_JOB]": ("background_job", "ops_progress"),
    "": ("generic", "system_notice"),
}
"""The kind of a notice that stands in an older message of the user, and the class that it has to have, by its prefix."""


def _message(value: Any, where: str) -> dict[str, Any]:
    message = _tagged("role", MESSAGES)(value, where)
    return _upgraded(message) if "render_metadata" in message else message


def _upgraded(message: dict[str, Any]) -> dict[str, Any]:
    """A notice, if that is what the message of a user is."""
    content = message["content"]
    text = content if isinstance(content, str) else "\n".join(filter(None, map(_block_text, content)))
    for prefix, (kind, rendered) in NOTICES.items():
        start = f"[SYSTEM NOTICE]{prefix} "
        if text.startswith(start) and message["render_metadata"]["class"] == rendered:
            return {"role": "system_notice", "kind": kind, "body": text[len(start) :]}
    return message


def _block_text(block: dict[str, Any]) -> str:
    return str(block["text"]) if block["type"] == "text" else f"[{block['type']}: {block['media_type']}]"


SESSION: Fields = {
    "version": _Field(_number(U32_MAX), 1),
    "id": _Field(_uuid),
    "messages": _Field(_list_of(_message)),
    "created_at": _Field(_instant),
    "updated_at": _Field(_instant),
    "metadata": _Field(_free_object, {}),
    "usage": _Field(_record(USAGE), {}),
}


def canonical(value: Any) -> str:
    """JSON without white space, keys as they come, numbers as the published runtime writes them."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{canonical(key)}:{canonical(content)}" for key, content in value.items()) + "}"
    if isinstance(value, list):
        return f"[{','.join(map(canonical, value))}]"
    return _written(value) if isinstance(value, float) else json.dumps(value, ensure_ascii=False)


def _written(number: float) -> str:
    """A double by its shortest digits: plain where its decimal exponent is from -5 to 15, else in exponents without padding."""
    mantissa, exponent = f"{number!r}e0".split("e")[:2]
    sign, digits = ("-", mantissa[1:]) if mantissa.startswith("-") else ("", mantissa)
    whole, _, fraction = digits.partition(".")
    point = len(whole) + int(exponent)
    stripped = (whole + fraction).lstrip("0")
    point -= len(whole + fraction) - len(stripped)
    stripped = stripped.rstrip("0")
    if not stripped:
        return f"{sign}0.0"
    if not -5 <= point - 1 <= 15:
        tail = f".{stripped[1:]}" if len(stripped) > 1 else ""
        return f"{sign}{stripped[0]}{tail}e{point - 1:+d}"
    if point <= 0:
        return f"{sign}0.{'0' * -point}{stripped}"
    return f"{sign}{stripped[:point].ljust(point, '0')}.{stripped[point:] or '0'}"
