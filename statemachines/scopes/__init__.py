"""The scope of each chapter: what is small enough to be searched to the last state."""

from ..scope import Scope
from .attachment import AttachmentScope
from .commit import CommitScope
from .event import EventScope
from .lease import LeaseScope
from .maintenance import MaintenanceScope
from .output import OutputScope
from .queued_work import QueuedWorkScope
from .runtime import RuntimeScope
from .session import SessionScope
from .turn_input import TurnInputScope

SCOPES: dict[str, type[Scope]] = {
    each.chapter: each
    for each in (
        LeaseScope,
        TurnInputScope,
        QueuedWorkScope,
        CommitScope,
        SessionScope,
        MaintenanceScope,
        AttachmentScope,
        RuntimeScope,
        EventScope,
        OutputScope,
    )
}
"""The scope of each chapter, in reading order."""
