"""The kinds of failure that planted bugs stand for: a small closed vocabulary of what goes wrong in real stores."""

from __future__ import annotations

import enum


class Kind(enum.Enum):
    """What a bug is an example of."""

    stale = "stale writer"
    edge = "off by one at an edge"
    lost_update = "lost update"
    retry = "retry applied twice"
    mistaken = "mistaken for a retry"
    half = "half a commit"
    order = "wrong order"
    leak = "leak across sessions"
    lost = "lost or altered data"
    refusal = "wrong refusal"
    accepted = "missing refusal"
    overflow = "number overflow"
    restart = "forgets over a restart"
    reused = "identity given again"
    liveness = "liveness misjudged"
    selection = "wrong selection"
    stuck = "never let go"
    untrue = "untrue answer"
    uncalled = "uncalled-for effect"
    page = "cut off at a page"


MEANINGS: dict[Kind, str] = {
    Kind.stale: "Whoever has lost a lease, a claim or the head, or never had it, gets something done all the same.",
    Kind.edge: "Right everywhere but at one instant, count or position: the expiry itself, zero, the first, the last.",
    Kind.lost_update: "An older value survives, or an update drops what it did not mean to touch.",
    Kind.retry: "What was done already is done again, or a call that is made again is not told from a new one.",
    Kind.mistaken: "A new call is answered from an old one that only looks alike.",
    Kind.half: "A refused call leaves something behind, or one act is done in part.",
    Kind.order: "The right things come in another order than the one that was promised.",
    Kind.leak: "A session, runtime, thread or task sees or changes what belongs to another.",
    Kind.lost: "What was given does not come back as it was.",
    Kind.refusal: "What has to be granted is refused.",
    Kind.accepted: "What has to be refused, or answered by nothing, is granted.",
    Kind.overflow: "A large number wraps, turns negative or is cut to fewer bits.",
    Kind.restart: "What was acknowledged is gone, or changed, once the store is opened again.",
    Kind.reused: "A token, id or number that was given once is given to something else.",
    Kind.liveness: "A process that runs is taken for dead, or one that is gone for alive.",
    Kind.selection: "Other entries are taken than those that the rule selects.",
    Kind.stuck: "Something stays that has to end: a hold, a mark, a record, a loop.",
    Kind.untrue: "The store does the right thing and tells another one.",
    Kind.uncalled: "A call changes what is none of its business; a read writes.",
    Kind.page: "A bound that nobody asked for: the rest is not seen.",
}
"""How to tell each kind from the others."""
