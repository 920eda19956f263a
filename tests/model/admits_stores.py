"""What CURRENT requirements of runtimes and outputs admit: calls, with what a store may and may not answer."""

from __future__ import annotations

from admits_session import Case
from fencepost.model import Refused, State
from fencepost.spec import (
    Backend,
    InvalidArgument,
    OutputInternal,
    OutputRef,
    RunApplyBoundary,
    RunBoundaryReceipt,
    SessionKeyMismatch,
    WriteFailed,
)
from store_builders import (
    EMPTY,
    FINAL,
    GREETED,
    HELLO_DIGEST,
    I1,
    I2,
    I3,
    NONSENSE,
    OTHER_SESSION,
    PLAIN,
    RUN,
    SESSION,
    T1,
    Call,
    after,
    apply,
    boundary,
    input_state,
    numbered,
    output,
    persist,
    receipt,
    ref,
)

FAILED, UNDONE = Refused(WriteFailed()), Refused(Backend())
MISMATCH = Refused(SessionKeyMismatch(OTHER_SESSION, SESSION))
FIRST, SECOND, THIRD = input_state(I1), input_state(I2), input_state(I3)
THREE = after(persist(THIRD), persist(FIRST), persist(SECOND))


def at(sequence: int) -> RunBoundaryReceipt:
    """The receipt of a commit that was greeted, with this number."""
    return RunBoundaryReceipt(
        run_id=RUN,
        boundary=RunApplyBoundary.Immediate,
        contributing_input_ids=(),
        conversation_digest=HELLO_DIGEST,
        message_count=1,
        sequence=sequence,
    )


def case(requirement: str, state: State, call: Call, admitted: tuple[object, ...], barred: tuple[object, ...]) -> Case:
    """What may and may not be answered to a call."""
    return Case(requirement, state, *call, admitted, barred)


CASES = (
    case("RUNTIME-9", THREE, ("load_input_states", ("r",)),
         ((THIRD, FIRST, SECOND), (THIRD, SECOND, FIRST), (SECOND, FIRST, THIRD)),
         ((FIRST, SECOND), (), (THIRD, FIRST, FIRST), (THIRD, FIRST, SECOND, FIRST), (input_state(I3, at=T1), FIRST, SECOND),
          None)),
    case("RUNTIME-9", after(persist(FIRST)), ("load_input_states", ("r",)), (), ((FIRST, FIRST), (PLAIN,))),
    case("RUNTIME-23a", numbered(2**63 - 1), boundary(), (FAILED,),
         (at(0), at(2**63 - 1), at(2**63 + 1), UNDONE, Refused(InvalidArgument("sequence", "2^63", "less")))),
    case("RUNTIME-23a", numbered(2**64 - 2), boundary(), (FAILED,), (at(0), at(2**64 - 2), UNDONE)),
    case("RUNTIME-23a", numbered(2**63 - 2), boundary(), (), (FAILED, UNDONE, at(0))),
    case("RUNTIME-23a", numbered(2**64 - 1), boundary(), (), (at(0), at(2**64 - 1), UNDONE)),
    case("RUNTIME-38", State(), apply(delta=NONSENSE), (None,), (UNDONE, MISMATCH)),
    case("RUNTIME-38", State(), apply(delta=EMPTY), (), (FAILED, UNDONE)),
    case("RUNTIME-38", State(), boundary(delta=NONSENSE), (), (at(0), None, UNDONE)),
    case("RUNTIME-38", numbered(5), apply(delta=NONSENSE, made=receipt(5)), (None,), (UNDONE,)),
    case("RUNTIME-40", numbered(5), apply(made=receipt(5)), (None,), (UNDONE, MISMATCH)),
    case("RUNTIME-40", numbered(5), apply(made=receipt(5, message_count=0), delta=GREETED), (None,), (UNDONE,)),
    case("RUNTIME-40", numbered(5), apply(made=receipt(4)), (), (FAILED, UNDONE)),
    case("RUNTIME-41", State(), apply(delta=GREETED, key=OTHER_SESSION), (None,),
         (FAILED, UNDONE, Refused(SessionKeyMismatch(SESSION, OTHER_SESSION)))),
    case("RUNTIME-41", numbered(5), apply(delta=GREETED, made=receipt(5), key=OTHER_SESSION), (FAILED, None), (UNDONE,)),
    case("RUNTIME-41", State(), apply(delta=GREETED, key=SESSION), (), (MISMATCH, FAILED)),
    case("RUNTIME-41", State(), apply(key=OTHER_SESSION), (), (MISMATCH, FAILED)),
    case("OUTPUT-2", State(), output(),
         (OutputRef(""), OutputRef("x"), OutputRef("out-000000000A"), OutputRef("out-00000000000")),
         (Refused(OutputInternal()), None, "out-0000000000")),
    case("OUTPUT-2", after(output(FINAL)), output(), (OutputRef("out-0"),), (ref(0), Refused(OutputInternal()))),
)  # fmt: skip
"""Calls whose answer is left free, with what a store may answer and what it may not."""
