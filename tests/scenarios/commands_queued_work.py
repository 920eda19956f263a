"""Commands of the chapter on queued work: enqueue, list, cancel, claim, renew."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from commands import number, owner
from commands_claim import ClaimCommands
from fencepost.spec import (
    DeliveryPolicy,
    Group,
    Json,
    MergeKey,
    Never,
    PayloadDefault,
    ProcessWake,
    QueuedWorkBatch,
    QueuedWorkBatchDraft,
    QueuedWorkClaim,
    QueuedWorkClaimBoundary,
    QueuedWorkPayload,
    QueuedWorkPayloadSessionCommand,
    RefreshToolCatalog,
    ResetSession,
    SlotPolicy,
)

DELIVERIES = {"earliest": DeliveryPolicy.EarliestSafeBoundary, "after": DeliveryPolicy.AfterCurrentTurnCommit}
SLOTS = {"exclusive": SlotPolicy.Exclusive, "join": SlotPolicy.Join}
MERGES: dict[str, MergeKey] = {"never": Never(), "default": PayloadDefault()}
BOUNDARIES = {"checkpoint": QueuedWorkClaimBoundary.ActiveTurnCheckpoint, "idle": QueuedWorkClaimBoundary.Idle}


class QueuedWorkCommands(ClaimCommands):
    """Batches that wait for the lane."""

    def __init__(self) -> None:
        super().__init__()
        self._batches: dict[str, str] = {}

    def do_enqueue_work(self, words: list[str]) -> Iterator[str]:
        """`enqueue SESSION work NAME DELIVERY SLOT [MERGE] [PAYLOADS] [key=KEY] [from=N] [text=TEXT]`."""
        session, name, delivery, slot, *rest = words
        facts = dict(word.split("=", 1) for word in rest if "=" in word)
        merge, payloads = "never", "wake"
        for word in (word for word in rest if "=" not in word):
            if word in MERGES or word.startswith("group:"):
                merge = word
            else:
                payloads = word
        batch = self.store.enqueue_queued_work(
            QueuedWorkBatchDraft(
                session_id=session,
                source_key=facts.get("key"),
                delivery_policy=DELIVERIES[delivery],
                slot_policy=SLOTS[slot],
                merge_key=_merge(merge),
                available_at_ms=int(facts.get("from", 0)),
                payloads=_payloads(payloads, facts.get("text", name)),
            )
        )
        self.labelled("batch", batch.batch_id, name)
        self._batches[batch.batch_id] = self._admission_of_batch(batch)
        yield f"{self.named('batch', batch.batch_id)}{self._admission_of_batch(batch)}"

    def do_list_work(self, words: list[str]) -> Iterator[str]:
        """`list SESSION work`."""
        yield from self._names_of(self.store.list_queued_work(words[0]))

    def do_list_pending(self, words: list[str]) -> Iterator[str]:
        """`list SESSION pending`."""
        yield from self._names_of(self.store.list_pending_queued_work(words[0]))

    def do_cancel_work(self, words: list[str]) -> Iterator[str]:
        """`cancel SESSION work NAME`."""
        session, name = words
        batch = self.store.cancel_queued_work_batch(session, self.minted(name))
        if batch is not None:
            yield f"cancelled {self._batch(batch)}"

    def do_claim_work(self, words: list[str]) -> Iterator[str]:
        """`claim SESSION work under LEASE by OWNER checkpoint | idle ttl=N (max=N | ids=[NAME+NAME...])`."""
        session, _under, lease, _by, who, boundary, ttl, which = words
        asked: tuple[Any, ...] = (session, self.lease(lease).fence(), owner(who), BOUNDARIES[boundary], number(ttl))
        if which.startswith("ids="):
            claim = self.store.claim_ready_queued_work_by_batch_ids(*asked, self.ids(which.removeprefix("ids=")))
        else:
            claim = self.store.claim_ready_queued_work(*asked, number(which))
        if claim is not None:
            yield f"claimed: {self._claimed_work(claim)}"

    def do_claim_command(self, words: list[str]) -> Iterator[str]:
        """`claim SESSION command under LEASE by OWNER ttl=N`."""
        session, _under, lease, _by, who, ttl = words
        claim = self.store.claim_leading_ready_session_command(session, self.lease(lease).fence(), owner(who), number(ttl))
        if claim is not None:
            yield f"claimed: {self._claimed_work(claim)}"

    def do_renew_claim(self, words: list[str]) -> Iterator[str]:
        """`renew CLAIM ttl=N`."""
        claim, ttl = words
        yield f"renewed: {self._claimed_work(self.store.renew_queued_work_claim(self.claim(claim), number(ttl)))}"

    def _claimed_work(self, claim: QueuedWorkClaim) -> str:
        return self.held(claim, " ".join(map(self._batch, claim.batches)))

    def _names_of(self, batches: tuple[QueuedWorkBatch, ...]) -> Iterator[str]:
        if batches:
            yield " ".join(map(self._batch, batches))

    def _batch(self, batch: QueuedWorkBatch) -> str:
        """The name; a batch never changes, and if it did, the rest is shown, too."""
        name, admission = self.named("batch", batch.batch_id), self._admission_of_batch(batch)
        return name if self._batches.get(batch.batch_id) == admission else name + admission

    def _admission_of_batch(self, batch: QueuedWorkBatch) -> str:
        delivery = next(word for word, policy in DELIVERIES.items() if policy is batch.delivery_policy)
        slot = next(word for word, policy in SLOTS.items() if policy is batch.slot_policy)
        shown = f" ({delivery} {slot} {_shown_merge(batch.merge_key)} {self._items(batch)})"
        shown += f", {self.place('batch', batch.session_id, batch.enqueue_seq)} since {batch.enqueued_at_ms}"
        shown += "" if batch.available_at_ms == 0 else f", from {batch.available_at_ms}"
        return shown if batch.source_key is None else f"{shown}, key {batch.source_key}"

    def _items(self, batch: QueuedWorkBatch) -> str:
        """The payloads; an item's id goes without saying if it is the batch's with the item's place (QUEUE-1a)."""
        name = self.named("batch", batch.batch_id)
        shown = []
        for index, item in enumerate(batch.items):
            usual = item.item_id == f"{batch.batch_id}:item:{index}"
            shown.append(_shown_payload(item.payload, name) + ("" if usual else f" as {item.item_id}"))
        return "+".join(shown) or "empty"


def _merge(word: str) -> MergeKey:
    return MERGES.get(word) or Group(word.removeprefix("group:"))


def _shown_merge(key: MergeKey) -> str:
    return f"group:{key.value}" if isinstance(key, Group) else next(word for word, each in MERGES.items() if each == key)


def _payloads(word: str, text: str) -> tuple[QueuedWorkPayload, ...]:
    return () if word == "empty" else tuple(PAYLOADS[each](text) for each in word.split("+"))


def _wake(text: str) -> QueuedWorkPayload:
    return ProcessWake(Json({"says": text}))


def _refresh(text: str) -> QueuedWorkPayload:
    return QueuedWorkPayloadSessionCommand(RefreshToolCatalog(text))


def _reset(text: str) -> QueuedWorkPayload:
    return QueuedWorkPayloadSessionCommand(ResetSession(text))


PAYLOADS = {"wake": _wake, "refresh": _refresh, "reset": _reset}


def _shown_payload(payload: QueuedWorkPayload, name: str) -> str:
    text = payload.wake.value()["says"] if isinstance(payload, ProcessWake) else payload.command.reason
    kind = next(word for word, made in PAYLOADS.items() if made(text) == payload)
    return kind if text == name else f"{kind}({text})"
