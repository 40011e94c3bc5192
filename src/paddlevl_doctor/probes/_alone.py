"""Loads one real module of an installed package, with stand-ins for everything it imports.

A patch's proof wants to run a few lines of one file. Importing all of paddlex for them takes seconds (and tens of
seconds where there is no bytecode yet); the file alone takes milliseconds. The file is found, compiled and cached
by Python's own import system, so what runs is what any program in this environment would run.
"""

import importlib
import importlib.machinery
import os
import sys
import types

_BUILT_IN = frozenset(sys.builtin_module_names)
_STANDARD = os.path.dirname(os.path.abspath(os.__file__))


class Bare:
    """What a class consists of whose bases are stand-ins: it takes any arguments and does nothing with them."""

    def __init__(self, *_, **__):
        pass


class StandIn:
    """Has every attribute, can be called, decorates without effect, and as a base class takes any arguments."""

    def __init__(self, name="stand-in"):
        self._name = name

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return StandIn("%s.%s" % (self._name, name))

    def __call__(self, *args, **options):
        """Give back a class or function that is to be decorated, else another stand-in."""
        decorates = len(args) == 1 and not options and isinstance(args[0], (type, types.FunctionType))
        return args[0] if decorates else StandIn(self._name)

    def __mro_entries__(self, _):
        return (Bare,)

    def __getitem__(self, _):
        return StandIn(self._name)

    def __iter__(self):
        return iter(())

    def __bool__(self):
        return False

    def __or__(self, _):
        return self

    __ror__ = __or__


class _Module(types.ModuleType):
    """A module in which each attribute is a stand-in."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return StandIn(name)


class _Stage:
    """Finds a stand-in for every module that is neither wanted, nor real, nor in the standard library.

    A finder and loader by its methods: importlib.abc would take longer to import than the module that is looked at.
    """

    def __init__(self, wanted, real):
        self.wanted, self.real = wanted, frozenset(real)

    def find_spec(self, name, _path=None, _target=None):
        first = name.partition(".")[0]
        if name == self.wanted or first in self.real or _is_standard(first):
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec):
        return _Module(spec.name)

    def exec_module(self, module):
        pass


def _is_standard(name):
    known = getattr(sys, "stdlib_module_names", None)  # since Python 3.10
    if known is not None:
        return name in known
    spec = None if name in _BUILT_IN else importlib.machinery.PathFinder.find_spec(name)
    where = getattr(spec, "origin", None) or ""
    return name in _BUILT_IN or (where.startswith(_STANDARD) and "site-packages" not in where)


def load_alone(name, real=(), stand_ins=None):
    """Return the installed module `name`, loaded with stand-ins around it.

    Packages in `real` are imported as they are. `stand_ins` maps names of modules to attributes that they shall have.
    Raises ModuleNotFoundError where the module is not installed.
    """
    package = name.partition(".")[0]
    found = importlib.machinery.PathFinder.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError("No module named %r" % package, name=package)
    sys.meta_path.insert(0, _Stage(name, real))
    for module, attributes in (stand_ins or {}).items():
        vars(importlib.import_module(module)).update(attributes)
    _place_parents(name, list(found.submodule_search_locations))
    return importlib.import_module(name)


def _place_parents(name, folders):
    """Make the packages above the module, without running their __init__.py."""
    parts = name.split(".")[:-1]
    for depth in range(1, len(parts) + 1):
        package = importlib.import_module(".".join(parts[:depth]))
        package.__path__ = [os.path.join(folder, *parts[1:depth]) for folder in folders]
