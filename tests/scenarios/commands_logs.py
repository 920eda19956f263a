"""Commands of the logs: events of threads, outputs of attempts."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from commands import Commands
from fencepost.spec import (
    AgentEventEnvelope,
    Artifact,
    Final,
    Inline,
    Json,
    OutputEvent,
    OutputRecord,
    OutputRef,
    Partial,
    Progress,
    Start,
    StoredTurnEvents,
    UnknownEvent,
)

EVENT_ID = "00000000-0000-4000-8000-00000000000{}"
INSTANT = "2026-01-01T00:00:00Z"


class LogCommands(Commands):
    """What agents write down."""

    def do_event(self, words: list[str]) -> Iterator[str]:
        """`event THREAD TURN TEXT [of=TURN] [sequence=N] [id=DIGIT]`: an event of a type that nobody knows, or a start."""
        thread, turn, text, *rest = words
        facts = dict(fact.split("=", 1) for fact in rest)
        event = Start(thread, int(facts["of"])) if "of" in facts else UnknownEvent("note", Json({"text": text}))
        sequence, digit = int(facts.get("sequence", "0")), facts.get("id", "0")
        self.stores.event.append(thread, int(turn), AgentEventEnvelope(UUID(EVENT_ID.format(digit)), sequence, INSTANT, event))
        yield "ok"

    def do_finish(self, words: list[str]) -> Iterator[str]:
        """`finish THREAD TURN`."""
        self.stores.event.finish_turn(words[0], int(words[1]))
        yield "ok"

    def do_turn(self, words: list[str]) -> Iterator[str]:
        """`turn THREAD TURN`."""
        found = self.stores.event.get_turn(words[0], int(words[1]))
        if found is not None:
            yield _turn(found)

    def do_turns(self, words: list[str]) -> Iterator[str]:
        """`turns THREAD`."""
        yield from map(_turn, self.stores.event.get_turns(words[0]))

    def do_events(self, words: list[str]) -> Iterator[str]:
        """`events THREAD`."""
        yield from map(_event, self.stores.event.get_events(words[0]))

    def do_clear(self, words: list[str]) -> Iterator[str]:
        """`clear THREAD`."""
        self.stores.event.clear(words[0])
        yield "ok"

    def do_emit(self, words: list[str]) -> Iterator[str]:
        """`emit TASK/ATTEMPT PRODUCER progress | partial | artifact:NAME | final TEXT [from=OUT ...]`."""
        place, producer, kind, text, *parents = words
        task, _, attempt = place.partition("/")
        refs = tuple(OutputRef(self.minted(parent.removeprefix("from="))) for parent in parents)
        ref = self.stores.output.append(task, int(attempt), producer, _output(kind, text), refs)
        yield self.numbered("out", ref.value)

    def do_output(self, words: list[str]) -> Iterator[str]:
        """`output OUT`."""
        yield self._output_shown(self.stores.output.get(OutputRef(self.minted(words[0]))))

    def do_latest(self, words: list[str]) -> Iterator[str]:
        """`latest PRODUCER`."""
        yield self._output_shown(self.stores.output.get_latest_by_name(words[0]))

    def do_outputs(self, words: list[str]) -> Iterator[str]:
        """`outputs TASK/ATTEMPT`."""
        task, _, attempt = words[0].partition("/")
        yield from map(self._output_shown, self.stores.output.list_for_attempt(task, int(attempt)))

    def _output_shown(self, record: OutputRecord) -> str:
        parents = ", ".join(self.named("out", ref.value) for ref in record.parent_refs)
        made = f" from {parents}" if parents else ""
        place = f"{record.task_id}/{record.attempt}"
        return f"{self.named('out', record.id.value)}: {_told(record.event)} by {record.producer_agent} in {place}{made}"


def _turn(turn: StoredTurnEvents) -> str:
    events = ", ".join(map(_event, turn.events)) or "no events"
    return f"turn {turn.turn} {'finished' if turn.finished else 'open'}: {events}"


def _event(envelope: AgentEventEnvelope) -> str:
    event = envelope.event
    text = event.fields.value()["text"] if isinstance(event, UnknownEvent) else f"start of turn {getattr(event, 'turn', '?')}"
    return f"{text}#{envelope.sequence}" if envelope.sequence else str(text)


def _output(kind: str, text: str) -> OutputEvent:
    content = Inline(Json(text))
    name, _, artifact = kind.partition(":")
    events: dict[str, OutputEvent] = {
        "progress": Progress(text),
        "partial": Partial(content),
        "artifact": Artifact(artifact, content),
        "final": Final(content, True),
    }
    return events[name]


def _told(event: OutputEvent) -> str:
    match event:
        case Progress(stage=stage):
            return f"progress {stage}"
        case Partial(chunk=Inline(value=value)):
            return f"partial {value.value()}"
        case Artifact(name=name, content=Inline(value=value)):
            return f"artifact {name} {value.value()}"
        case Final(content=Inline(value=value)):
            return f"final {value.value()}"
    raise AssertionError(event)
