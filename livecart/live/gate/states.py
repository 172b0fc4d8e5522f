"""The gate's state, and the events that change it."""

from enum import Enum


class GateState(Enum):
    """Of a room whose gate tracks."""

    #: No result yet, or the stream began anew.
    UNKNOWN = "unknown"
    #: One more result could announce a product.
    PENDING = "pending"
    #: Something new came a moment ago, and nothing is decided.
    ALERT = "alert"
    #: Products in sight are tracked, the rest is background.
    SETTLED = "settled"


class GateEvent(Enum):
    """An event that changes the state."""

    #: A changed frame: a product with a card is not where the tracker expects it.
    TRACK_LOST = "track lost"
    #: A changed frame: something is in no earlier picture.
    FOREGROUND = "foreground"
    #: A changed frame: all of it is in earlier pictures, some of it only in candidates for background.
    CANDIDATE_BACKGROUND = "candidate background"
    #: A changed frame: all of it is in earlier pictures.
    BACKGROUND = "background"
    ALERT_OVER = "alert over"
    #: A result after which one more could announce a product.
    RESULT_PENDING = "result pending"
    #: Another result with products.
    RESULT_PRODUCTS = "result products"
    #: A result without products. An alert goes on: one look may miss a product. Its time says when it is over.
    RESULT_EMPTY = "result empty"
    RESTART = "restart"


_RESULTS = {
    GateEvent.RESULT_PENDING: GateState.PENDING,
    GateEvent.RESULT_PRODUCTS: GateState.SETTLED,
    GateEvent.RESULT_EMPTY: GateState.ALERT,
    GateEvent.RESTART: GateState.UNKNOWN,
}


def transition(state: GateState, event: GateEvent) -> tuple[GateState, bool]:
    """The next state, and whether the frame of the event, if it is a frame's, needs a look for what it shows."""
    if event in _RESULTS:
        return _RESULTS[event], False
    if event is GateEvent.ALERT_OVER:
        return (GateState.SETTLED if state is GateState.ALERT else state), False
    if state in (GateState.UNKNOWN, GateState.PENDING) or event is GateEvent.TRACK_LOST:
        return state, True
    if event is GateEvent.FOREGROUND:
        return GateState.ALERT, True
    if state is GateState.ALERT and event is GateEvent.CANDIDATE_BACKGROUND:
        return state, True
    return GateState.SETTLED, False
