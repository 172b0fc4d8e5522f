"""Work on strangers' bytes in a process of its own, with limits of time and memory.

A decoder or parser that loops, swells or crashes ends there, and not the process of all rooms and viewers. Processes
are forked from one that has the libraries loaded, so that each costs milliseconds.
"""

import math
import multiprocessing
import resource
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

import msgspec

from livecart.core.errors import LivecartError

_CONTEXT = multiprocessing.get_context("forkserver")
_MIB = 1024 * 1024
_MOST_RESULT_BYTES = 256 * _MIB
#: Each may take a core and its memory; others wait.
_AT_ONCE = threading.BoundedSemaphore(2)
_preloaded: list[str] = []


class OverLimit(LivecartError):
    """The work took more time or memory than it may, or its process died."""


def preload(module: str) -> None:
    """Have `module` loaded where processes are forked from; called before the first `run_untrusted`."""
    _preloaded.append(module)
    _CONTEXT.set_forkserver_preload(_preloaded)


def run_untrusted(work: Callable[[bytes], Any], data: bytes, *, limit_s: float, memory_mib: int) -> Any:
    """Run `work` on `data` and give what it returns. Blocks.

    Args:
        work: a function of a module, so that it is found there too; it returns what MessagePack can hold.
        data: is not changed.
        limit_s: of its time by the clock, and of its CPU time.
        memory_mib: of its own memory.

    Raises:
        OverLimit: it is over a limit, or has crashed, or raised.
    """
    with _AT_ONCE:
        receiver, sender = _CONTEXT.Pipe(duplex=False)
        process = _CONTEXT.Process(target=_limited, args=(sender, work, data, limit_s, memory_mib), daemon=True)
        timer = threading.Timer(limit_s, process.kill)
        with receiver:
            try:
                # Ours is closed at once, so that the end of the process is the end of the pipe.
                with sender:
                    process.start()
                timer.start()
                return msgspec.msgpack.decode(receiver.recv_bytes(_MOST_RESULT_BYTES))
            except (EOFError, OSError) as error:
                raise OverLimit(f"more than {limit_s:g} s or {memory_mib} MiB, or a crash") from error
            finally:
                timer.cancel()
                if timer.ident is not None:
                    timer.join()
                if process.pid is not None:
                    process.kill()
                    process.join()
                process.close()


def _limited(sender: Connection, work: Callable[[bytes], Any], data: bytes, limit_s: float, memory_mib: int) -> None:
    seconds = math.ceil(limit_s)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_DATA, (memory_mib * _MIB, memory_mib * _MIB))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # The other side sees the pipe end, and says so.
    with suppress(MemoryError):
        sender.send_bytes(msgspec.msgpack.encode(work(data)))
