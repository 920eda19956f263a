// An adapter: it puts a store behind standard input and output, a line of JSON for each request and each answer.
//
//   fencepost verify --exec "node adapter.mjs" --stores event,output
//
// To check a store of your own, copy this file and let the methods in `OPERATIONS` call it.

import { createInterface } from "node:readline";
import { Num, parse, stringify } from "./json.mjs";
import { EventStore, OutputStore, Refusal } from "./stores.mjs";

const PROTOCOL = "fencepost-adapter/1";
let events = new EventStore();
let outputs = new OutputStore();

/** What each call does, given its arguments by their names: an answer, or a `Refusal` that is thrown. */
const OPERATIONS = {
  "event.append": (given) => events.append(given.get("thread_id"), given.get("turn"), given.get("envelope")),
  finish_turn: (given) => events.finishTurn(given.get("thread_id"), given.get("turn")),
  get_turn: (given) => events.getTurn(given.get("thread_id"), given.get("turn")),
  get_turns: (given) => events.getTurns(given.get("thread_id")),
  get_events: (given) => events.getEvents(given.get("thread_id")),
  clear: (given) => events.clear(given.get("thread_id")),
  "output.append": (given) =>
    outputs.append(
      given.get("task_id"),
      given.get("attempt"),
      given.get("producer_agent"),
      given.get("event"),
      given.get("parent_refs"),
    ),
  get: (given) => outputs.get(given.get("id")),
  get_latest_by_name: (given) => outputs.getLatestByName(given.get("name")),
  list_for_attempt: (given) => outputs.listForAttempt(given.get("task_id"), given.get("attempt")),
};

/** What each kind of request is answered, beside its id. */
const REQUESTS = {
  hello: () => ({ hello: { protocol: PROTOCOL, chapters: ["event", "output"], capabilities: ["controlled-clock"] } }),
  echo: (value) => ({ answer: value }),
  reset: () => {
    events = new EventStore();
    outputs = new OutputStore();
    return { answer: null };
  },
  call: (call) => {
    try {
      return { answer: OPERATIONS[call.get("operation")](call.get("arguments")) ?? null };
    } catch (error) {
      if (error instanceof Refusal) return { error: { kind: error.kind, ...error.fields } };
      return { crash: String(error) };
    }
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const request = parse(line);
  const kind = Object.keys(REQUESTS).find((each) => request.has(each));
  const answer = kind ? REQUESTS[kind](request.get(kind)) : { crash: `no request: ${line}` };
  process.stdout.write(`${stringify({ id: request.get("id") ?? new Num(0), ...answer })}\n`);
}
