"""The digest of a conversation: which bytes are hashed, whatever the bytes of the snapshot were."""

from __future__ import annotations

from uuid import UUID

import pytest
from fencepost.spec import conversation_digest
from spec_sessions import ID, decoded, hashed, tool_use

HELLO = '[{"role":"user","content":"hello"}]'
SYSTEM = '[{"role":"system","content":"be brief"},{"role":"user","content":"hello"}]'
TWO_BLOCKS = '[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]'
RENDERED = '[{"role":"user","content":"hello","render_metadata":{"class":"user_prompt","salience":"normal"}}]'
IMAGE = '[{"role":"user","content":[{"type":"image","media_type":"image/png","source":"blob","blob_id":"b1"}]}]'
NOTICE = '[{"role":"system_notice","kind":"mcp_pending","body":"x"}]'
ASSISTANT = (
    '[{"role":"assistant","content":"hi","tool_calls":[],"stop_reason":"end_turn","usage":'
    '{"input_tokens":1,"output_tokens":2,"cache_creation_tokens":null,"cache_read_tokens":null}}]'
)
TOOLS = (
    '[{"role":"block_assistant","blocks":[{"block_type":"text","data":{"text":"ok"}},{"block_type":"tool_use","data":'
    '{"id":"t1","name":"grep","args":{"a":1,"b":[true,null,0.5]}}}],"stop_reason":"tool_use"},'
    '{"role":"tool_results","results":[{"tool_use_id":"t1","content":"done","is_error":false}]}]'
)

VECTORS: list[tuple[str, int, str]] = [
    ("[]", 0, "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"),
    (HELLO, 1, "e920b204bce6401c9e1a506f434853899fabada37ae5ad9033d8937eda0ba853"),
    (SYSTEM, 2, "24f3c25a837f87fd0be4684ec977a2a6b912a1b9ecfc091a348d665ff2ab3940"),
    (TWO_BLOCKS, 1, "38c8b6fe3cda0961d21b6b08107756bb1435fbb1efa5ffda3556893489416270"),
    (RENDERED, 1, "17b883b2634cb5d8b802a1af96d54b94dfd03ed7a8c0dac83f956ff3fd65331e"),
    (IMAGE, 1, "61ac858d2cf6ab2eb6f537566e4fcfe90ac7a333b4178dea533fa4d9265dd738"),
    (NOTICE, 1, "a207ba16206337bb062d348cdbffeada08ca9791c636a74846995cfb486a1195"),
    (ASSISTANT, 1, "2bd32194c964abb10e6a258b47a530415d285b372a72358f86b3789afe2c3f48"),
    (TOOLS, 2, "d873712b1fda3260a9fdd2084af9f5ff5f6c5c24377f22ffeefe2713ff20e19e"),
]
"""The published vectors: canonical bytes of the messages, how many they are, and the digest."""


@pytest.mark.parametrize(("messages", "count", "digest"), VECTORS)
def test_runtime_64_the_published_vectors(messages: str, count: int, digest: str) -> None:
    """Canonical messages are hashed as they are, and the session's id and count of messages are told."""
    assert hashed(messages) == digest
    assert decoded(messages) == (UUID(ID), count, digest)


def test_runtime_64_the_digest_is_of_the_list_alone() -> None:
    """Decoded messages have the digest without a session around them."""
    assert conversation_digest([]) == VECTORS[0][2]
    assert conversation_digest([{"role": "user", "content": "hello"}]) == VECTORS[1][2]
    assert conversation_digest([{"content": "hello", "role": "user"}]) != VECTORS[1][2]


CAROUSEL = '[{"type":"text","text":"hello"}]'
SAME: list[tuple[str, str]] = [
    (' [ {\n"role" :\t"user",\r"content": "hello" } ] ', HELLO),
    ('[{"content":"hello","role":"user"}]', HELLO),
    (f'[{{"role":"user","content":{CAROUSEL}}}]', HELLO),
    ('[{"role":"user","content":[{"text":"hello","type":"text","source":1,"source":2}]}]', HELLO),
    ('[{"role":"user","content":"hello","render_metadata":null}]', HELLO),
    ('[{"role":"user","content":"hello","new":1,"new":[2]}]', HELLO),
    ('[{"role":"user","content":"hello","kind":"of an other message"}]', HELLO),
    (r'[{"r\u006fle":"us\u0065r","content":"h\u0065llo"}]', HELLO),
    ('[{"role":"user","content":"hello","render_metadata":{"class":"user_prompt"}}]', RENDERED),
    ('[{"role":"user","content":"hello","render_metadata":{"new":0,"salience":"normal","class":"user_prompt"}}]', RENDERED),
    (
        '[{"role":"user","content":[{"blob_id":"b1","data":7,"source":"blob","media_type":"image/png","type":"image"}]}]',
        IMAGE,
    ),
    ('[{"role":"system_notice","body":"x","kind":"mcp_pending","render_metadata":0}]', NOTICE),
    (
        '[{"role":"assistant","content":"hi","stop_reason":"end_turn","usage":{"output_tokens":2,"input_tokens":1}}]',
        ASSISTANT,
    ),
    (
        '[{"role":"assistant","usage":{"cache_read_tokens":null,"cache_new":1,"output_tokens":2,"input_tokens":1},'
        '"tool_calls":[],"stop_reason":"end_turn","content":"hi"}]',
        ASSISTANT,
    ),
    (
        '[{"role":"block_assistant","stop_reason":"tool_use","blocks":[{"data":{"text":"ok","meta":null,"new":1},'
        '"block_type":"text","new":1},{"block_type":"tool_use","data":{"args":{"b":[true,null,5e-1],"a":2,"a":1},'
        '"name":"grep","meta":null,"id":"t1"}}]},{"results":[{"content":[{"type":"text","text":"done"}],"new":1,'
        '"tool_use_id":"t1"}],"role":"tool_results"}]',
        TOOLS,
    ),
]


@pytest.mark.parametrize(("messages", "canonical"), SAME)
def test_runtime_65_what_decodes_alike_has_one_digest(messages: str, canonical: str) -> None:
    """White space, order and unknown fields vanish, defaults appear, escapes and single blocks of text become plain."""
    assert decoded(messages).conversation_digest == hashed(canonical)


@pytest.mark.parametrize(
    "changes",
    [
        {"version": "4294967295"},
        {"id": '"00000000-0000-4000-8000-0000000000fe"'},
        {"created_at": '{"secs_since_epoch":0,"nanos_since_epoch":0}'},
        {"updated_at": '{"nanos_since_epoch":9,"secs_since_epoch":0}'},
        {"metadata": '{"b":[1],"a":{"messages":[]},"b":2}'},
        {"usage": '{"input_tokens":1,"output_tokens":18446744073709551615,"cache_read_tokens":3,"cache_creation_tokens":null}'},
        {"new": '{"role":"user"}'},
    ],
)
def test_runtime_66_only_the_messages_are_hashed(changes: dict[str, str | None]) -> None:
    """Version, id, times, metadata, usage and unknown fields of a session change no digest and no count."""
    assert decoded(HELLO, **changes)[1:] == decoded(HELLO)[1:] == (1, VECTORS[1][2])


CANONICAL: list[str] = [
    '[{"role":"system","content":""}]',
    *(
        f'[{{"role":"system_notice","kind":"{kind}","body":""}}]'
        for kind in ("generic", "mcp_pending", "background_job", "tool_scope", "tool_scope_warning")
    ),
    *(
        f'[{{"role":"block_assistant","blocks":[],"stop_reason":"{reason}"}}]'
        for reason in ("end_turn", "tool_use", "max_tokens", "stop_sequence", "content_filter", "cancelled")
    ),
    *(
        f'[{{"role":"user","content":"","render_metadata":{{"class":"{each}","salience":"normal"}}}}]'
        for each in (
            *("user_prompt", "peer_message", "peer_request", "peer_response", "external_event"),
            *("flow_step", "continuation", "system_notice", "tool_scope_notice", "ops_progress"),
        )
    ),
    *(
        f'[{{"role":"user","content":"","render_metadata":{{"class":"flow_step","salience":"{salience}"}}}}]'
        for salience in ("background", "normal", "important", "urgent")
    ),
    '[{"role":"user","content":[]}]',
    '[{"role":"user","content":[{"type":"image","media_type":"","source":"inline","data":"AA=="}]}]',
    '[{"role":"user","content":[{"type":"video","media_type":"v","duration_ms":18446744073709551615,'
    '"source":"inline","data":""}]}]',
    '[{"role":"tool_results","results":[]}]',
    '[{"role":"tool_results","results":[{"tool_use_id":"","content":[],"is_error":true}]}]',
    '[{"role":"assistant","content":"","tool_calls":[{"id":"a","name":"b","args":null},{"id":"a","name":"b","args":[{}]}],'
    '"stop_reason":"cancelled","usage":{"input_tokens":0,"output_tokens":0,"cache_creation_tokens":0,"cache_read_tokens":7}}]',
    *(
        f'[{{"role":"block_assistant","blocks":[{block}],"stop_reason":"end_turn"}}]'
        for block in (
            '{"block_type":"text","data":{"text":"","meta":{"provider":"anthropic","signature":"s"}}}',
            '{"block_type":"reasoning","data":{"text":"","meta":{"provider":"anthropic_redacted","data":"d"}}}',
            '{"block_type":"reasoning","data":{"text":"t","meta":{"provider":"anthropic_compaction","content":"c"}}}',
            '{"block_type":"reasoning","data":{"text":"","meta":{"provider":"gemini","thoughtSignature":"s"}}}',
            '{"block_type":"tool_use","data":{"id":"","name":"","args":1,"meta":{"provider":"open_ai","id":"i"}}}',
            '{"block_type":"text","data":{"text":"","meta":{"provider":"open_ai","id":"i","encrypted_content":"e"}}}',
        )
    ),
]


@pytest.mark.parametrize("messages", CANONICAL)
def test_runtime_64_every_kind_of_message_in_its_canonical_form(messages: str) -> None:
    """Each message, block and word of the tables is hashed as it stands when it stands in canonical form."""
    assert decoded(messages).conversation_digest == hashed(messages)


@pytest.mark.parametrize(
    ("block", "canonical"),
    [
        ('{"block_type":"reasoning","data":{}}', '{"block_type":"reasoning","data":{"text":""}}'),
        (
            '{"data":{"meta":{"encrypted_content":null,"id":"i","provider":"open_ai"},"text":"t"},"block_type":"text"}',
            '{"block_type":"text","data":{"text":"t","meta":{"provider":"open_ai","id":"i"}}}',
        ),
        (
            '{"block_type":"text","data":{"meta":{"thoughtSignature":"s","signature":"x","provider":"gemini"},"text":""}}',
            '{"block_type":"text","data":{"text":"","meta":{"provider":"gemini","thoughtSignature":"s"}}}',
        ),
    ],
)
def test_runtime_65_blocks_of_an_assistant_are_encoded_anew(block: str, canonical: str) -> None:
    """A missing text is empty where it may be missing, null is left out, and the provider stands first."""
    around = '[{{"role":"block_assistant","blocks":[{}],"stop_reason":"end_turn"}}]'
    assert decoded(around.format(block)).conversation_digest == hashed(around.format(canonical))


@pytest.mark.parametrize(
    ("content", "canonical"),
    [
        ('"a"', '"a"'),
        ('""', '""'),
        ("[]", "[]"),
        ('[{"type":"text","text":""}]', '""'),
        ('[{"text":"a","type":"text"}]', '"a"'),
        ('[{"type":"text","text":"a"},{"type":"text","text":""}]', '[{"type":"text","text":"a"},{"type":"text","text":""}]'),
        (
            '[{"data":"d","source":"inline","media_type":"m","type":"image"}]',
            '[{"type":"image","media_type":"m","source":"inline","data":"d"}]',
        ),
        (
            '[{"type":"image","media_type":"m","source":"inline","data":"d","blob_id":null},{"type":"text","text":"a","x":1}]',
            '[{"type":"image","media_type":"m","source":"inline","data":"d"},{"type":"text","text":"a"}]',
        ),
        (
            '[{"type":"video","data":"d","source":"inline","duration_ms":0,"media_type":"m"}]',
            '[{"type":"video","media_type":"m","duration_ms":0,"source":"inline","data":"d"}]',
        ),
    ],
)
def test_runtime_65_content_is_a_text_only_if_it_is_one_block_of_text(content: str, canonical: str) -> None:
    """One block of text is that text, in messages of users and in results alike; everything else is a list of blocks."""
    for around in (
        '[{{"role":"user","content":{}}}]',
        '[{{"role":"tool_results","results":[{{"tool_use_id":"t","content":{},"is_error":false}}]}}]',
    ):
        assert decoded(around.format(content)).conversation_digest == hashed(around.format(canonical))


NUMBERS = [
    ("0", "0"),
    ("-1", "-1"),
    ("9223372036854775808", "9223372036854775808"),
    ("18446744073709551615", "18446744073709551615"),
    ("18446744073709551616", "1.8446744073709552e+19"),
    ("-9223372036854775808", "-9223372036854775808"),
    ("-9223372036854775809", "-9.223372036854776e+18"),
    ("1" + "0" * 300, "1e+300"),
    ("-1" + "0" * 20, "-1e+20"),
    ("-0", "-0.0"),
    ("-0.0", "-0.0"),
    ("0.0", "0.0"),
    ("0e5", "0.0"),
    ("1e-999", "0.0"),
    ("1.0", "1.0"),
    ("1.50", "1.5"),
    ("1e0", "1.0"),
    ("1E2", "100.0"),
    ("-12.5e1", "-125.0"),
    ("0.5", "0.5"),
    ("0.001", "0.001"),
    ("0.00001", "0.00001"),
    ("1e-5", "0.00001"),
    ("1.25e-5", "0.0000125"),
    ("0.000001", "1e-6"),
    ("-1e-6", "-1e-6"),
    ("1.5e-7", "1.5e-7"),
    ("1e-10", "1e-10"),
    ("5e-324", "5e-324"),
    ("1e15", "1000000000000000.0"),
    ("1.5e15", "1500000000000000.0"),
    ("2251799813685249.5", "2251799813685249.5"),
    ("9007199254740993.0", "9007199254740992.0"),
    ("1e16", "1e+16"),
    ("1e+16", "1e+16"),
    ("12300000000000000.0", "1.23e+16"),
    ("1e100", "1e+100"),
    ("1.7976931348623157e308", "1.7976931348623157e+308"),
]


@pytest.mark.parametrize(("given", "canonical"), NUMBERS)
def test_runtime_64_numbers_in_free_form_json(given: str, canonical: str) -> None:
    """Integers of 64 bits stay; others, and what has a fraction or an exponent, are doubles in their shortest digits."""
    assert decoded(tool_use(given)).conversation_digest == hashed(tool_use(canonical))
    assert decoded(tool_use(f"[{given}]")).conversation_digest == hashed(tool_use(f"[{canonical}]"))


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        ('{"b":1,"a":2}', '{"a":2,"b":1}'),
        ('{"a":1,"b":2,"a":{"x":1}}', '{"a":{"x":1},"b":2}'),
        ('{"a":1,"a":2,"a":3}', '{"a":3}'),
        ('[{"z":{"d":1,"c":2}},{}]', '[{"z":{"c":2,"d":1}},{}]'),
        ('{"a1":0,"a":0,"A":0,"":0,"10":0,"9":0}', '{"":0,"10":0,"9":0,"A":0,"a":0,"a1":0}'),
        ('{"😀":1,"\ue000":2,"é":3,"z":4}', '{"z":4,"é":3,"\ue000":2,"😀":1}'),
        (r'{"\u0061":1,"a":2}', '{"a":2}'),
    ],
)
def test_runtime_64_keys_of_free_form_json_are_in_order(given: str, canonical: str) -> None:
    """They stand in the order of their code points, at every depth, and of equal ones the last counts."""
    assert decoded(tool_use(given)).conversation_digest == hashed(tool_use(canonical))


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        (r'"\u0022\u005c\u002f\/"', r'"\"\\//"'),
        (r'"\u0008\u0009\u000a\u000c\u000d"', r'"\b\t\n\f\r"'),
        (r'"\u0000\u000B\u001F\u001b"', r'"\u0000\u000b\u001f\u001b"'),
        (r'"\u007f\u0080\u00e9\u2028\u2029\ufeff"', '"\x7f\x80é\u2028\u2029\ufeff"'),
        (r'"\ud83d\ude00"', '"😀"'),
        ('"😀é"', '"😀é"'),
        ('"e\u0301"', '"e\u0301"'),
    ],
)
def test_runtime_64_texts_are_escaped_as_little_as_can_be(given: str, canonical: str) -> None:
    """Only quotes, backslashes and what is below U+0020 are escaped; everything else is itself, in values and keys."""
    for around in ("{}", '{{"k":{}}}', "{{{}:1}}"):
        messages = tool_use(around.format(given))
        assert decoded(messages).conversation_digest == hashed(tool_use(around.format(canonical)))
    messages = f'[{{"role":"system","content":{given}}}]'
    assert decoded(messages).conversation_digest == hashed(f'[{{"role":"system","content":{canonical}}}]')


def rendered(content: str, kind: str) -> str:
    """An older message of a user, with the class that it is rendered in."""
    return f'[{{"role":"user","content":{content},"render_metadata":{{"class":"{kind}","salience":"normal"}}}}]'


LEGACY = [
    ("[SYSTEM NOTICE]", "system_notice", "generic"),
    ("[SYSTEM NOTICE][MCP_PENDING]", "system_notice", "mcp_pending"),
    ("[SYSTEM NOTICE][BG_JOB]", "ops_progress", "background_job"),
    ("[SYSTEM NOTICE][TOOL_SCOPE]", "tool_scope_notice", "tool_scope"),
    ("[SYSTEM NOTICE][TOOL_SCOPE][WARNING]", "tool_scope_notice", "tool_scope_warning"),
]


@pytest.mark.parametrize(("prefix", "rendering", "kind"), LEGACY)
def test_runtime_65_an_older_notice_becomes_a_notice(prefix: str, rendering: str, kind: str) -> None:
    """A user's message with one of five prefixes and the class that belongs to it is a notice; the rest is its body."""
    for body in ("x", "", " x ", "[BG_JOB] x", "[SYSTEM NOTICE] x"):
        notice = f'[{{"role":"system_notice","kind":"{kind}","body":"{body}"}}]'
        for content in (f'"{prefix} {body}"', f'[{{"type":"text","text":"{prefix} {body}"}}]'):
            assert decoded(rendered(content, rendering)).conversation_digest == hashed(notice)


@pytest.mark.parametrize(("prefix", "rendering", "kind"), LEGACY)
def test_runtime_65_a_notice_of_another_class_stays_a_message(prefix: str, rendering: str, kind: str) -> None:
    """Under every class but its own, and without one, the message is left as it is."""
    text = f'"{prefix} x"'
    for other in {"system_notice", "ops_progress", "tool_scope_notice", "user_prompt", "external_event"} - {rendering}:
        assert decoded(rendered(text, other)).conversation_digest == hashed(rendered(text, other))
    plain = f'[{{"role":"user","content":{text}}}]'
    assert decoded(plain).conversation_digest == hashed(plain)
    assert decoded(f'[{{"role":"user","content":{text},"render_metadata":null}}]').conversation_digest == hashed(plain)


@pytest.mark.parametrize(
    "text",
    [
        *("[SYSTEM NOTICE]", "[SYSTEM NOTICE]x", " [SYSTEM NOTICE] x", "[system notice] x", "[SYSTEM NOTICE]\\tx", ""),
        *("x [SYSTEM NOTICE] x", "[SYSTEM NOTICE][OTHER] x", "[SYSTEM NOTICE][MCP_PENDING]x", "[MCP_PENDING] x"),
    ],
)
def test_runtime_65_what_does_not_begin_with_the_prefix_stays_a_message(text: str) -> None:
    """The prefix is the beginning, in capitals, and one space follows it."""
    messages = rendered(f'"{text}"', "system_notice")
    assert decoded(messages).conversation_digest == hashed(messages)


PICTURE = '{"type":"image","media_type":"image/png","source":"blob","blob_id":"b"}'
FILM = '{"type":"video","media_type":"video/mp4","duration_ms":1,"source":"inline","data":""}'


@pytest.mark.parametrize(
    ("blocks", "body"),
    [
        (("[SYSTEM NOTICE] a", "b"), "a\\nb"),
        (("", "[SYSTEM NOTICE] a", "", "", "b", ""), "a\\nb"),
        (("[SYSTEM NOTICE] ", "b"), "\\nb"),
        (("[SYSTEM NOTICE] a", PICTURE, "b"), "a\\n[image: image/png]\\nb"),
        (("[SYSTEM NOTICE] a", FILM, PICTURE), "a\\n[video: video/mp4]\\n[image: image/png]"),
    ],
)
def test_runtime_65_blocks_are_joined_to_find_a_notice(blocks: tuple[str, ...], body: str) -> None:
    """Texts that are not empty are lines of their own, and media are shown by their type."""
    content = ",".join(each if each in (PICTURE, FILM) else f'{{"type":"text","text":"{each}"}}' for each in blocks)
    notice = f'[{{"role":"system_notice","kind":"generic","body":"{body}"}}]'
    assert decoded(rendered(f"[{content}]", "system_notice")).conversation_digest == hashed(notice)


def test_runtime_65_media_first_are_no_notice() -> None:
    """The prefix has to begin the joined text."""
    messages = rendered(f'[{PICTURE},{{"type":"text","text":"[SYSTEM NOTICE] a"}}]', "system_notice")
    assert decoded(messages).conversation_digest == hashed(messages)
