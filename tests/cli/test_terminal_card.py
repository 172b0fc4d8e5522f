"""What `livecart watch` writes to a terminal: names, links and reasons are a stranger's, and a terminal obeys."""

import io
import logging

import pytest
from rich.console import Console

from livecart.cli.running import set_up_logging
from livecart.cli.terminal import StatusLine, card_panel, withdrawal_line
from tests.web.hub_clients import event

#: Clears the screen, names the window, hides a link, does the same in 8 bits, turns round, ends the line.
HOSTILE = [
    "\x1b[2J",
    "\x1b]0;owned\x07",
    "\x1b]8;;https://evil.example\x1b\\",
    "\x9b2J",
    "\u202e",
    "\u2028",
    "\n",
    "\0",
]


def _printed(*things) -> str:
    # Without styles, so that every escape sequence in the output is somebody else's.
    written = io.StringIO()
    console = Console(file=written, width=100, force_terminal=True, color_system=None, highlight=False)
    for thing in things:
        console.print(thing)
    return written.getvalue()


@pytest.mark.parametrize("hostile", HOSTILE, ids=ascii)
@pytest.mark.parametrize("field", ["name", "price", "currency", "url"])
def test_a_card_sends_the_terminal_no_orders(field, hostile):
    plain = _printed(card_panel(event("card", 1, **{field: "https://shop.example.com/1"})))
    written = _printed(card_panel(event("card", 1, **{field: f"https://shop.example.com/1{hostile}"})))
    assert hostile[0] not in written.replace("\n", "", plain.count("\n")), "as many lines as without it"


@pytest.mark.parametrize("hostile", HOSTILE, ids=ascii)
def test_a_withdrawal_and_the_status_line_send_none_either(hostile, monkeypatch):
    written = _printed(withdrawal_line(event("withdraw", 1, name=f"tea{hostile}", reason=f"gone{hostile}")))
    assert hostile[0] not in written.removesuffix("\n")
    shown = io.StringIO()
    StatusLine(Console(file=shown, force_terminal=True, color_system=None)).show(f"reconnecting: {hostile}")
    assert hostile[0] not in shown.getvalue()


def test_what_a_shop_writes_stays_as_it_is():
    name = "好欢螺 [bold]300g[/x] 👩\u200d👧 Café"
    written = _printed(card_panel(event("card", 1, name=name)), withdrawal_line(event("withdraw", 1, name=name)))
    assert written.count(name) == 2


def test_a_room_is_no_markup():
    assert "[/bold]" in _printed(card_panel(event("card", 1, room="[/bold]")))


def test_a_link_is_never_cut_but_a_card_has_an_end():
    written = _printed(card_panel(event("card", 1, url="https://shop.example.com/" + "q" * 500)))
    assert written.count("q") == 500
    assert len(_printed(card_panel(event("card", 1, name="长" * 100_000)))) < 20_000


def test_a_log_line_is_one_line_and_moves_no_cursor(capsys, monkeypatch):
    monkeypatch.setattr(logging.root, "handlers", [])
    monkeypatch.setattr(logging.root, "level", logging.root.level)
    set_up_logging(logging.INFO)
    logging.getLogger("livecart").warning("room %s: %s", "a", "rtsp://x/\r\n2026-01-01 ERROR forged \x1b[2J")
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.endswith("room a: rtsp://x/��2026-01-01 ERROR forged �[2J\n")
