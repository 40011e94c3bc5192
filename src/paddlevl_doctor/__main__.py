"""`python -m paddlevl_doctor` is the same program as `paddlevl-doctor`."""

import os
import sys

if __name__ == "__main__":
    # `python -m` searches the working folder first, where a json.py of a stranger may lie; `paddlevl-doctor` does not.
    if not getattr(sys.flags, "safe_path", False):
        root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 - `os` is loaded
        del sys.path[0]
        if root not in sys.path:
            sys.path.append(root)

    from paddlevl_doctor.cli import main

    main()
