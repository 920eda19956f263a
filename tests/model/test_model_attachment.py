"""The attachment chapter of the model: intents recorded once and again, stamps that stay, lists at their edge."""

from __future__ import annotations

import pytest
from fencepost.model import State
from fencepost.model.records.attachment import AttachmentRecord
from fencepost.spec import AttachmentIntent, AttachmentManifestEntry
from ingress_builders import with_manifest
from model_builders import ours

MINE = AttachmentRecord("s", "uri", 100, False)
STAMPED = AttachmentRecord("s", "uri", 100, True)
THEIRS = AttachmentRecord("s2", "uri", 100, False)


def entries(state: State) -> dict[str, AttachmentRecord[str, str]]:
    """The manifest by ids."""
    return dict(state.attachment.entries)


def recorded(state: State, attachment_id: str = "a", session: str = "s", uri: str = "uri", at: int = 100) -> State:
    """The state after an intent."""
    step = ours(state, "record_intent", AttachmentIntent(attachment_id, session, uri, at))
    assert step.answer is None
    return step.state


def test_att_1_an_unknown_attachment_is_added() -> None:
    """With what the intent says, and without a stamp; the empty id is an id."""
    assert entries(recorded(State())) == {"a": MINE}
    assert entries(recorded(with_manifest(a=MINE), "", "s2", "", 0)) == {"a": MINE, "": AttachmentRecord("s2", "", 0, False)}


@pytest.mark.parametrize(
    ("before", "session", "uri", "at", "after"),
    [
        (MINE, "s", "uri", 100, MINE),
        (MINE, "s", "new", 100, AttachmentRecord("s", "new", 100, False)),
        (MINE, "s", "uri", 101, AttachmentRecord("s", "uri", 101, False)),
        (MINE, "s", "new", 99, AttachmentRecord("s", "new", 100, False)),
        (MINE, "s", "uri", 2**64 - 1, AttachmentRecord("s", "uri", 18446744073709551615, False)),
        (MINE, "s2", "uri", 100, MINE),
        (MINE, "s2", "new", 101, AttachmentRecord("s", "new", 101, False)),
        (STAMPED, "s", "new", 101, AttachmentRecord("s", "new", 101, True)),
        (STAMPED, "s2", "new", 99, AttachmentRecord("s", "new", 100, True)),
    ],
)
def test_att_2_and_2a_recording_again(
    before: AttachmentRecord[str, str], session: str, uri: str, at: int, after: AttachmentRecord[str, str]
) -> None:
    """The newest uri, the latest time, the first session; and a stamp is never cleared."""
    assert entries(recorded(with_manifest(a=before), "a", session, uri, at)) == {"a": after}


@pytest.mark.parametrize(
    ("session", "ids", "stamped"),
    [
        ("s", (), ["done"]),
        ("s", ("mine",), ["done", "mine"]),
        ("s", ("mine", "mine", "nowhere", "theirs"), ["done", "mine"]),
        ("s2", ("mine", "theirs"), ["done", "theirs"]),
        ("s", ("done",), ["done"]),
        ("nobody", ("mine", "theirs", "done"), ["done"]),
    ],
)
def test_att_3_what_commit_refs_stamps(session: str, ids: tuple[str, ...], stamped: list[str]) -> None:
    """Attachments of that session among those named; what is unknown is passed over, and not remembered."""
    state = with_manifest(done=STAMPED, mine=MINE, theirs=THEIRS)
    step = ours(state, "commit_refs", session, ids)
    assert step.answer is None
    assert sorted(name for name, record in entries(step.state).items() if record.committed) == stamped
    assert not entries(recorded(step.state, "nowhere"))["nowhere"].committed
    if stamped == ["done"]:
        assert step.state is state


@pytest.mark.parametrize(
    ("until", "ids"),
    [
        (0, []),
        (99, []),
        (100, ["b", "z"]),
        (101, ["b", "z"]),
        (199, ["b", "z"]),
        (200, ["b", "z", "a"]),
        (2**63, ["b", "z", "a"]),
        (2**63 + 1, ["b", "z", "a", "huge"]),
        (2**64 - 1, ["b", "z", "a", "huge"]),
    ],
)
def test_att_4_5_and_9_what_is_listed(until: int, ids: list[str]) -> None:
    """What has no stamp and is of that instant or before, of all sessions, by time and then by id; time never wraps."""
    state = with_manifest(
        z=MINE,
        b=THEIRS,
        a=AttachmentRecord("s", "uri", 200, False),
        done=STAMPED,
        huge=AttachmentRecord("s", "uri", 2**63 + 1, False),
    )
    answer = ours(state, "list_uncommitted", until).answer
    assert isinstance(answer, tuple)
    assert [entry.attachment_id for entry in answer] == ids
    assert all(entry.committed_at_epoch_ms is None for entry in answer)


def test_att_4_what_an_entry_shows() -> None:
    """Id, session, uri and time as they were recorded, and no stamp."""
    answer = ours(with_manifest(a=AttachmentRecord("s2", "somewhere", 7, False)), "list_uncommitted", 7).answer
    assert answer == (AttachmentManifestEntry("a", "s2", "somewhere", 7, None),)


@pytest.mark.parametrize("record", [MINE, STAMPED, THEIRS])
def test_att_6_what_is_forgotten_is_gone(record: AttachmentRecord[str, str]) -> None:
    """Whoever's it is, stamped or not; it can be recorded afresh, earlier too, by another session, without a stamp."""
    state = ours(with_manifest(a=record, b=MINE), "forget", "a").state
    assert entries(state) == {"b": MINE}
    assert entries(recorded(state, "a", "s9", "uri", 1))["a"] == AttachmentRecord("s9", "uri", 1, False)
    again = ours(state, "forget", "a")
    assert again.answer is None
    assert again.state is state


def test_scenario_14_an_orphan_sweep_finds_the_old_and_uncommitted() -> None:
    """Two intents of 100, one committed, and one of 10,000: at 200 only the first is an orphan."""
    state = recorded(recorded(recorded(State(), "a"), "b"), "c", at=10_000)
    state = ours(state, "commit_refs", "s", ("b",)).state
    assert ours(state, "list_uncommitted", 200).answer == (AttachmentManifestEntry("a", "s", "uri", 100),)


def test_att_inv_2_a_later_instant_lists_all_that_an_earlier_one_lists() -> None:
    """Over a few instants each list holds the one before."""
    state = with_manifest(a=MINE, b=AttachmentRecord("s", "u", 150, False), c=STAMPED, d=AttachmentRecord("s2", "u", 0, False))
    before: frozenset[object] = frozenset()
    for until in (0, 99, 100, 149, 150, 151, 2**64 - 1):
        answer = ours(state, "list_uncommitted", until).answer
        assert isinstance(answer, tuple)
        assert before <= set(answer)
        before = frozenset(answer)
    assert len(before) == 3
