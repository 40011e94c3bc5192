"""Entry: `target_python -X utf8 selftest [--device cpu|gpu:0] [--seed N] [--simulate-fused-gate]`."""

import os
import sys

# This package is imported by name, then its folder leaves the path: nothing in it may shadow the target's modules.
sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
from selftest.program import main  # noqa: E402

sys.path.pop(0)

if __name__ == "__main__":
    main(sys.argv[1:])
