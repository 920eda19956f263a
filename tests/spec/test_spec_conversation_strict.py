"""What is no session: the codec refuses what the published runtime refuses, where Python alone would read it."""

from __future__ import annotations

from uuid import UUID

import pytest
from fencepost.spec import StoreError, UndecodableSession, decode_session
from spec_sessions import FIELDS, ID, NOW, decoded, session, tool_use, written

USER = '{"role":"user","content":"hello"}'
TIME = '"secs_since_epoch":1,"nanos_since_epoch":2'

PLACES = {
    "free-form JSON": lambda text: session(tool_use(text)),
    "metadata": lambda text: session(metadata=f'{{"a":[{text}]}}'),
    "an unknown field of the session": lambda text: session(new=text),
    "an unknown field of a message": lambda text: session(f'[{{"role":"user","content":"","new":{text}}}]'),
}
"""Where any JSON may stand, but nothing that is none: what is ignored is read too."""

NO_JSON = [
    *("NaN", "Infinity", "-Infinity", "nan", "1e999", "-1e999", "1e309", "1" + "0" * 309, "1" * 5_000, "-" + "9" * 400),
    *(r'"\ud800"', r'"\udc00"', r'"a\udfffb"', r'"\ude00\ud83d"', r'{"\ud800":1}', r'[[{"a":"\ud800x"}]]'),
    *("01", "1.", ".5", "+1", "-", "0x1", "1_000", "True", "nul", "'a'", '"a', '"\\x"', '"\\u12"', '"\n"', '"\x00"', '"\t"'),
    *("[1,]", '{"a":1,}', "{a:1}", "[1 2]", "{1:2}", "/**/1", "1//", "\x0b1", "\xa01"),
]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("text", NO_JSON, ids=lambda text: repr(text)[:20])
def test_runtime_20_what_is_no_json_is_no_session(text: str, place: str) -> None:
    """Numbers that no double holds, lone surrogates, raw control characters and Python's liberties are refused anywhere."""
    with pytest.raises(UndecodableSession):
        decode_session(PLACES[place](text))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    "text", ["1e308", "1" + "0" * 308, "1e-999", r'"\ud83d\ude00"', r'"\u0000"', '"\x7f"', " \t\r\n1", "{}"]
)
def test_runtime_20_what_is_json_there_is_read(text: str, place: str) -> None:
    """The neighbours of what is refused are read, so that the places above refuse nothing by themselves."""
    assert decode_session(PLACES[place](text)).session_id == UUID(ID)


GOOD = session(f"[{USER}]")


@pytest.mark.parametrize(
    "snapshot",
    [
        b"",
        b"   ",
        b"null",
        b"[]",
        b'"text"',
        b"1",
        b"[" + GOOD + b"]",
        b"\xef\xbb\xbf" + GOOD,
        GOOD.decode().encode("utf-16"),
        GOOD.decode().encode("utf-16-le"),
        GOOD.decode().encode("utf-32-be"),
        GOOD.replace(b"hello", b"\xe9"),
        GOOD.replace(b"hello", b"\xed\xa0\x80"),
        GOOD.replace(b"hello", b"\xc0\x80"),
        GOOD.replace(b"hello", b"\xff"),
        GOOD + b"{}",
        GOOD + b",",
        GOOD + b"\x00",
        GOOD + b"x",
        GOOD[:-1],
        GOOD[1:],
    ],
)
def test_runtime_20_the_snapshot_is_one_object_in_utf_8(snapshot: bytes) -> None:
    """No mark before it, no other encoding, no broken text, nothing after it, and nothing but an object."""
    assert decode_session(b" \n" + GOOD + b"\r\t ").message_count == 1
    with pytest.raises(UndecodableSession):
        decode_session(snapshot)


def test_an_undecodable_session_is_no_refusal_of_a_store() -> None:
    """A codec raises a ValueError of its own; the store makes its refusal of it."""
    assert issubclass(UndecodableSession, ValueError)
    assert not issubclass(UndecodableSession, StoreError)


def nested(levels: int, opened: str = "[", closed: str = "]") -> str:
    """Lists or objects inside each other, that many of them, around a number."""
    return opened * levels + "1" + closed * levels


@pytest.mark.parametrize(("opened", "closed"), [("[", "]"), ('{"a":', "}")])
def test_runtime_20_there_are_fewer_than_128_levels(opened: str, closed: str) -> None:
    """127 lists and objects inside each other are read, the session itself among them, and 128 are not."""
    assert decode_session(session(new=nested(126, opened, closed))).session_id == UUID(ID)
    assert decode_session(session(tool_use(nested(121, opened, closed)))).message_count == 1
    for too_many in (session(new=nested(127, opened, closed)), session(tool_use(nested(122, opened, closed)))):
        with pytest.raises(UndecodableSession, match="128 levels"):
            decode_session(too_many)
    for far_too_many in (session(new=nested(100_000, opened, closed)), ('{"a":' * 100_000).encode(), b"[" * 100_000):
        with pytest.raises(UndecodableSession):
            decode_session(far_too_many)


def assistant(block: str) -> str:
    """A message of an assistant of this one block."""
    return f'[{{"role":"block_assistant","blocks":[{block}],"stop_reason":"end_turn"}}]'


def user(content: str, rest: str = "") -> str:
    """A message of a user."""
    return f'[{{"role":"user","content":{content}{rest}}}]'


def results(inside: str) -> str:
    """A message of one result."""
    return f'[{{"role":"tool_results","results":[{inside}]}}]'


def legacy(inside: str) -> str:
    """A message of the older assistant with these fields beside its role."""
    return f'[{{"role":"assistant",{inside}}}]'


USAGE = '{"input_tokens":1,"output_tokens":2}'
SPOKEN = f'"content":"","stop_reason":"end_turn","usage":{USAGE}'

TWICE: list[tuple[str, bytes]] = [
    ("version", session(version='1,"version":1')),
    ("id", session(id=f'"{ID}","id":"{ID}"')),
    ("messages", session('[],"messages":[]')),
    ("created_at", session(created_at=f'{NOW},"created_at":{NOW}')),
    ("metadata", session(metadata='{},"metadata":{}')),
    ("secs_since_epoch", session(created_at=f'{{{TIME},"secs_since_epoch":1}}')),
    ("nanos_since_epoch", session(updated_at=f'{{{TIME},"nanos_since_epoch":2}}')),
    ("input_tokens", session(usage='{"input_tokens":1,"input_tokens":1,"output_tokens":2}')),
    ("role", session('[{"role":"user","role":"user","content":""}]')),
    ("content", session(user('"","content":""'))),
    ("render_metadata", session(user('""', ',"render_metadata":null,"render_metadata":null'))),
    ("class", session(user('""', ',"render_metadata":{"class":"flow_step","class":"flow_step"}'))),
    ("type", session(user('[{"type":"text","type":"text","text":""}]'))),
    ("text", session(user('[{"type":"text","text":"","text":""}]'))),
    ("source", session(user('[{"type":"image","media_type":"m","source":"inline","source":"inline","data":""}]'))),
    ("tool_calls", session(legacy(f'{SPOKEN},"tool_calls":[],"tool_calls":[]'))),
    ("args", session(legacy(f'{SPOKEN},"tool_calls":[{{"id":"a","name":"b","args":1,"args":1}}]'))),
    ("block_type", session(assistant('{"block_type":"text","block_type":"text","data":{"text":""}}'))),
    ("data", session(assistant('{"block_type":"text","data":{"text":""},"data":{"text":""}}'))),
    ("meta", session(assistant('{"block_type":"text","data":{"text":"","meta":null,"meta":null}}'))),
    (
        "provider",
        session(
            assistant(
                '{"block_type":"text","data":{"text":"","meta":'
                '{"provider":"gemini","provider":"gemini","thoughtSignature":""}}}'
            )
        ),
    ),
    ("is_error", session(results('{"tool_use_id":"t","content":"","is_error":true,"is_error":true}'))),
]


@pytest.mark.parametrize(("key", "snapshot"), TWICE, ids=[key for key, _ in TWICE])
def test_runtime_20_a_known_field_stands_once(key: str, snapshot: bytes) -> None:
    """A field that is read is refused if it is repeated, with equal values too and at any depth."""
    with pytest.raises(UndecodableSession, match=f"has '{key}' twice"):
        decode_session(snapshot)


def test_runtime_65_an_unknown_field_may_stand_twice() -> None:
    """What is ignored is not counted, and a field of another kind of message or block is unknown in this one."""
    plain = decoded(user('"a"'))
    assert decoded(user('"a"', ',"new":1,"new":2,"blocks":1,"blocks":2'), new='1,"new":2') == plain
    assert decoded(user('[{"type":"text","text":"a","source":1,"source":2,"data":1,"data":2}]')) == plain


@pytest.mark.parametrize("field", ["created_at", "updated_at"])
def test_runtime_20_times_are_closed_to_unknown_fields(field: str) -> None:
    """A time has two fields and no third, though every other object may have more."""
    for inside in ('"new":1,' + TIME, TIME + ',"new":null', TIME + ',"Secs_since_epoch":1'):
        with pytest.raises(UndecodableSession, match="unknown field"):
            decode_session(session(**{field: f"{{{inside}}}"}))


SECONDS = [
    ("0", "0", True),
    ("0", "4294967295", True),
    ("9223372036854775807", "999999999", True),
    ("9223372036854775807", "1000000000", False),
    ("9223372036854775803", "4294967295", True),
    ("9223372036854775804", "4294967295", False),
    ("9223372036854775808", "0", False),
    ("18446744073709551615", "0", False),
    ("18446744073709551615", "4294967295", False),
    ("0", "4294967296", False),
    ("-1", "0", False),
    ("0", "-1", False),
    ("1.0", "0", False),
    ("0", "1e0", False),
    ("true", "0", False),
    ('"1"', "0", False),
    ("null", "0", False),
]


@pytest.mark.parametrize(("seconds", "nanoseconds", "read"), SECONDS)
def test_runtime_20_times_have_a_range(seconds: str, nanoseconds: str, read: bool) -> None:
    """Nanoseconds carry into the seconds, and the sum has 63 bits."""
    for field in ("created_at", "updated_at"):
        given = session(**{field: f'{{"secs_since_epoch":{seconds},"nanos_since_epoch":{nanoseconds}}}'})
        if read:
            assert decode_session(given).session_id == UUID(ID)
        else:
            with pytest.raises(UndecodableSession, match=field):
                decode_session(given)


HYPHENATED = "0189abcd-ef01-7234-89ab-cdef01234567"


@pytest.mark.parametrize(
    "text",
    [
        HYPHENATED,
        "0189ABCD-EF01-7234-89AB-CDEF01234567",
        "0189abcdef01723489abcdef01234567",
        "0189AbCdEf01723489aBcDeF01234567",
        "{0189abcd-ef01-7234-89ab-cdef01234567}",
        "urn:uuid:0189ABCD-ef01-7234-89ab-cdef01234567",
    ],
)
def test_runtime_20_an_id_may_be_written_in_four_forms(text: str) -> None:
    """Hyphenated, bare, in braces and as a URN, in any case, it is the same id."""
    assert decoded("[]", id=f'"{text}"').session_id == UUID(HYPHENATED)


@pytest.mark.parametrize(
    "text",
    [
        *("", "s", HYPHENATED[:-1], HYPHENATED + "0", f" {HYPHENATED}", f"{HYPHENATED}\\n", HYPHENATED.replace("a", "g")),
        *(f"{{{HYPHENATED}", f"{HYPHENATED}}}", f"({HYPHENATED})", f"URN:UUID:{HYPHENATED}", f"urn:{HYPHENATED}"),
        *(f"{{{HYPHENATED.replace('-', '')}}}", f"urn:uuid:{HYPHENATED.replace('-', '')}", f"urn:uuid:{{{HYPHENATED}}}"),
        *("0189abcdef01-7234-89ab-cdef01234567", "0189-abcdef01-7234-89ab-cdef01234567", HYPHENATED.replace("-", "_")),
        *("\uff10189abcdef01723489abcdef01234567", "\u0660189abcd-ef01-7234-89ab-cdef01234567"),
    ],
)
def test_runtime_20_what_is_no_uuid_is_no_id(text: str) -> None:
    """Other text, other digits, half a brace, and hyphens in other places are refused."""
    with pytest.raises(UndecodableSession, match="no UUID"):
        decode_session(session(id=f'"{text}"'))


def test_runtime_20_four_fields_are_required_and_three_are_not() -> None:
    """A session has an id, messages and two times; version, metadata and usage have defaults."""
    assert set(FIELDS) == {"id", "messages", "created_at", "updated_at"}
    for field in FIELDS:
        fields = {name: None if name == field else text for name, text in FIELDS.items()}
        with pytest.raises(UndecodableSession, match=f"the session has no '{field}'"):
            decode_session(written(fields))


MISSING: list[tuple[str, str]] = [
    ("role", '[{"content":""}]'),
    ("content", '[{"role":"system"}]'),
    ("content", '[{"role":"user"}]'),
    ("kind", '[{"role":"system_notice","body":""}]'),
    ("body", '[{"role":"system_notice","kind":"generic"}]'),
    ("class", user('""', ',"render_metadata":{}')),
    ("content", legacy(f'"stop_reason":"end_turn","usage":{USAGE}')),
    ("stop_reason", legacy(f'"content":"","usage":{USAGE}')),
    ("usage", legacy('"content":"","stop_reason":"end_turn"')),
    ("input_tokens", legacy('"content":"","stop_reason":"end_turn","usage":{"output_tokens":1}')),
    ("output_tokens", legacy('"content":"","stop_reason":"end_turn","usage":{"input_tokens":1}')),
    ("id", legacy(SPOKEN + ',"tool_calls":[{"name":"b","args":1}]')),
    ("name", legacy(SPOKEN + ',"tool_calls":[{"id":"a","args":1}]')),
    ("args", legacy(SPOKEN + ',"tool_calls":[{"id":"a","name":"b"}]')),
    ("blocks", '[{"role":"block_assistant","stop_reason":"end_turn"}]'),
    ("stop_reason", '[{"role":"block_assistant","blocks":[]}]'),
    ("block_type", assistant('{"data":{"text":""}}')),
    ("data", assistant('{"block_type":"text"}')),
    ("text", assistant('{"block_type":"text","data":{}}')),
    ("args", assistant('{"block_type":"tool_use","data":{"id":"","name":""}}')),
    ("provider", assistant('{"block_type":"text","data":{"text":"","meta":{}}}')),
    ("signature", assistant('{"block_type":"text","data":{"text":"","meta":{"provider":"anthropic"}}}')),
    ("data", assistant('{"block_type":"text","data":{"text":"","meta":{"provider":"anthropic_redacted"}}}')),
    ("content", assistant('{"block_type":"text","data":{"text":"","meta":{"provider":"anthropic_compaction"}}}')),
    ("thoughtSignature", assistant('{"block_type":"text","data":{"text":"","meta":{"provider":"gemini"}}}')),
    ("id", assistant('{"block_type":"text","data":{"text":"","meta":{"provider":"open_ai"}}}')),
    ("results", '[{"role":"tool_results"}]'),
    ("tool_use_id", results('{"content":""}')),
    ("content", results('{"tool_use_id":""}')),
    ("type", user("[{}]")),
    ("text", user('[{"type":"text"}]')),
    ("media_type", user('[{"type":"image","source":"inline","data":""}]')),
    ("source", user('[{"type":"image","media_type":"m","data":""}]')),
    ("data", user('[{"type":"image","media_type":"m","source":"inline","blob_id":"b"}]')),
    ("blob_id", user('[{"type":"image","media_type":"m","source":"blob","data":""}]')),
    ("duration_ms", user('[{"type":"video","media_type":"m","source":"inline","data":""}]')),
    ("data", user('[{"type":"video","media_type":"m","duration_ms":1,"source":"inline"}]')),
]


@pytest.mark.parametrize(("key", "messages"), MISSING)
def test_runtime_20_a_field_without_a_default_is_required(key: str, messages: str) -> None:
    """The refusal names the field that is missing."""
    with pytest.raises(UndecodableSession, match=f"has no '{key}'"):
        decode_session(session(messages))


WRONG: list[tuple[str, bytes]] = [
    *(("version", session(version=text)) for text in ("null", "-1", "4294967296", "1.0", "1e0", "-0", "true", '"1"')),
    *(("id", session(id=text)) for text in ("null", "1", "[]")),
    *(("messages", session(text)) for text in ("null", "{}", '""', "[null]", "[[]]", '["user"]')),
    *(("created_at", session(created_at=text)) for text in ("null", "1", "[1,2]", '"2026-01-01T00:00:00Z"')),
    *(("metadata", session(metadata=text)) for text in ("null", "[]", "1")),
    *(("usage", session(usage=text)) for text in ("null", "{}", '{"input_tokens":1}', "[1,2]")),
    *(
        ("usage", session(usage=f'{{"input_tokens":{text},"output_tokens":1}}'))
        for text in ("null", "-1", "18446744073709551616", "1.0", "-0", "false")
    ),
    *(
        ("usage", session(usage=f'{{"input_tokens":1,"output_tokens":1,"cache_read_tokens":{text}}}'))
        for text in ("-1", "18446744073709551616", "1.0", '""')
    ),
    *(("role", session(f'[{{"role":{text},"content":""}}]')) for text in ('"User"', '"developer"', "null", '["user"]', '""')),
    *(("content", session(f'[{{"role":"system","content":{text}}}]')) for text in ("null", "1", '[{"type":"text","text":""}]')),
    *(("content", session(user(text))) for text in ("null", "1", "{}", '{"type":"text","text":""}', "[null]", '["a"]', "[[]]")),
    *(("type", session(user(f'[{{"type":{text},"text":""}}]'))) for text in ('"audio"', "null", '"Text"')),
    *(("text", session(user(f'[{{"type":"text","text":{text}}}]'))) for text in ("null", "1")),
    *(
        ("source", session(user(f'[{{"type":"image","media_type":"m","source":{text},"data":"","blob_id":""}}]')))
        for text in ('"url"', "null", "[]")
    ),
    ("source", session(user('[{"type":"video","media_type":"m","duration_ms":1,"source":"blob","data":"","blob_id":""}]'))),
    *(
        (
            "duration_ms",
            session(user(f'[{{"type":"video","media_type":"m","duration_ms":{text},"source":"inline","data":""}}]')),
        )
        for text in ("-1", "1.5", "null", "18446744073709551616")
    ),
    *(("kind", session(f'[{{"role":"system_notice","kind":{text},"body":""}}]')) for text in ('"bg_job"', "null", '"Generic"')),
    *(("render_metadata", session(user('""', f',"render_metadata":{text}'))) for text in ("[]", '"flow_step"', "false")),
    *(("class", session(user('""', f',"render_metadata":{{"class":{text}}}'))) for text in ('"other"', "null", "1")),
    *(
        ("salience", session(user('""', f',"render_metadata":{{"class":"flow_step","salience":{text}}}')))
        for text in ('"low"', "null", "1")
    ),
    *(("tool_calls", session(legacy(f'{SPOKEN},"tool_calls":{text}'))) for text in ("null", "{}", "[1]")),
    *(
        ("stop_reason", session(f'[{{"role":"block_assistant","blocks":[],"stop_reason":{text}}}]'))
        for text in ('"end"', "null")
    ),
    *(
        ("blocks", session(f'[{{"role":"block_assistant","blocks":{text},"stop_reason":"end_turn"}}]'))
        for text in ("{}", "null")
    ),
    *(("block_type", session(assistant(f'{{"block_type":{text},"data":{{"text":""}}}}'))) for text in ('"image"', "null")),
    *(("data", session(assistant(f'{{"block_type":"text","data":{text}}}'))) for text in ("null", "[]", '""')),
    *(("text", session(assistant(f'{{"block_type":"reasoning","data":{{"text":{text}}}}}'))) for text in ("null", "1")),
    *(
        ("meta", session(assistant(f'{{"block_type":"text","data":{{"text":"","meta":{text}}}}}')))
        for text in ("[]", '"gemini"')
    ),
    ("provider", session(assistant('{"block_type":"text","data":{"text":"","meta":{"provider":"other"}}}'))),
    *(("results", session(f'[{{"role":"tool_results","results":{text}}}]')) for text in ("null", "{}", "[1]")),
    *(
        ("is_error", session(results(f'{{"tool_use_id":"","content":"","is_error":{text}}}')))
        for text in ("null", "0", '"false"', "[]")
    ),
]


@pytest.mark.parametrize(("key", "snapshot"), WRONG)
def test_runtime_20_a_field_has_one_type(key: str, snapshot: bytes) -> None:
    """Null stands for a missing field only where the tables say so, no word is new, and the refusal tells the field."""
    with pytest.raises(UndecodableSession, match=key):
        decode_session(snapshot)


def test_runtime_20_the_refusal_tells_where() -> None:
    """The path leads to what was wrong."""
    with pytest.raises(
        UndecodableSession, match=r"^the session\.messages\[1\]\.results\[0\]\.is_error is neither true nor false$"
    ):
        decode_session(
            session(f'[{USER},{{"role":"tool_results","results":[{{"tool_use_id":"","content":"","is_error":0}}]}}]')
        )
    with pytest.raises(UndecodableSession, match=r"^the session has no 'id'$"):
        decode_session(session(id=None))
