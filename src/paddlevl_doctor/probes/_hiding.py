"""Finds what Python imports instead of installed packages or standard modules, for the probe `inventory`.

Python looks into the folder of a script, or into the working folder, before all others, and into PYTHONPATH before
the packages of an environment.
"""

import importlib.machinery
import os
import sys
import sysconfig

SUFFIXES = importlib.machinery.all_suffixes()
"""The suffixes of the files that this Python loads, such as .py and .cpython-311-x86_64-linux-gnu.so."""

NEVER = ("test", "this", "antigravity", "idlelib", "lib2to3", "turtle", "turtledemo")
EARLY = ("abc", "codecs", "encodings", "genericpath", "io", "ntpath", "os", "posixpath", "site", "stat")
HARMLESS = (*NEVER, *EARLY)
"""Standard modules that the stack never imports, or that are imported before Python looks into these folders."""
STACK = ("numpy", "paddle", "paddleocr", "paddlex", "safetensors")


def look(installed, site_folders, claims):
    """Return the files, packages and libraries that hide a module of Python, or one in `installed`.

    `installed` are names of modules, `site_folders` the folders that these lie in. `claims` returns, for a folder
    before them, a test of whether distributions in it list a name: their versions are judged as those of others are.
    The packages of STACK are left out there, too: where they are imported from is in the inventory.
    Paths in the working folder are relative to it, others are absolute; packages end with a slash.
    """
    names = standard_modules().difference(HARMLESS) | installed
    here = os.path.realpath(".")
    not_searched = getattr(sys.flags, "safe_path", False) or here in site_folders
    found = [] if not_searched or _is_library(here) else list(_hiding(here, names, site_folders))
    for folder in _before(site_folders):
        if folder != here:
            is_claimed = claims(folder)
            hiding = _hiding(folder, names.difference(STACK), site_folders)
            found += [os.path.join(folder, path) for path in hiding if not is_claimed(path.partition("/")[0])]
    return found


def standard_modules():
    """Return the names of the modules of Python's library; Python 3.8 and 3.9 do not know them."""
    listed = getattr(sys, "stdlib_module_names", None)
    if listed is None:
        listed = {name.partition(".")[0] for name in os.listdir(sysconfig.get_paths()["stdlib"])}
    return set(listed) - set(sys.builtin_module_names)


def _before(site_folders):
    """Return the folders that Python searches before the packages of the environment, without its own library."""
    folders = []
    for entry in sys.path:
        folder = os.path.realpath(entry or ".")
        if folder in site_folders:
            break
        if os.path.isdir(folder) and not _is_library(folder):
            folders.append(folder)
    return folders


def _is_library(folder):
    """Return whether a folder is, or lies in, the library of this Python."""
    paths = sysconfig.get_paths()
    extensions = os.path.join(sys.base_exec_prefix, "DLLs")  # on Windows
    own = (os.path.dirname(os.__file__), paths["stdlib"], paths["platstdlib"], extensions)
    return any((folder + os.sep).startswith(os.path.realpath(one) + os.sep) for one in own)


def _hiding(folder, names, site_folders):
    """Yield the path of each file or package in a folder that hides a module.

    A folder without `__init__` hides parts of a package that has none either, such as google.
    """
    for entry in sorted(os.listdir(folder)):
        name, _, suffix = entry.partition(".")
        path = os.path.join(folder, entry)
        if name not in names:
            continue
        if suffix:
            if "." + suffix in SUFFIXES and os.path.isfile(path):
                yield entry
        elif _is_package(path):
            yield entry + "/"
        else:
            yield from _shared_parts(path, [os.path.join(other, entry) for other in site_folders])


def _is_package(path):
    """Return whether a folder has an `__init__` that this Python loads."""
    return any(os.path.isfile(os.path.join(path, "__init__" + suffix)) for suffix in SUFFIXES)


def _shared_parts(path, others):
    """Yield what a folder hides of the same parts of a package in `others`, if that has no `__init__`."""
    for other in others:
        if os.path.isdir(path) and os.path.isdir(other) and not _is_package(other):
            for part in sorted(set(os.listdir(other)) & set(os.listdir(path)) - {"__pycache__"}):
                slash = "/" if os.path.isdir(os.path.join(path, part)) else ""
                yield os.path.basename(path) + "/" + part + slash
