"""Compares the stack's installed files with what their wheels promised (RECORD), as one JSON line.

    target_python -X utf8 installed_files.py

Standard library only. Files without a hash in RECORD (bytecode, RECORD itself) and those outside of the
site-packages folder (scripts, which installers write themselves) are left alone.
"""

import base64
import csv
import hashlib
import os
import sys

from _answer import answer

OTHERS = ("safetensors", "numpy")
CHUNK = 1 << 20


def normalized(entry):
    """Return the normalised distribution name of NAME-VERSION.dist-info."""
    name = entry[: -len(".dist-info")].rpartition("-")[0]
    return name.lower().replace("_", "-").replace(".", "-")


def is_ours(name):
    """Return whether a distribution (normalised name) belongs to the stack."""
    return name.startswith("paddle") or name in OTHERS


def digest(path):
    """Return a file's SHA-256."""
    state = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        for chunk in iter(lambda: file.read(CHUNK), b""):
            state.update(chunk)
    return state


def promised(path):
    """Return (relative path, hash) of every line of a RECORD that can be checked."""
    with open(path, encoding="utf-8", newline="") as file:
        rows = [row for row in csv.reader(file) if len(row) > 1 and row[1].startswith("sha256=")]
    return [(row[0], row[1][7:]) for row in rows if not row[0].startswith(("..", "/")) and ":" not in row[0]]


def compare(site, relative, wanted):
    """Return missing, the description of an altered file, or None where the file is as promised."""
    path = os.path.join(site, *relative.split("/"))
    try:
        found = digest(path)
        links = os.stat(path).st_nlink
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        return {"path": relative, "sha256": None, "links": 0, "error": str(error)}
    if base64.urlsafe_b64encode(found.digest()).rstrip(b"=").decode("ascii") == wanted.rstrip("="):
        return None
    return {"path": relative, "sha256": found.hexdigest(), "links": links, "error": None}


def distribution(site, entry):
    """Compare one distribution."""
    version = entry[: -len(".dist-info")].rpartition("-")[2]
    found = {"name": normalized(entry), "version": version}
    found.update({"record": True, "files": 0, "missing": [], "altered": []})
    try:
        lines = promised(os.path.join(site, entry, "RECORD"))
    except (OSError, ValueError, csv.Error):
        return {**found, "record": False}
    for relative, wanted in lines:
        result = compare(site, relative, wanted)
        found["files"] += 1
        if result is not None:
            found["missing" if result == "missing" else "altered"].append(
                relative if result == "missing" else result
            )
    return found


def look(document, _folder):
    """Compare every distribution of the stack on sys.path; a folder that is there twice is read once."""
    seen = set()
    for folder in sys.path:
        site = os.path.realpath(folder or ".")
        if site in seen or not os.path.isdir(site):
            continue
        seen.add(site)
        for entry in sorted(os.listdir(site)):
            if entry.endswith(".dist-info") and is_ours(normalized(entry)):
                document["distributions"].append(distribution(site, entry))


def main():
    """Compare, and print what was found."""
    sys.path.pop(0)  # the folder of this script
    answer({"probe": "installed_files", "distributions": []}, look)


main()
