// Puts the stores of store.mjs behind standard input and output: a line of JSON for each request and each answer.
// Nothing in this file has to be edited.

import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { parse, stringify } from "./json.mjs";
import * as store from "./store.mjs";

const PROTOCOL = JSON.parse(readFileSync(new URL("protocol.json", import.meta.url), "utf8"));

/** What a store is given: the time, a word on processes, and a directory for files. */
class Environment {
  constructor(directory) {
    this.directory = directory;
  }

  /** Take the time and the processes from a request. */
  set(given) {
    if (given.has("now")) this.now = BigInt(given.get("now").text);
    this.processes = given.get("processes") ?? new Map();
  }

  /** The time of the call, in epoch milliseconds: a BigInt. */
  clock() {
    return this.now;
  }

  /** Whether that very process runs: "yes", "no" or "unknown". */
  processAlive(pid, processStart) {
    if ((this.processes.get("hidden") ?? []).some((each) => each.text === pid.text)) return "unknown";
    return this.processes.get("running")?.get(pid.text) === processStart ? "yes" : "no";
  }
}

let environment = new Environment("");
let stores = {};

/** The stores on this directory; those from before are closed. */
function open(place) {
  for (const each of Object.values(stores)) each.close();
  environment = new Environment(place.get("directory"));
  environment.set(place);
  stores = {};
  for (const [name, kind] of Object.entries(PROTOCOL.stores)) stores[name] = new store[kind](environment);
  return { answer: null };
}

/** What each kind of request is answered, beside its id. */
const REQUESTS = {
  hello: () => ({
    hello: { protocol: PROTOCOL.protocol, chapters: PROTOCOL.chapters, capabilities: store.CAPABILITIES },
  }),
  echo: (value) => ({ answer: value }),
  reset: open,
  reopen: open,
  call: (call) => {
    const [name, method] = PROTOCOL.operations[call.get("operation")];
    try {
      return { answer: stores[name][method](Object.fromEntries(call.get("arguments"))) ?? null };
    } catch (error) {
      if (error instanceof store.Refusal) return { error: { kind: error.kind, ...error.fields } };
      return { crash: String(error) };
    }
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const request = parse(line);
  const kind = Object.keys(REQUESTS).find((each) => request.has(each));
  if (kind === "call") environment.set(request);
  const answer = kind ? REQUESTS[kind](request.get(kind)) : { crash: `no request: ${line}` };
  process.stdout.write(`${stringify({ id: request.get("id"), ...answer })}\n`);
}
