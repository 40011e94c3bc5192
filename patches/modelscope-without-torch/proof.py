"""Tests whether PaddleX's downloads and modelscope can be imported if the installed torch cannot be loaded."""

import importlib.abc
import importlib.machinery
import sys

sys.path.insert(0, sys.argv[1])
from _alone import load_alone
from _answer import answer

MODULE = "paddlex.inference.utils.official_models"
BROKEN = "undefined symbol, as of a torch for another CUDA"


class Libraries(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Provides a torch whose import fails, and a modelscope that works without torch but not with this one."""

    def find_spec(self, name, _path=None, _target=None):
        provided = name.partition(".")[0] in ("torch", "modelscope")
        return importlib.machinery.ModuleSpec(name, self, is_package=True) if provided else None

    def exec_module(self, module):
        if module.__name__ == "torch":
            raise OSError(BROKEN)
        try:
            import torch  # noqa: F401
        except ImportError:
            module.snapshot_download = print


def look(document, folder):
    """Load the module; only the error of torch is the symptom of the defect."""
    sys.meta_path.insert(0, Libraries())
    try:
        # The loader treats the two libraries as real ones, because their finder comes before the stand-ins.
        cache = {"paddlex.utils.cache": {"CACHE_DIR": folder, "FILE_LOCK_DIR": folder}}
        module = load_alone(MODULE, real=("torch", "modelscope"), stand_ins=cache)
    except OSError as error:
        if BROKEN not in str(error):
            raise
        document.update(cured=False, saw="OSError: %s" % error)
    else:
        usable = hasattr(module.modelscope, "snapshot_download")
        document["cured"] = usable and "torch" not in sys.modules
        document["saw"] = "downloads load, modelscope usable: %s" % usable


answer({"probe": "proof"}, look)
