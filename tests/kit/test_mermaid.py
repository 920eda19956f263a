"""The sequence diagram of a counterexample: exactly what Mermaid understands."""

from __future__ import annotations

import re

import pytest
from fencepost.kit.showing.mermaid import escaped, mermaid
from kinds import KINDS, found

TAKEOVER = """\
sequenceDiagram
    participant a1 as a/1
    participant a2 as b/1
    participant store
    a1->>store: try_claim_session_execution_lease(#34;s#34;, a/1, 10)
    store-->>a1: Acquired#58; fencing token 1, expires at 1010
    Note over a1,store: 1010 ms#58; lease of a/1 expires
    rect rgba(207, 34, 46, 0.14)
    a2->>store: try_claim_session_execution_lease(#34;s#34;, b/1, 10)
    store-->>a2: Busy#58; a/1 holds fencing token 1 until 1010
    Note over a1,store: LEASE-6#58; A lease whose expiry equals the present instant has<br/>expired#59; one millisecond \
earlier it is live.
    Note over a1,store: expected#58; Acquired#58; fencing token 2, expires at 1020
    end
"""

TEXT = r"(?:[\w .,/'()=…·-]|#\d+;)+"
LINE = re.compile(
    rf"participant (?:store|a\d+ as {TEXT})|(?:a\d+->>store|store(?:-->>|--x)a\d+): {TEXT}"
    rf"|Note over (?:a\d+,)?store: {TEXT}(?:<br/>{TEXT})*|rect rgba\(207, 34, 46, 0\.14\)|end"
)
"""The lines that are written, of which each was seen to be drawn by Mermaid 11."""


def test_a_diagram_has_the_actors_the_clock_and_the_wrong_answer() -> None:
    """Actors and the store take part, notes tell the clock, a frame is around what was answered wrongly."""
    assert mermaid(found("takeover")) == TAKEOVER


@pytest.mark.parametrize("kind", KINDS)
def test_every_line_is_one_that_mermaid_draws(kind: str) -> None:
    """Nothing that means something to Mermaid stands in a text, and every actor that speaks was introduced."""
    head, *lines = mermaid(found(kind)).splitlines()
    assert head == "sequenceDiagram"
    for line in lines:
        assert LINE.fullmatch(line.strip()), line
    speaking = {short for line in lines for short in re.findall(r"\ba\d+\b(?=->>|:|,store:)", line)}
    assert speaking <= set(re.findall(r"participant (a\d+)", "\n".join(lines)))


def test_a_refusal_ends_in_a_cross_and_moves_are_notes() -> None:
    """So that they are told from answers."""
    assert "store--xa2: refused with OutputNotFound(message='gone')" in mermaid(found("output"))
    assert "    Note over store: the store is closed and opened again\n" in mermaid(found("reopened"))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a;b#c", "a#59;b#35;c"),
        ("the end", "the #101;nd"),
        ("End of it", "#101;nd of it"),
        ("ending", "ending"),
        ("<b>\n%%", "#60;b#62;#10;#37;#37;"),
        ("", "#8203;"),
        ("a->>b: c", "a-#62;#62;b#58; c"),
    ],
)
def test_what_means_something_to_mermaid_is_written_by_its_code(text: str, code: str) -> None:
    """Ends of statements, comments, arrows, markup, line breaks, and the keyword that closes a block."""
    assert escaped(text) == code
