"""The start of the program, as `paddlevl-doctor` and as `python -m paddlevl_doctor`."""

import os
import sys


def main() -> None:
    """Run the command line with modules of its own: PYTHONPATH and the working folder may hold another json.py.

    PYTHONPATH is for the target, whose Python gets it as it is. The doctor searches its folders last.
    """
    named = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    absolute = {os.path.abspath(folder) for folder in named if folder}  # noqa: PTH100
    sys.path.sort(key=lambda folder: folder in absolute)

    from paddlevl_doctor.cli import main as run  # noqa: PLC0415 - after the change of the import path

    run()


if __name__ == "__main__":
    # `python -m` searches the working folder first; `paddlevl-doctor` does not.
    if not getattr(sys.flags, "safe_path", False):
        root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 - `os` is loaded
        del sys.path[0]
        if root not in sys.path:
            sys.path.append(root)
    main()
