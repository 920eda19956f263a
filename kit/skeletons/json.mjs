// JSON that keeps every number as it was written. JSON.parse makes doubles of them: 2^53 + 1 comes back as 2^53, 1.0 as 1.

/** A number, by its text. */
export class Num {
  constructor(text) {
    this.text = String(text);
  }
}

/** The value of a JSON text; numbers become `Num`. Throws a SyntaxError for what is no JSON. */
export function parse(text) {
  let at = 0;

  const fail = () => {
    throw new SyntaxError(`no JSON at ${at}: ${text.slice(at, at + 20)}`);
  };
  const space = () => {
    while (" \t\r\n".includes(text[at]) && at < text.length) at += 1;
  };
  const match = (pattern) => {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (!found) fail();
    at = pattern.lastIndex;
    return found[0];
  };
  const list = (close, item) => {
    at += 1;
    space();
    if (text[at] === close) return void (at += 1);
    for (;;) {
      space();
      item();
      space();
      if (text[at] === close) return void (at += 1);
      if (text[at] !== ",") fail();
      at += 1;
    }
  };
  const value = () => {
    space();
    switch (text[at]) {
      case "{": {
        const object = new Map();
        list("}", () => {
          const key = string();
          space();
          if (text[at] !== ":") fail();
          at += 1;
          object.set(key, value());
        });
        return object;
      }
      case "[": {
        const array = [];
        list("]", () => array.push(value()));
        return array;
      }
      case '"':
        return string();
      case "t":
        return match(/true/y) && true;
      case "f":
        return match(/false/y) && false;
      case "n":
        return match(/null/y) && null;
      default:
        return new Num(match(/-?\d+(\.\d+)?([eE][+-]?\d+)?/y));
    }
  };
  const string = () => JSON.parse(match(/"([^"\\]|\\.)*"/y));

  const found = value();
  space();
  if (at < text.length) fail();
  return found;
}

/** The JSON text of a value that `parse` gave, or of maps, objects, arrays, texts, numbers and truths. */
export function stringify(value) {
  if (value instanceof Num) return value.text;
  if (Array.isArray(value)) return `[${value.map(stringify).join(",")}]`;
  if (value instanceof Map) return stringifyEntries([...value]);
  if (value !== null && typeof value === "object") return stringifyEntries(Object.entries(value));
  return JSON.stringify(value);
}

function stringifyEntries(entries) {
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${stringify(item)}`).join(",")}}`;
}
