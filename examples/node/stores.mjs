// An event log and an output log in memory. Numbers are `Num`: they are compared exactly, and answered as they came.

import { randomBytes } from "node:crypto";

/** A refusal of the protocol: its kind, and the fields that belong to it. */
export class Refusal extends Error {
  constructor(kind, fields) {
    super(kind);
    this.kind = kind;
    this.fields = fields;
  }
}

const byTurn = (left, right) => (BigInt(left.turn.text) < BigInt(right.turn.text) ? -1 : 1);

export class EventStore {
  #threads = new Map();

  append(threadId, turn, envelope) {
    const kept = this.#turn(threadId, turn);
    if (kept.finished) throw new Refusal("AppendToFinishedTurn", { thread_id: threadId, turn });
    kept.events.push(envelope);
  }

  finishTurn(threadId, turn) {
    const kept = this.#turn(threadId, turn);
    if (kept.finished) throw new Refusal("TurnAlreadyFinished", { thread_id: threadId, turn });
    kept.finished = true;
  }

  getTurn(threadId, turn) {
    return this.#threads.get(threadId)?.get(turn.text) ?? null;
  }

  getTurns(threadId) {
    return [...(this.#threads.get(threadId)?.values() ?? [])].sort(byTurn);
  }

  getEvents(threadId) {
    return this.getTurns(threadId).flatMap((turn) => turn.events);
  }

  clear(threadId) {
    this.#threads.delete(threadId);
  }

  /** The turn, which is there from its first writing on. */
  #turn(threadId, turn) {
    const turns = this.#threads.get(threadId) ?? new Map();
    this.#threads.set(threadId, turns);
    if (!turns.has(turn.text)) turns.set(turn.text, { turn, events: [], finished: false });
    return turns.get(turn.text);
  }
}

export class OutputStore {
  #records = new Map();

  append(taskId, attempt, producerAgent, event, parentRefs) {
    const id = this.#fresh();
    const record = { task_id: taskId, attempt, producer_agent: producerAgent, event, parent_refs: parentRefs };
    this.#records.set(id, { id, ...record });
    return id;
  }

  get(ref) {
    return this.#found(this.#records.get(ref), ref);
  }

  getLatestByName(name) {
    return this.#found([...this.#records.values()].findLast((each) => each.producer_agent === name), name);
  }

  listForAttempt(taskId, attempt) {
    return [...this.#records.values()].filter((each) => each.task_id === taskId && each.attempt.text === attempt.text);
  }

  #found(record, what) {
    if (!record) throw new Refusal("OutputNotFound", { message: what });
    return record;
  }

  /** An id that no record has. */
  #fresh() {
    for (;;) {
      const id = `out-${randomBytes(5).toString("hex")}`;
      if (!this.#records.has(id)) return id;
    }
  }
}
