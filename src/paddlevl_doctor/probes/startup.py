"""Starts as Python does, and prints the path of each file that runs code at the start, before it runs.

    target_python -S startup.py

The last of these lines has the file that ended the process or that does not end; it has none if all of them ran.
"""

import importlib.machinery
import site


def say(path):
    """Print one line at once; the code that runs may print others."""
    print("starts: " + path, flush=True)


def announce(name):
    """Let a function of the module site print the path of the file that it is going to run."""
    original = getattr(site, name)

    def run(*given):
        if given:  # addpackage(folder, name of a .pth file, known paths)
            say("%s/%s" % (given[0], given[1]))
        else:
            module = name[len("exec") :]
            found = importlib.machinery.PathFinder.find_spec(module)
            say(getattr(found, "origin", None) or module)
        return original(*given)

    setattr(site, name, run)


for function in ("addpackage", "execsitecustomize", "execusercustomize"):
    announce(function)
site.main()
say("")
