"""What is stored beside the head: the metadata."""

from __future__ import annotations

import msgspec
from fencepost.spec import DurabilityTier, SessionMeta
from immutables import Map


class SessionState(msgspec.Struct, frozen=True, cache_hash=True):
    """The metadata slot, the last metadata of each session id (META-3), the durability tier once it was told (READ-19), and
    which read scopes have been served or refused (READ-18)."""

    meta: SessionMeta | None = None
    by_session: Map[str, SessionMeta] = Map()
    tier: DurabilityTier | None = None
    scopes: Map[str, bool] = Map()
