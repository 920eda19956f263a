"""The commands of the gallery: what they list, what they show, and what they make of faults that are not caught."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from fencepost.gallery import cli, demo, hunt
from fencepost.gallery.hunt import BY_NAME, Catch
from fencepost.gallery.planting import NotPlanted, Patch, PlantedBug
from fencepost.gallery.report import counted, report_of
from fencepost.impl import DuckDBEventStore, DuckDBStores, lease
from fencepost.kit.cli import cli as command
from fencepost.kit.planted import planted, written
from fencepost.kit.result import Request
from fencepost.kit.result import Result as Run


def called(*arguments: str) -> Result:
    """What the command line answers."""
    return CliRunner().invoke(command, arguments)


def test_the_list_is_chosen_by_chapter_requirement_and_kind() -> None:
    """Each option alone leaves just the faults of that chapter, requirement or kind; together, those of all three."""
    assert "token-reused" in called("gallery").output
    of_chapter = called("gallery", "--chapter", "lease").output
    assert "token-reused  LEASE-10" in of_chapter
    assert "late-event-taken" not in of_chapter
    assert "1 fault." in called("gallery", "--requirement", "lease-36").output
    assert "expiry-wraps" in called("gallery", "--kind", "number overflow").output
    both = called("gallery", "--kind", "number overflow", "--requirement", "LEASE-10")
    assert (both.exit_code, "no fault is chosen" in both.output) == (2, True)


def test_a_fault_is_shown_with_its_requirement_and_how_it_is_planted() -> None:
    """Sentence, requirement, kind with its meaning, and the source."""
    shown = called("gallery", "show", "live-at-its-expiry").output
    assert "A lease is still live at the very instant of its expiry." in shown
    assert "LEASE-6" in shown
    assert "off by one at an edge  Right everywhere but" in shown
    assert 'patch.setattr(lease, "live"' in shown


def test_a_name_may_be_written_as_python_writes_it() -> None:
    """With lines below in place of dashes."""
    assert called("gallery", "show", "token_reused").output == called("gallery", "show", "token-reused").output


def test_an_unknown_name_is_answered_with_those_that_look_alike() -> None:
    """A usage error, before anything is hunted."""
    answer = called("gallery", "run", "live-at-its-expirey")
    assert answer.exit_code == 2
    assert "Did you mean live-at-its-expiry" in answer.output


def test_a_fault_is_hunted_and_told_with_steps_and_seconds() -> None:
    """One that is soon found, and the summary."""
    answer = called("gallery", "run", "live-at-its-expiry")
    assert answer.exit_code == 0
    assert "1/1  live-at-its-expiry  LEASE-6  caught  " in answer.output
    assert "1 of 1 planted faults caught and laid on their requirement" in answer.output


def test_a_fault_that_gets_away_fails_and_one_that_cannot_be_planted_is_no_result() -> None:
    """Exit code 1 for a fault that was not caught or laid on another requirement, 2 for one that was not planted."""
    caught = Catch("live-at-its-expiry", ("LEASE-12", "LEASE-6"), 10, 0.1, 2)
    away = Catch("live-at-its-expiry", steps=25)
    other = Catch("live-at-its-expiry", ("LEASE-1", "LEASE-2", "LEASE-3", "LEASE-6"), 10, 0.1, 2)
    unplanted = Catch("live-at-its-expiry", trouble="the store has changed")
    codes = [cli.exit_code(each) for each in ([caught], [caught, away], [other], [away, unplanted])]
    assert codes == [0, 1, 1, 2]
    assert "NOT CAUGHT" in str(cli.line_of(away, 1, 1))
    assert "LEASE-1, LEASE-2, LEASE-3 (NOT ITS OWN)" in report_of([other], 0)
    assert "0 of 1 are caught" in report_of([other], 0)
    assert "NOT PLANTED: the store has changed" in report_of([unplanted], 0)


def test_a_fault_whose_store_has_changed_is_not_planted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name, or a text, that a fault replaces is gone, or the store with it does not even start: it is told, not hunted."""
    monkeypatch.delattr(lease, "definitely_dead")
    assert hunt.hunted("doubt-is-death").trouble
    monkeypatch.setattr(lease, "GUARD", lease.GUARD._replace(sql="SELECT 1"))
    assert hunt.hunted("fence-live-at-its-expiry").trouble == "GUARD no longer says 'expires_at > ?'"
    monkeypatch.undo()
    broken = BY_NAME["token-reused"]._replace(plant=lambda patch: patch.setattr(DuckDBEventStore, "get_turn", lambda *_: None))
    monkeypatch.setitem(BY_NAME, "token-reused", broken)
    assert hunt.hunted("token-reused").trouble == "the store with it no longer keeps an event"


@pytest.mark.slow
def test_a_healthy_store_gives_a_hunt_nothing_to_catch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault that does nothing is not caught: the hunt can fail."""
    harmless = BY_NAME["live-at-its-expiry"]._replace(plant=lambda _: None)
    monkeypatch.setitem(BY_NAME, "live-at-its-expiry", harmless)
    monkeypatch.setattr(hunt, "EXAMPLES", 1)
    catch = hunt.hunted("live-at-its-expiry")
    assert (catch.trouble, catch.named, catch.is_right) == ("", (), False)


def test_a_report_and_a_proof_are_about_all_faults(tmp_path: Path) -> None:
    """They are refused for some, and hold what was counted for all."""
    answer = called("gallery", "run", "live-at-its-expiry", "--proof", str(tmp_path / "proof.json"))
    assert (answer.exit_code, list(tmp_path.iterdir())) == (2, [])
    caught = Catch("live-at-its-expiry", ("LEASE-6",), 10, 0.1, 2, seed=7)
    proof = json.loads(written(counted([caught, caught._replace(seed=8), caught._replace(named=())], 7)))
    budget = {"version": "0.1.0", "seed": 7, "seeds": 5, "examples": 40, "steps": 50}
    assert proof == {**budget, "planted": 3, "caught": 2, "at_first": 1}


def test_where_one_seed_shows_something_else_the_next_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five at most; the catch tells the seed, and what the last one showed if none was right."""
    runs: list[int] = []

    def run(shows: int) -> Callable[[PlantedBug, int], Catch]:
        def hunted(bug: PlantedBug, seed: int) -> Catch:
            runs.append(seed)
            return Catch(bug.name, ("LEASE-6",) if seed == shows else ("LEASE-1",))

        return hunted

    monkeypatch.setattr(hunt, "_hunted", run(4))
    assert (hunt.hunted("live-at-its-expiry", 2).seed, runs) == (4, [2, 3, 4])
    runs.clear()
    catch = hunt.hunted("live-at-its-expiry", 5)
    assert (catch.seed, catch.is_right, runs) == (9, False, [5, 6, 7, 8, 9])


def test_a_patch_is_taken_back_and_can_be_made_again() -> None:
    """Attributes are as before, an inherited one is inherited again, and a second entry replaces what the first did."""

    class Above:
        name = "above"

    class Below(Above):
        pass

    patch = Patch()
    with patch:
        patch.setattr(Below, "name", "patched")
        patch.setattr(Below, "name", "twice")
        assert Below.name == "twice"
    assert "name" not in vars(Below)
    with patch:
        assert Below.name == "twice"
    assert Below.name == "above"
    with pytest.raises(NotPlanted, match="Below no longer has absent"):
        patch.setattr(Below, "absent", 1)


def test_a_demo_that_is_interrupted_is_no_catch(monkeypatch: pytest.MonkeyPatch) -> None:
    """The exit code is 2, as with `verify`, also where the fault was found by then."""
    request = Request("", ("commit",))
    monkeypatch.setattr(demo, "verify", lambda *_: Run(request, (), (), interrupted=True))
    answer = called("demo")
    assert answer.exit_code == 2
    assert answer.stderr == "Error: interrupted before the fault was caught and shortened.\n"


def test_the_demo_catches_a_stale_writer_and_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The takeover is in the counterexample, the exit code is 0, no file is written, and the store is sound again."""
    monkeypatch.chdir(tmp_path)
    sound = DuckDBStores.close, lease.GUARD
    answer = called("demo")
    assert answer.exit_code == 0, answer.output
    assert "COMMIT-8a violated" in answer.output
    assert "with fencing token 2" in " ".join(answer.output.split())
    assert "fencing token 1 of" in " ".join(answer.output.split())
    assert "What to do next" in answer.output
    assert list(tmp_path.iterdir()) == []
    assert (DuckDBStores.close, lease.GUARD) == sound


def published() -> list[str]:
    """The names in the published report."""
    lines = (Path(__file__).parents[2] / "reports" / "planted-bugs.md").read_text().splitlines()
    return [line.split("`")[1] for line in lines if line.startswith("* `")]


def test_the_proof_on_file_is_about_faults_of_the_gallery() -> None:
    """As many were planted as the published report names, each once: all there are in the gallery."""
    found = planted()
    assert found is not None
    assert found.planted == len(published()) == len(set(published()))
    assert set(published()) == set(BY_NAME)
