"""The page of a counterexample: what it says, that it stands alone, and how large it may become."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from caller import A, B, Caller
from faulty import Bent
from fencepost.kit.result import Request
from fencepost.kit.showing.counterexample import counterexample
from fencepost.kit.showing.counterexample_html import counterexample_page
from fencepost.kit.showing.lanes import actors, bars
from fencepost.kit.showing.mermaid import mermaid
from fencepost.kit.showing.moments import moments
from fencepost.kit.showing.rows import NAMES, rows_of_answer, rows_of_state
from fencepost.kit.showing.telling import in_words
from fencepost.kit.showing.trace import trace_of
from fencepost.model import Refused, State
from fencepost.spec import Acquired, LeaseOwnerIdentity, LocalProcess, SessionExecutionLeaseExpired
from fencepost.statemachines.checker import Violation
from kinds import KINDS, found, request

REBORN = LeaseOwnerIdentity("a", "2", LocalProcess("host", "boot", 20, "tick"))


def page(kind: str) -> str:
    """The page of a counterexample, without the places in which a long name may be broken."""
    return counterexample_page(found(kind), request(kind)).replace("<wbr>", "")


def test_a_long_name_is_broken_between_its_words() -> None:
    """A field's name has its places behind dots and underscores."""
    assert "<td>lease.<wbr>owner.<wbr>incarnation_<wbr>id</td>" in counterexample_page(found("takeover"), request("takeover"))


class Reading(HTMLParser):
    """The texts of a page, what it loads, and whether every tag is closed."""

    VOID = frozenset({"meta", "rect", "line", "circle", "br", "wbr"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what it is, where it leads, and what it loads."""
        facts = dict(attrs)
        if tag not in self.VOID:
            self.open.append(tag)
        self.ids.add(facts.get("id") or "")
        self.links.append(facts.get("href") or "")
        self.loaded += [tag] * (tag in ("script", "link", "img", "iframe") or "src" in facts)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Nothing to close."""
        assert tag in self.VOID

    def handle_endtag(self, tag: str) -> None:
        """Tags close in the order in which they were opened."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Note the text."""
        self.texts.append(data)

    @property
    def text(self) -> str:
        """All text, with single blanks."""
        return re.sub(r"\s+", " ", "".join(self.texts))


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_stands_alone(kind: str) -> None:
    """It loads nothing, every tag is closed, every link leads to something on it or to a file beside it."""
    read = Reading(page(kind))
    assert (read.loaded, read.open) == ([], [])
    assert not re.search(r"https?://|url\(|@import", page(kind))
    chapter = KINDS[kind].chapter
    beside = {f"{chapter}_counterexample.py", f"{chapter}.jsonl", f"{chapter}.mmd"}
    assert {each for each in read.links if each} - beside <= {f"#{each}" for each in read.ids}
    assert beside < set(read.links)


def test_a_page_says_what_was_violated_and_why() -> None:
    """The id, the level and the sentence; in plain words who held which token when, and why the call had to be refused."""
    text = Reading(page("commit")).text
    assert "COMMIT-8a violated LAW Every commit that is not a replay, the first of a session included, needs" in text
    told = (
        'a/1 called commit_runtime_state at 1010 ms. At 1010 ms session "s" was held by b/1 with fencing token 2, from 1010 '
        "until 1020; the call showed fencing token 1 of a/1, granted at 1000. By COMMIT-8a the call had to be refused with "
        "SessionExecutionLeaseExpired(session_id='s'); the store let it through and answered: committed: head revision 1."
    )
    assert in_words(found("commit")) == told
    assert told in text


@pytest.mark.parametrize(
    ("kind", "end"),
    [
        ("takeover", "By LEASE-6 the answer had to be: Acquired: fencing token 2, expires at 1020; the store answered: Busy: "),
        ("inputs", 'By GEN-17 claim_id had to be a value that was never given before; the store answered "claim".'),
        ("output", "; it refused with OutputNotFound(message='gone') instead."),
        (
            "crash",
            "By VALUE-6 the call had to be answered or refused; the store raised OverflowError: int too large to convert "
            "(faulty.py, line 148).",
        ),
    ],
)
def test_every_kind_of_wrong_answer_has_its_words(kind: str, end: str) -> None:
    """An answer of another kind, in a field, a refusal, and what is neither."""
    assert end in in_words(found(kind))


def test_the_answers_stand_side_by_side_with_the_field_that_differs_marked() -> None:
    """Fields that do not differ are folded away; where a fresh value was due no value is made up."""
    expected, given = re.findall(r'<div class="answer \w+">(.*?)</div>', page("inputs"), re.DOTALL)
    marked = r'<tr class="differs"><td>(.*?)</td><td>(.*?)</td>'
    assert re.findall(marked, expected) == [("claim_id", "a value that was never given before")]
    assert re.findall(marked, given) == [("claim_id", "&quot;claim&quot;")]
    assert "fields that do not differ</summary>" in expected


def test_every_step_has_its_call_its_answer_and_what_changed() -> None:
    """The state before and after, the moves between, and what decided."""
    steps = re.split(r'<li id="step-\d+"', page("takeover"))[1:]
    assert len(steps) == 2
    assert 'lease[s].expires_at</td><td><span class="none">&ndash;</span></td><td>1010<' in steps[0]
    assert "the clock moves from 1000 to 1010 ms: lease of a/1 expired at 1010" in steps[0]
    text = Reading(f"<li{steps[1].partition('</ol>')[0]}").text
    assert "Busy: a/1 holds fencing token 1 until 1010expected: Acquired: fencing token 2, expires at 1020" in text
    assert "lease[s].fencing_token12" in text
    assert 'href="#LEASE-6"' in steps[1]


def test_the_model_is_followed_through_moves_and_refusals() -> None:
    """States before and after each call, from the answers that were given; last the one that was due."""
    known = list(moments(found("commit").script))
    tokens = [rows_of_state(moment.after).get("lease[s].fencing_token") for moment in known]
    assert tokens == ["1", "2", "2"]
    assert [moment.before for moment in known[1:]] == [moment.after for moment in known[:-1]]
    assert known[0].because[0] == "LEASE-3"
    assert rows_of_state(known[0].before) == {}


def test_bars_tell_who_held_what_from_when_until_when() -> None:
    """A lease until it expires; a claim until what it held was taken over; each in the lane of its owner."""
    performed = found("settled").performed
    calls = [each.call.operation for each in performed]
    assert calls[-1] == "commit_runtime_state"
    known = [(bar.what, bar.lane, bar.label, bar.until, bar.how) for bar in bars(performed)]
    assert known == [
        ("lease", "a/1", "fence 1 · s", 1010, ""),
        ("claim", "a/1", "claim-1: input-1", 1005, "taken over by b/1 at 1005"),
        ("claim", "b/1", "claim-2: input-1", 1015, ""),
    ]
    assert actors(performed) == ["a/1", "b/1", "caller"]


def test_a_takeover_and_a_release_end_a_bar() -> None:
    """At the call that did it, not at the expiry; a renewal makes it longer."""

    caller = Caller("faulty:Bent")
    lease = caller.claims(A)
    caller("renew_session_execution_lease", lease.fence(), 20)
    caller("release_session_execution_lease", lease.completion())
    dead = caller.claims(A)
    caller("reclaim_session_execution_lease", "s", REBORN, dead.fence(), 7)
    known = [(bar.lane, bar.since, bar.ended, bar.until, bar.how) for bar in bars(caller.machine.checker.performed)]
    assert known == [
        ("a/1", 0, 2, 1020, "released at 1000"),
        ("a/1", 3, 4, 1010, "taken over at 1000"),
        ("a/2", 4, None, 1007, ""),
    ]


def test_what_is_shown_is_escaped() -> None:
    """Names with markup in them are text, on the page and in the drawing."""

    def calls(caller: Caller) -> None:
        caller.claims(LeaseOwnerIdentity("<u>&", "'\""))
        caller.waits_until(1_010)
        caller.claims(B)

    text = counterexample_page(Caller("faulty:LiveAtTheEdge").shown(calls), Request("faulty:<i>", ("lease",)))
    assert "<u>" not in text
    assert "<i>" not in text
    assert text.count("&lt;u&gt;&amp;/&#x27;&quot;") >= 5
    assert Reading(text).open == []


def test_a_page_of_fifty_steps_is_smaller_than_500_kb() -> None:
    """A counterexample that was not shrunk, of every kind of call."""
    caller = Caller("faulty:StaleHead", "commit", ("turn_input", "queued_work"))
    with pytest.raises(Violation) as caught:
        busy(caller)
    whole = counterexample(caller.factory, "commit", caught.value)
    assert len(whole.performed) >= 50
    text = counterexample_page(whole, Request("faulty:StaleHead", ("commit",)))
    assert Reading(text).open == []
    assert len(text.encode()) < 500_000


def busy(caller: Caller) -> None:
    """Seven turns of queueing, claiming and committing, then a commit on a head that is no longer there."""
    for number in range(7):
        lease = caller.claims(A)
        caller.submits(f"input {number}")
        caller.queues()
        inputs = caller.takes_inputs(lease, A)
        work = caller.takes_work(lease, A)
        done = {"completed_turn_input_claims": (inputs.completion(),), "completed_queue_claims": (work.completion(),)}
        caller.commits(lease, release_session_execution_lease=lease.completion(), **done)
        caller("list_queued_work", "s")
        caller.waits_until(caller.machine.now + 3)
    caller.commits(caller.claims(A), expected_head_revision=0)


def claiming(caller: Caller) -> None:
    """A lease."""
    caller.claims(A)


class Odd:
    """What no store should answer."""

    def __repr__(self) -> str:
        raise RuntimeError("not even that")


class AnswersOddly(Bent):
    """A claim of a lease is answered with something that cannot be shown."""

    def try_claim_session_execution_lease(self, *_: object) -> object:
        """Answer it."""
        return Odd()


def test_an_answer_that_cannot_be_shown_is_told_by_its_type() -> None:
    """The files of the counterexample are written all the same."""
    odd = Caller("test_counterexample_page:AnswersOddly").shown(claiming)
    asked = Request("test_counterexample_page:AnswersOddly", ("lease",))
    told = "the answer had to be: Acquired: fencing token 1, expires at 1010; the one that the store gave breaks the contract"
    assert told in Reading(counterexample_page(odd, asked)).text
    assert b'"crash": "ContractBroken: VALUE-11' in trace_of(odd, asked)
    assert "store--xa1: raised ContractBroken" in mermaid(odd)
    assert rows_of_answer(Odd()) == {"": "a Odd"}


def test_values_are_rows_by_their_paths() -> None:
    """A record's fields, a refusal's, a tuple's items, and a single value."""
    refusal = rows_of_answer(Refused(SessionExecutionLeaseExpired("s")))
    assert refusal == {"": "refused with SessionExecutionLeaseExpired", "session_id": '"s"'}
    lease = found("takeover").performed[0].answer
    assert isinstance(lease, Acquired)
    assert rows_of_answer(lease)["lease.fencing_token"] == "1"
    assert rows_of_answer(None) == {"": "None"}
    assert rows_of_answer((lease,))["[0].lease.owner.owner_id"] == '"a"'


def test_states_are_told_by_names_of_the_protocol() -> None:
    """Not by the fields of the model, all of whose names that are told are fields that it has."""
    assert "<td>lease[s].fencing_token</td>" in page("takeover")
    assert "lease.records" not in page("takeover")
    state = State()
    fields = {f"{chapter}.{name}" for chapter in state.__struct_fields__ for name in getattr(state, chapter).__struct_fields__}
    assert set(NAMES) <= fields
