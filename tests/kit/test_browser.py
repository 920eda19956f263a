"""The page of a counterexample in a real browser: headless Chromium lays it out, and a probe measures what came of it."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from fencepost.kit.showing.counterexample_html import counterexample_page
from kinds import found, request

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on PATH to look at pages with")

PROBE = """
<pre id="probe"></pre><script>
const box = each => { const r = each.getBoundingClientRect(); return [r.left, r.top, r.right, r.bottom] };
const all = selector => [...document.querySelectorAll(selector)];
document.getElementById("probe").textContent = JSON.stringify({
  wide: document.documentElement.scrollWidth, window: document.documentElement.clientWidth,
  drawing: box(document.querySelector("svg.timeline")), frame: box(document.querySelector(".scroll")),
  bars: all("rect.bar").map(box), dots: all("a.dot circle").map(box), lanes: all("rect.lane").map(box),
  labels: all("g text.label").map(box), names: all("text.name").map(each => each.lastChild.data),
  answers: all(".answer").map(box), steps: all(".step").map(box), shown: document.body.innerText,
  colours: [getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color],
});
</script>
"""


def chromium(*arguments: str) -> subprocess.CompletedProcess[str]:
    """What the browser prints."""
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


def looked_at(kind: str, folder: Path, *, width: int = 1200, dark: bool = False) -> dict[str, Any]:
    """What the probe finds on the page of a counterexample, in a window of this width."""
    path = folder / "page.html"
    path.write_text(counterexample_page(found(kind), request(kind)).replace("</main>", f"</main>{PROBE}"))
    light = [f"--blink-settings=preferredColorScheme={0 if dark else 1}"]
    shown = chromium(*light, f"--window-size={width},2000", "--dump-dom", path.as_uri())
    assert "CONSOLE" not in shown.stderr, shown.stderr
    probe = re.search(r'<pre id="probe">(.*?)</pre>', shown.stdout, re.DOTALL)
    assert probe is not None
    read: dict[str, Any] = json.loads(html.unescape(probe[1]))
    return read


def inside(inner: list[float], outer: list[float]) -> bool:
    """Whether a box lies in another one."""
    return inner[0] >= outer[0] and inner[1] >= outer[1] and inner[2] <= outer[2] and inner[3] <= outer[3]


def apart(left: list[float], right: list[float]) -> bool:
    """Whether two boxes do not overlap."""
    return left[2] <= right[0] or right[2] <= left[0] or left[3] <= right[1] or right[3] <= left[1]


@pytest.mark.parametrize(
    ("kind", "bars", "names"),
    [
        ("takeover", 1, ["a/1", "b/1"]),
        ("commit", 2, ["a/1", "b/1"]),
        ("inputs", 3, ["a/1", "b/1", "caller"]),
        ("settled", 3, ["a/1", "b/1", "caller"]),
        ("event", 0, ["caller"]),
        ("output", 0, ["writer", "caller"]),
    ],
)
def test_bars_and_dots_lie_in_their_lanes(kind: str, bars: int, names: list[str], tmp_path: Path) -> None:
    """Every bar has a width, lies in the drawing and in one lane, and over no other bar; the page does not overflow."""
    seen = looked_at(kind, tmp_path)
    assert (len(seen["bars"]), seen["names"]) == (bars, names)
    assert len(seen["dots"]) == len(found(kind).performed) == len(seen["steps"])
    assert seen["wide"] <= seen["window"]
    assert inside(seen["drawing"], seen["frame"])
    for each in (*seen["bars"], *seen["dots"]):
        assert each[2] - each[0] > 8
        assert inside(each, seen["drawing"])
        assert sum(inside(each, lane) for lane in seen["lanes"]) == 1
    boxes = [*seen["bars"], *seen["dots"]]
    assert all(apart(each, other) for place, each in enumerate(boxes) for other in boxes[:place])
    assert all(any(inside(label, bar) for bar in seen["bars"]) for label in seen["labels"])


def test_the_texts_are_there_to_be_read(tmp_path: Path) -> None:
    """As the browser shows them: the sentence, the story, both answers side by side, and each step."""
    seen = looked_at("commit", tmp_path)
    for text in (
        "COMMIT-8a violated",
        "Every commit that is not a replay, the first of a session included",
        "the call showed fencing token 1 of a/1, granted at 1000",
        "refused with SessionExecutionLeaseExpired",
        "the clock moves from 1000 to 1010 ms: lease of a/1 expired at 1010",
        "decided by COMMIT-8a",
    ):
        assert text in seen["shown"], text
    expected, given = seen["answers"]
    assert expected[1] == given[1]
    assert expected[2] < given[0]


def test_a_narrow_window_has_room_too(tmp_path: Path) -> None:
    """Answers stand below each other, and only the drawing scrolls."""
    seen = looked_at("settled", tmp_path, width=500)
    expected, given = seen["answers"]
    assert expected[3] <= given[1]
    assert seen["wide"] <= seen["window"]
    assert seen["frame"][2] <= seen["window"]


def test_light_and_dark_differ(tmp_path: Path) -> None:
    """Dark on light, and light on dark."""
    paper, ink = looked_at("takeover", tmp_path)["colours"]
    dark_paper, dark_ink = looked_at("takeover", tmp_path, dark=True)["colours"]
    assert (paper, ink) == ("rgb(251, 252, 253)", "rgb(28, 32, 36)")
    assert (dark_paper, dark_ink) == ("rgb(16, 19, 23)", "rgb(232, 235, 239)")


def test_a_page_can_be_photographed(tmp_path: Path) -> None:
    """As it is, without the probe: there is something on it."""
    path, shot = tmp_path / "page.html", tmp_path / "page.png"
    path.write_text(counterexample_page(found("settled"), request("settled")))
    chromium(f"--screenshot={shot}", "--window-size=1200,2000", path.as_uri())
    assert shot.read_bytes().startswith(b"\x89PNG")
    assert shot.stat().st_size > 50_000
