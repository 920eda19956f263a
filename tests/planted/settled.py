"""Faults whose catch is settled: each is caught within the default budget, and laid on its requirement."""

from __future__ import annotations

SETTLED = frozenset(
    {
        "another-boot-is-here",
        "append-keeps-the-leaf",
        "append-moves-a-stored-node",
        "binding-not-checked",
        "doubt-is-death",
        "empty-execution-state-lost",
        "empty-ref-taken-for-none",
        "expired-lease-reentered",
        "expired-lease-renewed",
        "expiry-wraps",
        "fence-live-at-its-expiry",
        "fence-not-checked",
        "fence-reset-by-release",
        "frames-of-one-id-merged",
        "full-read-ends-at-a-page",
        "incarnation-ignored",
        "large-integers-rounded",
        "ledger-merged-by-model",
        "live-at-its-expiry",
        "metadata-merged",
        "path-ends-at-a-page",
        "path-with-siblings",
        "reasoning-counts",
        "reclaim-without-compare",
        "reentry-never-shortens",
        "refused-commit-leaves-usage",
        "release-clears-the-successor",
        "release-does-nothing",
        "repeated-commit-taken-for-a-replay",
        "replacement-keeps-old-nodes",
        "replay-commits-again",
        "stamp-of-another-session-accepted",
        "token-reused",
    }
)
