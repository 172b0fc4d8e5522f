"""Runs first in each worker: it is the archive's sitecustomize, and TorchServe puts the archive on the worker's path.

TorchServe imports torch to see whether a reply is a tensor, which none of ours is. That took 680 MiB of a worker's
memory (RSS; 270 MiB of it not shared). It finds this stand-in instead, which the handler takes away again.
"""

import sys
import types

_stand_in = types.ModuleType("torch")
_stand_in.Tensor = type("Tensor", (), {})  # type: ignore[attr-defined]
sys.modules["torch"] = _stand_in
