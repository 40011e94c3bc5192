"""Runs a module of the doctor: `python launch.py MODULE ARGUMENTS`, as `python -m MODULE ARGUMENTS`.

`python -m` searches the working folder first, where a numpy.py may lie beside a document. PYTHONSAFEPATH and -P prevent
that only since Python 3.11.
"""

import sys

_HERE = __file__.replace("\\", "/").rpartition("/")[0]
_ROOT = _HERE.removesuffix("/paddlevl_doctor/system")
_FOLDERS = [path.replace("\\", "/") for path in sys.path]

# Before any other import, which would search this folder.
sys.path[:] = [path for path, folder in zip(sys.path, _FOLDERS, strict=True) if folder != _HERE]
if _ROOT not in _FOLDERS:
    sys.path.append(_ROOT)

if __name__ == "__main__":
    import runpy

    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
