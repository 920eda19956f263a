"""Programs that speak the wire protocol, each wrong in one way: `python pipes.py WAY`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HELLO = {"protocol": "fencepost-adapter/1", "chapters": ["output"], "capabilities": ["controlled-clock", "liveness-oracle"]}
"""What a good adapter says of itself."""


def say(answer: Any) -> None:
    """Write a line."""
    print(json.dumps(answer) if not isinstance(answer, str) else answer, flush=True)


def hello_of(changes: dict[str, Any]) -> Callable[[dict[str, Any]], None]:
    """A program that introduces itself otherwise."""
    return lambda request: say({"id": request["id"], "hello": HELLO | changes})


def after_hello(wrong: Callable[[dict[str, Any]], None], at: str = "call") -> Callable[[dict[str, Any]], None]:
    """A program that is good until this kind of request."""

    def answer(request: dict[str, Any]) -> None:
        if "hello" in request:
            say({"id": request["id"], "hello": HELLO})
        elif at in request:
            wrong(request)
        else:
            say({"id": request["id"], "answer": None})

    return answer


def deaf(request: dict[str, Any]) -> None:
    """Nothing is answered, and nothing is read any more."""
    time.sleep(60)


def dying(request: dict[str, Any]) -> None:
    """The program ends, with a word."""
    print("out of cheese", file=sys.stderr, flush=True)
    os._exit(3)


def endless(request: dict[str, Any]) -> None:
    """A line that never ends."""
    while True:
        print("x" * (1 << 16), end="")


def half_a_line_dying(request: dict[str, Any]) -> None:
    """The program ends in the middle of its answer."""
    print('{"id":', end="", flush=True)
    os._exit(3)


def with_a_child(request: dict[str, Any]) -> None:
    """Something is started that goes on for long, and then nothing comes."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path(os.environ["CHILD"]).write_text(str(child.pid))
    time.sleep(60)


def with_a_child_dying(request: dict[str, Any]) -> None:
    """Something is started that goes on for longer than the program."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], stdin=-3, stdout=-3, stderr=-3)
    Path(os.environ["CHILD"]).write_text(str(child.pid))
    os._exit(3)


def forgetful(request: dict[str, Any]) -> None:
    """Whatever is appended is not there."""
    answers: dict[str, dict[str, Any]] = {
        "output.append": {"answer": f"out-{request['id']:010x}"},
        "list_for_attempt": {"answer": []},
    }
    say({"id": request["id"]} | answers.get(request["call"]["operation"], {"error": {"kind": "OutputNotFound"}}))


KEPT: list[Any] = []
"""The ids of requests that are not answered yet."""


def backwards(request: dict[str, Any]) -> None:
    """Three echoes are answered once all three have come, the last of them first."""
    KEPT.append({"id": request["id"], "answer": request["echo"]})
    if len(KEPT) == 3:
        for answer in reversed(KEPT):
            say(answer)
        KEPT.clear()


def one_of_three(request: dict[str, Any]) -> None:
    """An echo of 1 is answered, and no other."""
    if request["echo"] == 1:
        say({"id": request["id"], "answer": 1})


WAYS: dict[str, Callable[[dict[str, Any]], None]] = {
    "silent from the start": lambda request: None,
    "dead from the start": dying,
    "another protocol": hello_of({"protocol": "fencepost-adapter/2"}),
    "a byte order mark": lambda request: say("\ufeff" + json.dumps({"id": request["id"], "hello": HELLO})),
    "no chapters": hello_of({"chapters": []}),
    "unknown chapter": hello_of({"chapters": ["leases"]}),
    "unknown capability": hello_of({"capabilities": ["teleport"]}),
    "no hello": lambda request: say({"id": request["id"], "answer": None}),
    "silent": after_hello(lambda request: None),
    "deaf": after_hello(deaf),
    "dying": after_hello(dying),
    "dying at the reset": after_hello(dying, "reset"),
    "no reset": after_hello(lambda request: say({"id": request["id"], "crash": "no"}), "reset"),
    "garbage": after_hello(lambda request: say("<html>502</html>")),
    "no object": after_hello(lambda request: say([1])),
    "NaN": after_hello(lambda request: say('{"id":NaN}')),
    "half a line": after_hello(lambda request: print('{"id":', end="", flush=True)),
    "old id": after_hello(lambda request: say({"id": request["id"] - 1, "answer": None})),
    "float id": after_hello(lambda request: say({"id": float(request["id"]), "answer": None})),
    "id that is true": after_hello(lambda request: say({"id": True, "answer": None}), "reset"),
    "with a child": after_hello(with_a_child),
    "with a child, dead": after_hello(with_a_child_dying),
    "half a line, dying": after_hello(half_a_line_dying),
    "endless": after_hello(endless),
    "killed": after_hello(lambda _: os.kill(os.getpid(), 9)),
    "answer and error": after_hello(lambda request: say({"id": request["id"], "answer": None, "error": {"kind": "Oops"}})),
    "no answer": after_hello(lambda request: say({"id": request["id"]})),
    "unknown refusal": after_hello(lambda request: say({"id": request["id"], "error": {"kind": "Oops"}})),
    "another answer": after_hello(lambda request: say({"id": request["id"], "answer": {"ok": 1}})),
    "crash": after_hello(lambda request: say({"id": request["id"], "crash": "ZeroDivisionError"})),
    "forgetful": after_hello(forgetful),
    "backwards": after_hello(backwards, "echo"),
    "echoes one of three": after_hello(one_of_three, "echo"),
    "echoes under an id of its own": after_hello(lambda request: say({"id": 77, "answer": 1}), "echo"),
}


def main() -> None:
    """Answer every line in this program's way."""
    answer = WAYS[sys.argv[1]]
    for line in sys.stdin:
        answer(json.loads(line))


if __name__ == "__main__":
    main()
