"""How good recognition is: labelled photos split into a catalog and queries, composed frames, metrics and plots."""

import sys

from torchserve_plan import ROOT

# What serves is what is measured: ``recognition`` is imported from where the archive is built of.
sys.path.insert(0, str(ROOT / "handler"))
