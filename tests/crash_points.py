"""A program that is killed before its n-th write: each in turn, and the same ones every time.

Run as a program, `crash_points.py FOLDER MODULE:FUNCTION ARGUMENTS`, it calls the function in a process of its own for
each number on standard input, and prints whether it came to its end (`ended`) or was killed before that write.
"""

import importlib
import os
import signal
import subprocess
import sys
from contextlib import contextmanager

from tests.conftest import ROOT

#: Audit events of the interpreter; the first argument of each is a path.
_WRITES = {"os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir", "os.truncate"}
_FOR_WRITING = os.O_WRONLY | os.O_RDWR


def kill_before(number, folder):
    """SIGKILL to this process when it is about to change a file below `folder` for the `number`-th time from now on."""
    left = number

    def heard(event, arguments):
        nonlocal left
        writes = event in _WRITES or (event == "open" and arguments[2] is not None and arguments[2] & _FOR_WRITING)
        if writes and isinstance(arguments[0], str | os.PathLike) and os.fspath(arguments[0]).startswith(folder):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(heard)


@contextmanager
def killed_before_a_write(folder, function, *arguments):
    """Gives a call that runs `function` ("module:name") until its n-th write below `folder`; True: it has fewer."""
    command = [sys.executable, "-m", "tests.crash_points", str(folder), function, *map(str, arguments)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def run(number):
            process.stdin.write(f"{number}\n")
            process.stdin.flush()
            said = process.stdout.readline().strip()
            assert said in {"ended", "killed"}, said
            return said == "ended"

        yield run
        process.stdin.close()


def main(folder, function, *arguments):
    module, _, name = function.partition(":")
    called = getattr(importlib.import_module(module), name)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            try:
                kill_before(int(line), folder)
                called(*arguments)
                os._exit(0)
            finally:
                os._exit(1)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print({0: "ended", -signal.SIGKILL: "killed"}.get(status, f"exit status {status}"), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
