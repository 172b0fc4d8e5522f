"""Card events made for tests: every field has a value, and a test says those that matter to it."""

from contract.card import CardEvent


def card_event(**values) -> CardEvent:
    """`at_s` stands for the three moments of the event."""
    at_s = values.pop("at_s", 1000.0)
    fields = {
        "event": "card", "event_id": 1, "card_id": "c1", "room": "room-1", "sku": "1001", "name": "好欢螺螺蛳粉 300g",
        "url": "https://shop.example.com/item/1001", "price": "12.90", "currency": "CNY", "confidence": 0.9,
        "box": None, "frame_width": 720, "frame_height": 1280, "pts_s": 1.0, "captured_at_s": at_s,
        "decided_at_s": at_s, "emitted_at_s": at_s,
    }  # fmt: skip
    return CardEvent(**(fields | values))
