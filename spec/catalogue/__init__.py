"""The requirement catalogue: every rule with its id, level, sentence and evidence, in chapters and their sections."""

from __future__ import annotations

import enum
import re
import tomllib
from functools import cache
from importlib.resources import files
from itertools import groupby

from ..values import Record


class Level(enum.Enum):
    """How a requirement binds."""

    LAW = "LAW"
    """The published trait documentation says it, or all known backends agree: a store that breaks it fails."""
    CURRENT = "CURRENT"
    """Known backends differ or the text is silent: a store that differs is reported, and fails under --strict."""
    CAPABILITY = "CAPABILITY"
    """Binds only a store that declares the capability."""


EVIDENCE = {
    "trait-doc": "published trait documentation",
    "types": "published types",
    "in-memory": "known in-memory store",
    "sqlite": "known SQLite store",
    "redb": "known redb store",
    "postgres": "known PostgreSQL store",
    "conformance": "known conformance suite",
    "decided": "decided here, where the others differ or are silent",
}
"""Where a requirement can come from, by the words that the catalogue uses."""


class Requirement(Record, frozen=True, kw_only=True):
    """One rule. The optional texts say what else is admitted, and why a rule is not seen or reached in a run."""

    id: str
    chapter: str
    section: str
    level: Level
    says: str
    evidence: tuple[str, ...]
    admits: str | None = None
    internal: str | None = None
    capability: str | None = None
    unreached: str | None = None


class Section(Record, frozen=True):
    """Requirements of a chapter that belong together, in the order of the chapter."""

    chapter: str
    title: str
    requirements: tuple[Requirement, ...]

    @property
    def name(self) -> str:
        """The title as a name for code, such as `path_reads`."""
        return re.sub(r"\W+", "_", self.title.lower())


class CatalogueChapter(Record, frozen=True):
    """A chapter of the catalogue."""

    name: str
    title: str
    about: str
    requirements: tuple[Requirement, ...]

    @property
    def sections(self) -> tuple[Section, ...]:
        """Its requirements by sections."""
        parts = groupby(self.requirements, key=lambda each: each.section)
        return tuple(Section(self.name, title, tuple(part)) for title, part in parts)


NAMES = (
    "values",
    "lease",
    "claim",
    "turn_input",
    "queued_work",
    "commit",
    "session",
    "maintenance",
    "attachment",
    "runtime",
    "event",
    "output",
)
"""The chapters of the catalogue, in reading order.

`values` holds what binds all of them, `claim` what claims of turn inputs and of queued work share.
"""


@cache
def chapters() -> tuple[CatalogueChapter, ...]:
    """The catalogue by chapters."""
    return tuple(_chapter(name) for name in NAMES)


@cache
def requirements() -> dict[str, Requirement]:
    """The catalogue by requirement id; an id that stands in two chapters is an error."""
    by_id: dict[str, Requirement] = {}
    for chapter in chapters():
        for requirement in chapter.requirements:
            if requirement.id in by_id:
                raise ValueError(f"{requirement.id} stands in {by_id[requirement.id].chapter} and in {chapter.name}")
            by_id[requirement.id] = requirement
    return by_id


def _chapter(name: str) -> CatalogueChapter:
    tables = tomllib.loads(files(__package__).joinpath(f"{name}.toml").read_text(encoding="utf-8"))
    title, about = tables.pop("title"), " ".join(tables.pop("about").split())
    found, section = [], ""
    for requirement_id, table in tables.items():
        # it is named where it begins, and goes on to where the next one does
        section = table.pop("section", section)
        texts = {key: value.strip() for key, value in table.items() if key not in ("level", "evidence")}
        level, evidence = Level(table["level"]), tuple(table["evidence"])
        found.append(Requirement(id=requirement_id, chapter=name, section=section, level=level, evidence=evidence, **texts))
    return CatalogueChapter(name, title, about, tuple(found))
