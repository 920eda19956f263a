"""The processes of a search: the order of their answers, one that ends, and what is left of them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from multiprocessing import active_children

import pytest
from fencepost.statemachines.crew import CrewLost, crew
from fencepost.statemachines.expansion import NotIndependent


def adding(number: int) -> Callable[[int], int]:
    """Adds the number, and takes longer for even ones."""

    def added(job: int) -> int:
        time.sleep(0.002 if job % 2 == 0 else 0)
        return job + number

    return added


def ending(_: None) -> Callable[[int], None]:
    """Ends its process at the first job."""
    return lambda _: os._exit(0)


def refusing(_: None) -> Callable[[int], None]:
    """Raises at the first job what this process is to be told."""

    def refuse(job: int) -> None:
        raise NotIndependent(f"job {job} sees more than its part of the store")

    return refuse


def unmade(_: None) -> Callable[[int], None]:
    """Cannot be made at all, for want of a file."""
    raise FileNotFoundError("there is no scope")


def test_answers_come_in_the_order_of_the_jobs() -> None:
    """However long each takes, and however often the crew is asked."""
    with crew(2, adding, 7) as evaluate:
        assert list(evaluate(range(200))) == list(range(7, 207))
        assert list(evaluate(())) == []
        assert list(evaluate(range(3))) == [7, 8, 9]
    assert active_children() == []


def test_a_process_that_ends_is_missed() -> None:
    """Nothing is waited for that cannot come."""
    with pytest.raises(CrewLost, match="one of the processes of --workers ended"), crew(2, ending, None) as evaluate:
        list(evaluate(range(3)))
    assert active_children() == []


@pytest.mark.parametrize(
    ("make", "error", "told"),
    [
        (refusing, NotIndependent, "job 0 sees more than its part of the store"),
        (unmade, FileNotFoundError, "there is no scope"),
    ],
)
def test_what_a_job_raises_is_raised_here(
    make: Callable[[None], Callable[[int], None]], error: type[Exception], told: str
) -> None:
    """It is no process that was lost: a search with several says of a scope that is wrong what a search with one says."""
    with pytest.raises(error, match=told), crew(2, make, None) as evaluate:
        list(evaluate(range(3)))
    assert active_children() == []


def test_nothing_is_left_of_a_crew_that_was_interrupted() -> None:
    """Ctrl-C comes while jobs are under way."""

    def jobs() -> Iterator[int]:
        yield from range(500)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), crew(2, adding, 7) as evaluate:
        list(evaluate(jobs()))
    assert active_children() == []
