"""Start, stop or show the TorchServe of this checkout.

serve.py start [--port 9080] [--workers 2] [--threads 1] [--host 0.0.0.0]
serve.py status
serve.py stop
serve.py check [--none]
"""

import argparse
import json
import os
import shlex
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil

import torchserve_control as control
from sample_photos import sample_photos
from torchserve_control import Server
from torchserve_plan import ARCHIVE, MODEL, ROOT, Plan, ServerError, positive


def main() -> int:
    options = _arguments()
    try:
        return int({"start": _start, "stop": _stop, "status": _status, "check": _check}[options.command](options))
    except ServerError as error:
        print(f"serve: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # `make status | head -1`
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 - the interpreter flushes it once more at its end
        return 0
    except KeyboardInterrupt:
        print("serve: interrupted; nothing is left running", file=sys.stderr)
        return 130


def _start(options: argparse.Namespace) -> int:
    plan = Plan(
        folder=options.folder.resolve(),
        archive=options.archive,
        port=options.port,
        host=options.host,
        workers=options.workers,
        threads=options.threads,
        token=None if options.token == "auto" else options.token == "on",
        ready_timeout_s=options.timeout,
    )
    print("starting TorchServe …", flush=True)
    started = time.monotonic()
    server = control.start(plan)
    print(f"ready after {time.monotonic() - started:.1f} s, {len(server.workers())} workers\n")
    _show(server, options.folder)
    return 0


def _stop(options: argparse.Namespace) -> int:
    print("stopped" if control.stop(options.folder.resolve()) else "no server of this checkout is running")
    return 0


def _status(options: argparse.Namespace) -> int:
    server = control.running(options.folder.resolve())
    if server:
        server.renew_management_token()
    workers = server.workers() if server else []
    states = [worker["status"] for worker in workers]
    if options.json:
        print(json.dumps({"running": server is not None, "workers": states, **(asdict(server) if server else {})}))
    elif server:
        print(f"workers: {', '.join(map(_worker, workers)) or 'none'}\n")
        _show(server, options.folder)
    else:
        print("no server of this checkout is running")
    return 0 if "READY" in states else 1


def _worker(worker: dict[str, Any]) -> str:
    """State and memory (RSS)."""
    with suppress(psutil.NoSuchProcess, ValueError):  # one that starts anew may have no number yet
        return f"{worker['status']} ({psutil.Process(worker['pid']).memory_info().rss >> 20} MiB)"
    return str(worker["status"])


def _check(options: argparse.Namespace) -> int:
    check = control.require_none if options.none else control.require_running
    check(options.folder.resolve())
    return 0


def _show(server: Server, folder: Path) -> None:
    print(f"predictions  {server.inference_url}/predictions/{MODEL}")
    print(f"management   {server.management_url}/models/{MODEL}")
    print(f"metrics      {server.metrics_url}/metrics")
    print(f"logs         {folder / 'logs'}")
    photo = sample_photos()[0]
    token = ""
    if server.key_file:
        print(f"tokens       {server.key_file} (an hour valid; docs/operations.md says how to renew them)")
        read = "import json,sys; print(json.load(open(sys.argv[1]))['inference']['key'])"
        token = f' \\\n    -H "Authorization: Bearer $(python3 -c {shlex.quote(read)} {shlex.quote(server.key_file)})"'
    print(f"\ntry it:\n  curl {server.inference_url}/predictions/{MODEL} \\")
    print(f"    -H 'Content-Type: image/png' -T {shlex.quote(str(photo))}{token}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=ROOT / ".serve", help="configuration and logs of the server")
    commands = parser.add_subparsers(dest="command", required=True)
    start = commands.add_parser("start", help="start, wait until every worker is READY, return")
    start.add_argument("--archive", type=Path, default=ARCHIVE)
    start.add_argument("--port", type=int, default=8080, help="of predictions; the other four move along")
    start.add_argument("--host", default="127.0.0.1", help="address of predictions; management stays on loopback")
    start.add_argument("--workers", type=positive, help="worker processes (default: one per core, or per GPU)")
    start.add_argument("--threads", type=positive, help="CPU threads of each worker (default: cores / workers)")
    start.add_argument("--token", choices=("auto", "on", "off"), default="auto", help="auto: on unless on loopback")
    start.add_argument("--timeout", type=float, default=300, metavar="S", help="seconds to wait for READY")
    commands.add_parser("stop", help="stop the server of this checkout, and no other")
    status = commands.add_parser("status", help="exit 0 if a worker is READY")
    status.add_argument("--json", action="store_true")
    check = commands.add_parser("check", help="exit 1, and say so, unless a server of this checkout is running")
    check.add_argument("--none", action="store_true", help="the other way round: unless none is")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
