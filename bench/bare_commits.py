"""Commits, sessions and maintenance with bare tuples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .plain import Case, Lane, calls_on_lane, no_moves

OWN, OTHER = 1, 2
"""The sessions."""

Written = tuple[
    int | None, int | None, int, tuple[int, ...], int | None, int | None, str | None, bool, int, tuple[str, int] | None, bool
]
"""Who tried to commit first, whom the store is bound to, the revision, the nodes in order, the leaf, that of the last full
replacement, the ref for the tools, whether a value is stored, entries of usage, hash and revision of the recorded turn, and
whether the attachment is stamped."""

Committed = tuple[int, Written, bool, Lane]
"""The time, what was written, whether the lane is held, and the lane of the other session."""

Commit = tuple[int, str | None, int | None, str, str | None, int, bool, tuple[int, str] | None, str | None, bool]
"""Session, whose fence, which head is expected, the graph, the ref for the tools, entries of usage, whether the attachment is
named, session and hash of the stamp, whose lease is released, and whether a claim is completed that never was."""

PLAIN: Commit = (OWN, "own", None, "unchanged", None, 0, False, None, None, False)
GRAPHS = ("unchanged", "a path", "loose", "one twice", "replaced", "leafless")
RIGHT, WRONG, FAR = 0, 1, 9


def having(**fields: Any) -> Commit:
    """The plain commit with other fields."""
    names = ("session", "fence", "head", "graph", "tools", "usage", "attachment", "stamp", "release", "claim")
    return tuple(fields.get(name, known) for name, known in zip(names, PLAIN, strict=True))  # type: ignore[return-value]  # as many as names


COMMITS = (
    *(having(graph=graph) for graph in GRAPHS),
    having(head=RIGHT),
    *(having(tools=tools) for tools in ("value", "nowhere")),
    having(usage=1),
    having(attachment=True),
    *(having(release=release, stamp=stamp) for release in (None, "own", "none", "other") for stamp in (None, (OWN, "h1"))),
    *(having(fence=fence, head=head) for fence in (None, "altered", "first of other") for head in (None, FAR)),
    having(head=WRONG),
    having(stamp=(OWN, "h2")),
    having(stamp=(OTHER, "h1")),
    *(having(claim=True),) * 4,
    *(having(session=OTHER, fence=fence) for fence in ("altered", "other")),
)
KEEPING = having(tools="stored")
APPENDED = {"a path": (1, 2), "loose": (3,)}
LEAVES = {"unchanged": 1, "a path": 2, "loose": 3, "replaced": 1, "leafless": None}


def tick(world: Committed) -> Iterator[Committed]:
    """The clock goes on, twice."""
    if world[0] < 2:
        yield (world[0] + 1, *world[1:])


def commits(world: Committed) -> Iterator[Committed | None]:
    """The world after every commit, and after every call on the lane of the other session."""
    now, written, held, lane = world
    for commit in COMMITS:
        yield committed(world, commit)
    if written[6] is not None:
        yield committed(world, KEEPING)
    for after in calls_on_lane(now, lane, range(1, 3), (1_000, 1_001)):
        yield (now, written, held, after) if after is not None and after[0] <= 5 else None


def committed(world: Committed, commit: Commit) -> Committed | None:
    """The world after a commit: its checks one after the other, then all that it writes; None beyond the second revision."""
    now, (tried, bound, revision, nodes, _, replaced, tools, stored, usage, turn, stamped), held, lane = world
    session, fence, head, graph, given, entries, attachment, stamp, release, claim = commit
    refused = world if tried else (now, (session, *world[1][1:]), held, lane)
    if (bound and bound != session) or (stamp and stamp[0] != session) or (stamp and turn and turn[0] != stamp[1]):
        return refused
    live = held and now < 1 and fence == "own" if session == OWN else lane[1] and now < lane[3] and fence == "other"
    after_held = held and release != "own"
    after_lane = (lane[0], 0, 0, 0) if release == "other" and lane[1] == 1 else lane
    if stamp and turn:
        return (now, world[1], after_held, after_lane)
    if not live or (head is not None and head != RIGHT) or claim or graph == "one twice":
        return refused
    if revision == 2:
        return None
    if graph in APPENDED:
        nodes = (*nodes, *(each for each in APPENDED[graph] if each not in nodes))
    elif graph != "unchanged":
        nodes, replaced = ((1,), 1) if graph == "replaced" else ((1, 2), None)
    after = (
        tried or session,
        session,
        revision + 1,
        nodes,
        LEAVES[graph],
        replaced,
        given if given != "stored" else "carried" if stored and tools != "nowhere" else tools,
        stored or given == "value",
        usage + entries,
        (stamp[1], revision + 1) if stamp else turn,
        stamped or attachment,
    )
    return (now, after, after_held, after_lane)


Stored = tuple[int, tuple[int, ...], tuple[int, ...], int | None, int | None, bool, bool, int]
"""The revision, the nodes in order, those that are hidden, the leaf, that of the last full replacement, whether the tools are
given, whether a value is stored, and entries of usage."""

Told = tuple[bool, bool, bool]
"""Whether full graphs and paths were served, and the tier told."""

Session = tuple[Stored, tuple[int, int], Told]
"""What was written, the session whose metadata is the newest, a bit for each that has some, and what was told."""

NOWHERE = 0
PARENTS = {1: None, 2: 1, 3: NOWHERE}
ADDED, REPLACED = {"a path": (1, 2), "loose": (3,)}, {"replaced": (1,), "leafless": (1, 2)}


def reading(world: Session) -> Iterator[Session | None]:
    """What commits wrote, the metadata, and what was told, after every call that the scope of sessions tries."""
    stored, metadata, told = world
    _, nodes, hidden, *_ = stored
    for node in (1, 2, NOWHERE):
        _ = node in nodes and node not in hidden
        yield None
    for after in writing(stored):
        yield None if after is None else (after, metadata, told)
    newest, known = metadata
    for session in (1, 2, 3, 4):
        yield (stored, (session, known | 1 << session), told)
    _ = newest
    yield None
    yield (stored, metadata, (*told[:2], True))
    _ = graph(stored)
    yield (stored, metadata, (True, *told[1:]))
    for leaf in (None, -1, 1, 2, 3, NOWHERE):
        _ = path(stored, leaf)
        yield (stored, metadata, (told[0], True, told[2]))


def writing(stored: Stored) -> Iterator[Stored | None]:
    """What is stored after each commit, None beyond the second revision, and after each tombstone."""
    revision, nodes, hidden, leaf, replaced, tools, kept, usage = stored
    within = revision < 2
    for name, added in ADDED.items():
        more = (*nodes, *(each for each in added if each not in nodes))
        still = tuple(each for each in hidden if each not in added)
        yield (revision + 1, more, still, LEAVES[name], replaced, False, kept, usage) if within else None
    for name, those in REPLACED.items():
        yield (revision + 1, those, (), LEAVES[name], LEAVES[name], False, kept, usage) if within else None
    yield (revision + 1, nodes, hidden, 1, replaced, True, True, usage + 1) if within else None
    for named in ((1,), (2, NOWHERE)):
        gone = tuple(sorted({*hidden, *(each for each in named if each in nodes)}))
        yield (revision, nodes, gone, leaf, replaced, tools, kept, usage)


def graph(stored: Stored) -> tuple[int, ...] | None:
    """The nodes that can be read, if anything was committed."""
    revision, nodes, hidden, *_ = stored
    return tuple(each for each in nodes if each not in hidden) if revision else None


def path(stored: Stored, leaf: int | None) -> tuple[int, ...] | None:
    """The nodes from the root to a leaf, that of the head if none is given."""
    revision, nodes, hidden, head, *_ = stored
    if not revision:
        return None
    found: tuple[int, ...] = ()
    at = head if leaf is None else leaf
    while at in nodes and at not in hidden:
        found = (at, *found)
        at = PARENTS[at]
    return found


Kept = tuple[Stored, tuple[int, ...], bool, bool]
"""What was stored, the revisions whose checkpoints are, whether nothing was committed since a collection, and whether one was
seen to collect."""

Row = tuple[int, bool] | None
"""The number of an input, and whether it is open."""

Maintained = tuple[Kept, tuple[int, Row, Row], tuple[bool, bool]]
"""What is kept, the inputs issued with that of each session, and whether full graphs and paths were served."""


def maintenance(world: Maintained) -> Iterator[Maintained | None]:
    """What is kept, the inputs, and what was served, after every call that the scope of maintenance tries."""
    kept, inputs, served = world
    stored = kept[0]
    for after in maintaining(kept):
        yield None if after is None else (after, inputs, served)
    _ = 1 in stored[1] and 1 not in stored[2]
    yield None
    for submitted in submitting(inputs):
        yield None if submitted is None else (kept, submitted, served)
    issued, one, other = inputs
    yield (vacuumed(kept), (issued, one if one and one[1] else None, other if other and other[1] else None), served)
    _ = graph(stored)
    yield (kept, inputs, (True, served[1]))
    _ = path(stored, None)
    yield (kept, inputs, (served[0], True))


def maintaining(kept: Kept) -> Iterator[Kept | None]:
    """What is kept after a collection, each tombstone and each commit; None beyond the second revision."""
    stored, checkpoints, collected, collects = kept
    revision, nodes, hidden, _, replaced, tools, value, usage = stored
    yield ((*stored[:6], value and tools, usage), checkpoints[-1:], True, collects or revision > 0)
    yield ((revision, nodes, tuple(sorted({*hidden, *({1, 2} & {*nodes})})), *stored[3:]), *kept[1:])
    for after in (*writing(stored), (revision + 1, nodes, hidden, 1, replaced, False, value, usage)):
        if after is None or after[0] > 2:
            yield None
        elif after[0] > revision:
            yield (after, (*checkpoints, after[0]), False, collects)
        else:
            yield (after, checkpoints, collected, collects)


def vacuumed(kept: Kept) -> Kept:
    """What is kept without the nodes that are hidden."""
    stored, *_ = kept
    return ((stored[0], tuple(each for each in stored[1] if each not in stored[2]), (), *stored[3:]), *kept[1:])


def submitting(inputs: tuple[int, Row, Row]) -> Iterator[tuple[int, Row, Row] | None]:
    """The inputs after one is submitted, cancelled and listed in each session; None beyond the fourth."""
    issued, one, other = inputs
    within = issued < 4
    yield (issued + 1, (issued + 1, True), other) if one is None and within else None
    yield (issued, (one[0], False), other) if one else None
    _ = one and one[1]
    yield None
    yield (issued + 1, one, (issued + 1, True)) if other is None and within else None
    yield (issued, one, (other[0], False)) if other else None
    _ = other and other[1]
    yield None


NOTHING: Stored = (0, (), (), None, None, False, False, 0)

CASES = {
    "commit": Case(
        (0, (None, None, 0, (), None, None, None, False, 0, None, False), True, (1, 1, 0, 1_000)),
        commits,
        tick,
        (36_632, 4_521_100),
    ),
    "session": Case((NOTHING, (0, 0), (False, False, False)), reading, no_moves, (15_048, 346_104)),
    "maintenance": Case(
        ((NOTHING, (), False, False), (2, (1, False), (2, False)), (False, False)),
        maintenance,
        no_moves,
        (33_488, 669_760),
    ),
}
