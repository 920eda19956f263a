"""What a command line chooses from."""

from __future__ import annotations

import click
import pytest
from fencepost.kit.choices import Duration


@pytest.mark.parametrize(("given", "seconds"), [("60s", 60), ("1.5m", 90), ("1h", 3_600), ("0.5", 0.5), (10.0, 10)])
def test_a_span_of_time_is_a_number_of_seconds(given: str | float, seconds: float) -> None:
    """With a unit or without; a default is one already."""
    assert Duration().convert(given, None, None) == seconds


@pytest.mark.parametrize("given", ["nan", "inf", "-1", "0s", "1e3", "a minute", ""])
def test_what_is_no_span_of_time_is_a_mistake(given: str) -> None:
    """A run could neither end after it nor wait so long."""
    with pytest.raises(click.BadParameter, match=r"expected a span of time such as 60s, 5m or 1h\."):
        Duration().convert(given, None, None)


@pytest.mark.parametrize("given", ["8761h", "99999999999999", "9" * 400])
def test_no_span_of_time_is_longer_than_a_year(given: str) -> None:
    """The system refuses to wait for so long, and there is no end of a run after so many seconds."""
    assert Duration().convert("8760h", None, None) == 31_536_000
    with pytest.raises(click.BadParameter, match=r"expected a span of time of 8,760h at most: a year\."):
        Duration().convert(given, None, None)
