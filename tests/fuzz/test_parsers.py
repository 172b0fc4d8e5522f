"""The corpus and a short run of every fuzz target; `make fuzz` is the long one."""

import subprocess
import sys


def test_no_hostile_input_makes_a_parser_fail_or_go_over_its_bounds(tmp_path):
    # A process of its own: the targets stand in for what would send packets or fork.
    command = [sys.executable, "-m", "tests.fuzz", "--inputs", "100", "--seed", "1", "--folder", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
