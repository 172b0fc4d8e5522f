"""Who watches a room gets the newest look and bounded events; where nobody watches, nothing is kept."""

from livecart.core.types import Detections
from livecart.live.watchers import RoomWatchers
from tests.web.hub_clients import event


def look(pts_s: float, room: str = "room-1") -> Detections:
    return Detections(room, pts_s, 100.0 + pts_s, 720, 1280, (), {})


def test_the_newest_look_wins_and_says_how_many_it_passed_over():
    watch = RoomWatchers()
    with watch.watch("room-1") as watcher:
        for pts_s in (1.0, 2.0, 3.0):
            watch.tell(look(pts_s))
        watch.tell(look(9.0, "room-2"))
        assert watcher.changed.is_set()
        news = watcher.take()
        assert (news.detections.pts_s, news.skipped) == (3.0, 2)
        assert news.decided_at_s > 0
        assert not watcher.changed.is_set()
        assert watcher.take().detections is None


def test_events_are_bounded_and_what_is_dropped_is_counted():
    watch = RoomWatchers()
    with watch.watch("room-1") as watcher:
        for number in range(1, 131):
            watch.tell_event(event("update", number))
        watch.tell_event(event("update", 1, room="room-2"))
        news = watcher.take()
        assert [news.events[0].event_id, news.events[-1].event_id, news.events_missed] == [3, 130, 2]
        assert watcher.take().events == ()
        assert watcher.take().events_missed == 0


def test_watchers_are_forgotten_when_they_go():
    watch = RoomWatchers()
    with watch.watch("room-1") as first, watch.watch("room-1") as second:
        assert watch.watchers_of("room-1") == 2
        watch.tell(look(1.0))
        assert first.take().detections is not None
        assert second.take().detections is not None
    assert watch.watchers_of("room-1") == 0
    watch.tell(look(2.0))
    assert first.take().detections is None
