"""Describes the environment it runs in, as one JSON line: the interpreter and every installed distribution.

Runs in the target's Python (3.8 or later), imports the standard library only and reads as little as it can:
a name and a version stand in the name of a .dist-info folder, and reading 100 METADATA files through
importlib.metadata would cost three times as much as all of this.
"""

import os
import sys

# A json.py on PYTHONPATH is what this is to find, not what it is to import. PYTHONPATH may name Python's own library.
_path = sys.path[:]
_named = [os.path.abspath(name) for name in os.environ.get("PYTHONPATH", "").split(os.pathsep) if name]
sys.path.sort(key=lambda folder: folder in _named)

import ctypes  # noqa: E402 - as above
import json  # noqa: E402 - as above
import struct  # noqa: E402 - as above
import sysconfig  # noqa: E402 - as above

sys.path[:] = _path

# Those whose requirements are listed whole: the stack, and what is known to share libraries with it.
STACK = ("paddleocr", "paddlex", "paddlepaddle", "paddlepaddle-gpu", "torch", "vllm", "sglang")
# Where the search for requirements begins: a distribution and an extra that PaddleOCR-VL uses; "" stands for none.
ROOTS = (
    ("paddlepaddle", ""),
    ("paddlepaddle-gpu", ""),
    ("paddleocr", ""),
    ("paddleocr", "doc-parser"),
    ("paddlex", ""),
    ("paddlex", "ocr"),
    ("paddlex", "genai-client"),
    ("safetensors", ""),
)
# The packages of those that a repair changes; two distributions of paddle own one folder.
PACKAGES = {
    "paddleocr": "paddleocr",
    "paddlex": "paddlex",
    "paddlepaddle": "paddle",
    "paddlepaddle-gpu": "paddle",
    "numpy": "numpy",
    "safetensors": "safetensors",
}
# What the wheels need from the system (failures.md: libgl-missing, libgomp-missing); on Windows the runtime of
# Visual C++, which paddle/__init__.py tries to load in the same way.
LIBRARIES = {
    "linux": ("libGL.so.1", "libglib-2.0.so.0", "libgomp.so.1"),
    "win32": ("vcruntime140.dll", "vcruntime140_1.dll", "msvcp140.dll"),
}


def normalized(name):
    """Return a distribution's name in its normal form (PEP 503)."""
    if name.isalnum():
        return name.lower()
    parts = name.replace("_", "-").replace(".", "-").lower().split("-")
    return "-".join(part for part in parts if part)


def requirements(folder):
    """Return the Requires-Dist lines of a .dist-info folder."""
    try:
        with open(os.path.join(folder, "METADATA"), "rb", buffering=0) as file:
            data = file.read()
    except OSError:
        return []
    header = data.replace(b"\r", b"").split(b"\n\n", 1)[0]
    lines = (b"\n" + header).split(b"\nRequires-Dist:")[1:]
    return [line.split(b"\n", 1)[0].decode("utf-8", "replace").strip() for line in lines]


def by_extra(lines):
    """Group Requires-Dist lines by the extras in their markers; those without one under ""."""
    found = {}
    for line in lines:
        parts = line.replace("extra==", "extra ==").split("extra ==") if "extra" in line else [line]
        for part in parts[1:] or ["''"]:
            extra = normalized(part.strip()[1:].replace('"', "'").partition("'")[0])
            found.setdefault(extra, []).append(line)
    return found


def required(line):
    """Return what a Requires-Dist line requires: (name, extra) pairs, with "" for the distribution itself."""
    name, _, rest = line.partition(";")[0].partition("[")
    for sign in " (<>=!~@":
        name = name.partition(sign)[0]
    extras = rest.partition("]")[0].split(",")
    return [(normalized(name), normalized(extra.strip())) for extra in ["", *extras]]


def is_recorded(folder):
    """Return whether this distribution's files are known: from RECORD, or to an installer that writes none.

    Debian and conda leave RECORD out and name themselves in INSTALLER; their own databases list the files.
    """
    if os.path.exists(os.path.join(folder, "RECORD")):
        return True
    try:
        with open(os.path.join(folder, "INSTALLER"), encoding="utf-8", errors="replace") as file:
            return file.read().strip() not in ("", "pip", "uv")
    except OSError:
        return False


def is_editable(folder):
    """Return whether direct_url.json marks an editable installation."""
    try:
        with open(os.path.join(folder, "direct_url.json"), encoding="utf-8") as file:
            return bool(json.load(file).get("dir_info", {}).get("editable"))
    except (OSError, ValueError, AttributeError):
        return False


def import_spec(package):
    """Return the spec of a top-level package and the finder that found it, as an import would; import nothing."""
    for finder in sys.meta_path:
        try:
            spec = finder.find_spec(package, None)
        except Exception:  # a finder of another program
            spec = None
        if spec is not None:
            return spec, finder
    return None, None


def import_origin(package, own):
    """Return the folder that a package is imported from, and how that folder relates to the target's own folders.

    target: it is one of them; shadowing: it comes before them, so an installation into them would not be imported;
    elsewhere: it comes after them; namespace: a package without a file of its own; absent: the import fails.
    """
    spec, finder = import_spec(package)
    places = list(getattr(spec, "submodule_search_locations", None) or ())
    if not places and getattr(spec, "origin", None) is None:
        return None, "absent"
    folder = os.path.dirname(places[0] if places else spec.origin)
    if spec.origin is None:
        return folder, "namespace"
    if os.path.realpath(folder) in own and os.path.isfile(spec.origin):
        return folder, "target"
    order = [os.path.realpath(entry or ".") for entry in sys.path]
    first = min([order.index(path) for path in own if path in order] or [len(order)])
    real = os.path.realpath(folder)
    if real in order:
        return folder, "shadowing" if order.index(real) < first else "elsewhere"
    names = [
        getattr(one, "__name__", "") for one in sys.meta_path
    ]  # an editable installation has its own finder
    standard = names.index("PathFinder") if "PathFinder" in names else len(names)
    return folder, "shadowing" if sys.meta_path.index(finder) < standard else "elsewhere"


def add_origins(found, own):
    """Add to each distribution that a repair changes where its package is imported from."""
    known = {}
    for entry in found:
        package = PACKAGES.get(entry["name"])
        if package is not None:
            if package not in known:
                known[package] = import_origin(package, own)
            entry["imported_from"], entry["origin"] = known[package]


def add_requirements(found):
    """Add to the stack, and to all that it requires, their Requires-Dist lines; return the names of all these.

    Lines of extras that nothing asks for are left out, except in the distributions of STACK. Other markers and the
    versions are judged by the doctor.
    """
    entries, lines, seen, waiting = {}, {}, set(), list(ROOTS)
    for entry in found:
        entries.setdefault(entry["name"], entry)
        if entry["name"] in STACK:
            entry["requires"] = requirements(entry["path"])
            lines.setdefault(entry["name"], by_extra(entry["requires"]))
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in seen or name not in entries:
            continue
        seen.add((name, extra))
        if name not in lines:
            lines[name] = by_extra(requirements(entries[name]["path"]))
        for line in lines[name].get(extra, ()):
            if line not in entries[name]["requires"]:
                entries[name]["requires"].append(line)
            waiting += required(line)
    return {name for name, _ in seen}


def distribution(folder, entry):
    """Describe one .dist-info (or .egg-info) folder."""
    stem = entry.rsplit(".", 1)[0]
    name, _, version = stem.rpartition("-")
    if entry.endswith(".egg-info"):  # NAME-VERSION-pyX.Y.egg-info
        name, _, version = stem.partition("-")
        version = version.split("-py")[0]
    name, path = normalized(name or stem), os.path.join(folder, entry)
    return {
        "name": name,
        "version": version,
        "path": path,
        "has_record": is_recorded(path),
        "has_metadata": entry.endswith(".egg-info") or os.path.exists(os.path.join(path, "METADATA")),
        "requires": [],
        "editable": is_editable(path),
    }


def distributions(own):
    """List the distributions of every folder on sys.path, in that order, and what an installer left behind there.

    `own` are the real paths of the folders that installers use.
    """
    found, leftovers, seen = [], [], set()
    for folder in sys.path:
        real = os.path.realpath(folder or ".")
        if real in seen or not os.path.isdir(real):
            continue
        seen.add(real)
        names = sorted(os.listdir(real))
        # pip renames what it removes to ~NAME first; a killed pip leaves it.
        leftovers += [n for n in names if n.startswith("~")]
        found += newest_first(
            [
                dict(distribution(folder, n), in_target=real in own)
                for n in names
                if n.endswith((".dist-info", ".egg-info")) and n[0] != "~"
            ]
        )
    return found, leftovers


def newest_first(there):
    """Sort the records of one folder, of one name the newest first: a killed upgrade was on its way there."""
    by_version = sorted(there, key=lambda found: release(found["version"]), reverse=True)
    return sorted(by_version, key=lambda found: found["name"])


def release(version):
    """Return the numbers of a version; what is none counts least."""
    return [int(part) if part.isdigit() else -1 for part in version.split(".")]


def missing_libraries():
    """Name the shared libraries that the dynamic loader does not find.

    Under WSL the driver's is among them, by the name that paddle asks for: NVML may be found and this one not.
    """
    missing = []
    release = os.uname().release if hasattr(os, "uname") else ""
    wsl = ("libcuda.so",) if "microsoft" in release.lower() else ()
    for name in LIBRARIES.get(sys.platform, ()) + wsl:
        try:
            ctypes.CDLL(name)
        except OSError:
            missing.append(name)
    return missing


def main():
    """Print the description."""
    paths = sysconfig.get_paths()
    marker = os.path.join(paths["stdlib"], "EXTERNALLY-MANAGED")
    virtual = sys.prefix != sys.base_prefix
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path.insert(0, here)  # with PYTHONSAFEPATH it is not there
    import _ownership

    sys.path[:] = [folder for folder in sys.path if folder != here]
    own = {os.path.realpath(paths[name]) for name in ("purelib", "platlib")}
    found, leftovers = distributions(own)
    add_origins(found, own)
    needed = add_requirements(found)
    answer = {
        "python": sys.executable,
        "version": "%d.%d.%d" % sys.version_info[:3],
        "implementation": sys.implementation.name,
        "bits": 8 * struct.calcsize("P"),
        "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
        "prefix": sys.prefix,
        "base_prefix": sys.base_prefix,
        "purelib": paths["purelib"],
        "platlib": paths["platlib"],
        "externally_managed": not virtual and os.path.exists(marker),
        "distributions": found,
        "leftovers": leftovers,
        "missing_libraries": missing_libraries(),
    }
    answer.update(_ownership.look(own, found, needed))
    print(json.dumps(answer))


main()
