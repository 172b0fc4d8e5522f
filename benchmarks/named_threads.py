"""Runs `livecart` with its threads named to the system, so that CPU time can be told apart by thread.

    python benchmarks/named_threads.py run --config rooms.toml

Python 3.11 keeps a thread's name to itself; here each new thread's name is also written where Linux shows it. Nothing
else differs from `python -m livecart`.
"""

import threading
from contextlib import suppress
from pathlib import Path

from livecart.cli.commands import main

ROOT = Path(__file__).resolve().parent.parent


#: Linux keeps so many bytes of a name.
_NAME_BYTES = 15

_start = threading.Thread.start


def _start_named(self: threading.Thread) -> None:
    _start(self)
    # It may have ended already.
    with suppress(OSError):
        Path(f"/proc/self/task/{self.native_id}/comm").write_bytes(self.name.encode()[:_NAME_BYTES])


if __name__ == "__main__":
    threading.Thread.start = _start_named  # type: ignore[method-assign]
    main()
