"""The gate's states: each state, each event."""

from itertools import product

import pytest

from livecart.live.gate.states import GateEvent, GateState, transition

UNKNOWN, PENDING, ALERT, SETTLED = GateState.UNKNOWN, GateState.PENDING, GateState.ALERT, GateState.SETTLED
#: By event: for each state the next one, and whether the frame needs a look.
TABLE = {
    GateEvent.TRACK_LOST: ((UNKNOWN, True), (PENDING, True), (ALERT, True), (SETTLED, True)),
    GateEvent.FOREGROUND: ((UNKNOWN, True), (PENDING, True), (ALERT, True), (ALERT, True)),
    GateEvent.CANDIDATE_BACKGROUND: ((UNKNOWN, True), (PENDING, True), (ALERT, True), (SETTLED, False)),
    GateEvent.BACKGROUND: ((UNKNOWN, True), (PENDING, True), (SETTLED, False), (SETTLED, False)),
    GateEvent.ALERT_OVER: ((UNKNOWN, False), (PENDING, False), (SETTLED, False), (SETTLED, False)),
    GateEvent.RESULT_PENDING: ((PENDING, False),) * 4,
    GateEvent.RESULT_PRODUCTS: ((SETTLED, False),) * 4,
    GateEvent.RESULT_EMPTY: ((ALERT, False),) * 4,
    GateEvent.RESTART: ((UNKNOWN, False),) * 4,
}


@pytest.mark.parametrize(("state", "event"), list(product(GateState, GateEvent)))
def test_each_event_leads_from_each_state_to_one(state, event):
    assert transition(state, event) == TABLE[event][list(GateState).index(state)]
