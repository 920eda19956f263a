"""What known backends of RuntimePersistence and TurnInputStore do differently, and where each of it is shown.

What the law forbids is planted and caught; what it leaves free, the model admits and names; what no sequential run can show has
a test of its own, of threads that meet or of damaged files.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from fencepost.gallery.bugs import BUGS
from fencepost.spec.catalogue import Level, requirements

TESTS = Path(__file__).parents[1]

FORBIDDEN: dict[str, tuple[str, ...]] = {
    "a completion passes by the number of its ids, whatever they are": (
        "right-count-of-wrong-batches",
        "right-count-of-wrong-inputs",
        "foreign-ids-passed-over",
    ),
    "a completion settles entries of another session than the commit's": (
        "session-of-a-completion-ignored",
        "completion-of-another-session",
    ),
    "completions in front of a bad one are applied": ("earlier-completions-applied",),
    "the leaf of the last full replacement is read, whatever was appended since": (
        "leaf-of-the-last-replacement",
        "append-keeps-the-leaf",
    ),
    "a read does not end where parents go round in a circle": ("cycle-walked-again",),
    "a node that is appended again is there twice": ("node-shown-as-it-was-too",),
    "a collection removes what the head reaches": ("carried-parts-collected", "plugin-snapshot-collected"),
    "an attachment that is recorded again is uncommitted again": ("stamp-cleared-by-recording",),
    "a claim of queued work looks at the first 32 or so only": (
        "work-looked-for-in-a-window",
        "command-looked-for-in-a-window",
    ),
    "ids and tokens that are free again are given again": (
        "batch-id-given-again",
        "input-id-by-counting",
        "claims-numbered-by-what-is-queued",
        "claim-numbers-restart",
        "claims-of-one-instant-alike",
    ),
    "two submissions without a key collide in one millisecond": ("keyless-batch-of-the-millisecond-refused",),
    "times of 2^63 and more are negative, or wrap": (
        "expiry-wraps",
        "claim-expiry-wraps",
        "readiness-compared-as-signed",
        "times-compared-as-signed",
    ),
    "an accepted input is listed again once its claim has lapsed": ("accepted-listed-when-lapsed",),
}
"""Sentences on known backends, and the planted faults that do the same."""

FREE: dict[str, tuple[str, ...]] = {
    "a completion lists a part of its claim, or nothing: accepted or refused": ("COMMIT-11a",),
    "a completion lists an id twice: accepted or refused": ("COMMIT-11b",),
    "a completion is given twice: accepted or refused": ("COMMIT-11c",),
    "a stored node is appended: replaced, or the commit is refused": ("COMMIT-23",),
    "a replacement lists a node twice: refused, or the last one kept": ("COMMIT-23b",),
    "a re-entry answers the stored owner, or the caller": ("LEASE-15a",),
    "a renewal answers the owner of the fence, or the stored one": ("LEASE-31a",),
    "a store is bound by its first commit, or earlier": ("COMMIT-2a",),
    "snapshots are kept as blobs of their own, or inside the checkpoint": ("COMMIT-27",),
    "a hidden leaf is answered as it is, or as none": ("READ-5a", "READ-9a"),
    "a hidden node ends the path, or is left out of it": ("READ-8a",),
    "a path comes root first, or in the order of storage": ("READ-7a",),
    "a path without a leaf is empty, or the whole graph": ("READ-10",),
    "there is one record of metadata, or one for each session": ("META-3",),
    "a second intent refreshes the first, or changes nothing, or replaces it": ("ATT-2a",),
    "uncommitted attachments come by their times, or in any order": ("ATT-5",),
    "a vacuum covers the store, or the bound session": ("MAINT-4a",),
    "a second input of one id is refused, or accepted": ("INPUT-4a",),
    "a claim of inputs looks at all that wait, or at the first 32 or so": ("CLAIM-6a",),
    "numbers that are free again are never given again, or are": ("INPUT-3a", "QUEUE-1b"),
    "an expiry that no number can tell is the last one, or refused": ("GEN-3a",),
    "a draft whose input was deferred is a conflict, or a replay": ("INPUT-9",),
    "a refused claim by ids counts as a claim, or leaves no trace": ("QCLAIM-13",),
    "a refused renewal extends what is still held, or nothing": ("QRENEW-3",),
}
"""Sentences on what is left free, ours first, and the requirements that admit the rest."""

ALONE: dict[str, tuple[str, ...]] = {
    "another holder comes between the check of a fence and the effect": (
        "impl/test_impl_races.py::test_no_commit_lands_after_a_takeover",
        "impl/test_impl_races_entries.py::test_one_comes_after_the_other",
    ),
    "a claim is given back between its validation and its completion": (
        "impl/test_impl_races_entries.py::test_one_comes_after_the_other",
    ),
    "a commit without an expected revision loses against another": (
        "impl/test_impl_races.py::test_two_commits_of_one_turn_record_it_once",
        "impl/test_impl_races.py::test_the_first_commits_of_two_sessions_bind_one",
    ),
    "one of several submissions of a key fails": ("impl/test_impl_threads.py::test_many_submissions_of_one_key_are_one_input",),
    "submissions in one millisecond collide": (
        "impl/test_impl_threads.py::test_many_submissions_in_one_millisecond_are_as_many_entries",
    ),
    "a claim passes over what others have locked": ("impl/test_impl_threads.py::test_claimers_share_what_there_is",),
    "a read mixes two commits": ("impl/test_impl_races.py::test_a_reader_sees_whole_commits",),
    "a node that cannot be decoded is passed over": ("impl/test_impl_damage.py::test_an_unreadable_node_is_refused",),
    "a collection goes on without a root that it cannot read": (
        "impl/test_impl_damage_entries.py::test_a_collection_that_cannot_read_its_root_removes_nothing",
    ),
    "a failure to save or to load metadata is swallowed": (
        "impl/test_impl_faults.py::test_a_failure_to_read_or_save_metadata_is_reported",
        "impl/test_impl_damage.py::test_unreadable_metadata_is_refused",
    ),
}
"""Sentences on what a sequential run of sound calls cannot show, and the tests that show it of our store."""


@pytest.mark.parametrize("sentence", FORBIDDEN)
def test_what_the_law_forbids_is_planted(sentence: str) -> None:
    """Each fault is one of those that every full test run plants and catches."""
    assert {bug.name for bug in BUGS} >= set(FORBIDDEN[sentence])


@pytest.mark.parametrize("sentence", FREE)
def test_what_is_left_free_is_admitted(sentence: str) -> None:
    """Each requirement is a CURRENT one whose other answers are told, and which a case of the model admits."""
    cases = "".join(path.read_text() for path in (TESTS / "model").glob("*admits*.py"))
    for each in FREE[sentence]:
        assert (requirements()[each].level, bool(requirements()[each].admits)) == (Level.CURRENT, True)
        assert f'"{each}"' in cases


@pytest.mark.parametrize("sentence", ALONE)
def test_what_no_run_can_show_has_a_test(sentence: str) -> None:
    """Each test is there under this name."""
    for each in ALONE[sentence]:
        path, _, name = each.partition("::")
        tree = ast.parse((TESTS / path).read_text())
        assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
