"""Compares the code at the top of site-packages folders with the lists of distributions, for the probe `inventory`.

RECORD files are searched and not parsed: they have 20,000 lines, and the folders have some hundred names.
"""

import os
import site
import sys
import sysconfig

import _hiding

LOADED = (".py", ".pyc", ".pyw", ".so", ".pyd")
"""The ends of the names of files that Python imports."""
CODE = (*LOADED, ".dll", ".dylib", ".pth", ".egg", ".egg-link")
"""The same with files that Python reads for its import path, or that extension modules load."""
LIBRARIES = (b".pyd", b".dll") if os.sep == "\\" else (b".so",)
"""The suffixes of extension modules, and of the libraries that they load; a version may follow."""
WITH_PACKAGES = ("numpy", "opencv", "paddle", "safetensors")
"""The beginnings of the names of distributions whose packages are looked for, to a depth of MOST_DEEP."""
MOST_DEEP = 3
"""`paddle/nn/functional/__init__.py` is that deep."""
START_MODULES = ("sitecustomize", "usercustomize")
UNNEEDED = ("__pycache__", "test", "tests", "docs", "doc", "examples", "benchmarks")
"""Top-level names in wheels that no import needs; people delete them to make an image smaller."""
MOST_ENTRIES = 5000
"""The number of entries of a folder that are searched for code; a folder with more is named without a search."""
VIRTUALENV = '"""Patches that are applied at runtime to the virtual environment."""'
OVERLAY = "import site; site.addsitedir("
"""What `uv run --with` writes, before the path."""
EASY_INSTALL = ("import sys; sys.__plen = len(sys.path)", "import sys; new=sys.path[sys.__plen:]")
"""The beginnings of the lines that setuptools itself wrote into easy-install.pth."""


def is_code(name):
    """Return whether Python loads a file of this name, or reads it for its import path."""
    return name.endswith(CODE) or ".so." in name


class Owners:
    """What the distributions in one folder claim: top-level names, and the RECORD lines of files at the top.

    Of those whose names are in `needed` also their libraries and inner packages.
    """

    def __init__(self, needed, found):
        self.needed = needed
        self.names = set()
        self.owners = {}
        self.files = {}
        self.inner = {}
        self.records = []
        for one in found:
            self._add(one["path"], one["name"])

    def _add(self, path, name):
        """Add the claims of one .dist-info or .egg-info. Raises OSError if it cannot be read."""
        record = _read(os.path.join(path, "RECORD"))
        if record is not None:
            self._add_record(b"\n" + (record.replace(b"\\", b"/") if os.sep == "\\" else record), name)
            return
        self.names.update((name, name.replace("-", "_"), name.replace("-", "_") + ".py"))
        listed = _read(os.path.join(path, "top_level.txt")) or b""
        for module in listed.decode("utf-8", "replace").split():
            self.names.update((module.partition("/")[0], module + ".py"))
        installed = _read(os.path.join(path, "installed-files.txt")) or b""
        for line in installed.decode("utf-8", "surrogateescape").splitlines():
            if line.startswith(".." + os.sep):
                self.names.add(line[3:].partition(os.sep)[0])

    def _add_record(self, record, name):
        """Add the names in a RECORD that is sorted; `claims` finds what this misses in one that is not."""
        self.records.append(record)
        if name in self.needed:
            for path in _deciding(record, name):
                self.inner.setdefault(os.fsdecode(path), set()).add(name)
        at = 0
        while 0 <= at < len(record) - 1:
            end = record.find(b"\n", at + 1)
            line = record[at + 1 : end if end >= 0 else len(record)]
            top, slash, _ = line.partition(b"/")
            if slash and not top.endswith((b"..", b".dist-info")):  # few lines, often before all others
                end = record.find(b"\n", record.rfind(b"\n" + top + b"/") + 1)
            elif not slash:
                self._add_file(line, name)
            claimed = os.fsdecode(top if slash else line.partition(b",")[0])
            self.names.add(claimed)
            if claimed.endswith((".libs", *LOADED)) or (slash and claimed.isidentifier()):
                self.owners.setdefault(claimed, set()).add(name)
            at = end

    def _add_file(self, line, name):
        path, _, rest = line.rstrip(b"\r").partition(b",")
        digest, _, size = rest.partition(b",")
        if digest.startswith(b"sha256=") and size.isdigit():
            found = [name, digest[7:].decode("ascii", "replace"), int(size)]
            former = self.files.setdefault(os.fsdecode(path), found)
            if former[1:] != found[1:]:  # several distributions wrote it
                former[2] = None

    def missing(self, folder, present):
        """Return the code in `folder` that one distribution alone claims and that does not exist: (path, owner).

        Below the top these are libraries and packages. Of a folder that is missing, the files are not returned.
        `present` are the names in `folder`.
        """
        gone = {}
        for name, owners in (*self.owners.items(), *self.inner.items()):
            if name in present or len(owners) > 1 or os.path.lexists(os.path.join(folder, name)):
                continue
            if not _is_unneeded(name):
                gone.setdefault(_first_missing(folder, name), *owners)
        return sorted(gone.items())

    def modules(self):
        """Return the names of the top-level modules and packages of the distributions `needed`."""
        needed = (name for name, owners in self.owners.items() if not owners.isdisjoint(self.needed))
        return {name.partition(".")[0] for name in needed if name not in UNNEEDED}

    def claims(self, name):
        """Return whether a distribution lists this file, or a file below this folder."""
        if name in self.names:
            return True
        raw = os.fsencode(name)
        quoted = b'\n"' + raw.replace(b'"', b'""')
        starts = (b"\n" + raw + b"/", b"\n" + raw + b",", quoted + b"/", quoted + b'"')
        return any(start in record for record in self.records for start in starts)


def _deciding(record, name):
    """Yield the paths of the libraries in the RECORD of a distribution, and of `__init__.py` if WITH_PACKAGES."""
    packages = (b"/__init__.py",) if name.startswith(WITH_PACKAGES) else ()
    for suffix in (*packages, *LIBRARIES):
        at = record.find(suffix)
        while at >= 0:
            end = at + len(suffix)
            path = record[record.rfind(b"\n", 0, at) + 1 : record.find(b",", end)]
            is_shallow = suffix in LIBRARIES or path.count(b"/") <= MOST_DEEP
            if record[end : end + 1] in (b",", b".") and is_shallow and not path.startswith(b'"'):
                yield path
            at = record.find(suffix, end)


def _is_unneeded(name):
    """Return whether no import needs a file or folder: it belongs to tests, documentation or examples."""
    stems = [part.partition(".")[0] for part in name.split("/")]
    return any(
        s in UNNEEDED or s.startswith(("test_", "_test")) or s.endswith(("_test", "_tests")) for s in stems
    )


def _first_missing(folder, name):
    """Return the first folder of a path that does not exist, or the path if only its last part does not."""
    parent = os.path.dirname(name)
    exists = not parent or os.path.lexists(os.path.join(folder, parent))
    return name if exists else _first_missing(folder, parent)


def _read(path):
    """Return the bytes of a file, None if there is none."""
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None


def site_folders(own):
    """Return the site-packages folders whose code this look judges: the target's own, and the user's."""
    folders = sorted(own)
    if site.ENABLE_USER_SITE:
        folders.append(os.path.realpath(site.getusersitepackages()))
    known = {os.path.realpath(entry or ".") for entry in sys.path}
    return [folder for folder in dict.fromkeys(folders) if folder in known and os.path.isdir(folder)]


def look(own, found, needed):
    """Compare the top of the site-packages folders with RECORDs: code without an owner, files with one, missing code.

    Of what the stack requires (the names in `needed`) libraries and inner packages are compared, too, and what hides
    its modules is named. `problem` is the reason if a list of files could not be read: then `unowned` is None.
    """
    answer = {
        "site_folders": site_folders(own),
        "unowned_code": [],
        "single_files": [],
        "missing_code": [],
        "hiding_modules": [],
        "ownership_problem": None,
    }
    by_folder = {}
    for one in found:
        by_folder.setdefault(os.path.realpath(os.path.dirname(one["path"])), []).append(one)
    try:
        every = {folder: Owners(needed, by_folder.get(folder, ())) for folder in answer["site_folders"]}
        for folder, owners in every.items():
            _look_into(folder, owners, answer)
        answer["unowned_code"] += _modules_elsewhere(answer["site_folders"])
        modules = set().union(*(owners.modules() for owners in every.values()))
        answer["hiding_modules"] = _hiding.look(
            modules, answer["site_folders"], lambda folder: Owners((), by_folder.get(folder, ())).claims
        )
    except OSError as error:
        answer.update(unowned_code=None, ownership_problem="%s: %s" % (error.filename, error.strerror))
    return answer


def _look_into(folder, owners, answer):
    """Add to the answer what this look finds in a folder."""
    names = sorted(os.listdir(folder))
    answer["missing_code"] += [
        {"path": path, "distribution": owner} for path, owner in owners.missing(folder, set(names))
    ]
    for name in names:
        owner, digest, size = owners.files.get(name, (None, None, None))
        if size is not None and is_code(name):
            answer["single_files"].append(
                {"path": os.path.join(folder, name), "distribution": owner, "sha256": digest, "size": size}
            )
        if (
            (is_code(name) or name.isidentifier())
            and not owners.claims(name)
            and _is_code(os.path.join(folder, name), name)
            and not _is_of_a_tool(folder, name)
        ):
            path = os.path.join(folder, name)
            answer["unowned_code"].append({"path": path, "runs_at_start": runs_at_start(path, name)})


def _is_code(path, name):
    """Return whether this is a file that CODE names, or a package: a folder with code at any depth."""
    if not os.path.isdir(path):
        return is_code(name)
    if not name.isidentifier() or name == "__pycache__":
        return name.endswith(".egg")
    left = MOST_ENTRIES
    for inner, folders, files in os.walk(path):
        compiled = os.path.basename(inner) == "__pycache__"
        if any(file.endswith(LOADED) and not (compiled and file.endswith(".pyc")) for file in files):
            return True
        left -= len(folders) + len(files)
        if left < 0:
            return True
    return False


def _is_of_a_tool(folder, name):
    """Return whether a tool is known to write this file without a RECORD; its text must be that of the tool."""
    path = os.path.join(folder, name)
    if name == "_virtualenv.py":
        return _text(path).startswith(VIRTUALENV)
    if name == "_virtualenv.pth":
        return _text(path).strip() == "import _virtualenv"
    if name == "_uv_ephemeral_overlay.pth":
        text = _text(path).strip()
        return text.startswith(OVERLAY) and not set("\n;") & set(text[len(OVERLAY) :])
    listed = _text(os.path.join(folder, "easy-install.pth")).splitlines()
    if name == "easy-install.pth":
        return not any(_is_executed(line) and not line.startswith(EASY_INSTALL) for line in listed)
    if name.endswith(".egg-link"):
        return _text(path).partition("\n")[0].strip() in listed
    return name.endswith(".egg") and "./" + name in listed


def runs_at_start(path, name):
    """Return whether Python runs this at every start."""
    if name.endswith(".pth"):
        return any(map(_is_executed, _text(path).splitlines()))
    return name.partition(".")[0] in START_MODULES


def _is_executed(line):
    """Return whether Python executes a line of a .pth file, as the module `site` decides."""
    return line.startswith(("import ", "import\t"))


def _text(path):
    """Return the text of a file without a byte order mark; empty if it is none or cannot be read."""
    try:
        return (_read(path) or b"").decode("utf-8-sig", "replace") if os.path.isfile(path) else ""
    except OSError:
        return ""


def _modules_elsewhere(folders):
    """Return the sitecustomize and usercustomize that ran, if they are neither in these folders nor Python's own."""
    paths = sysconfig.get_paths()
    known = {os.path.realpath(folder) for folder in (*folders, paths["stdlib"], paths["platstdlib"])}
    for name in START_MODULES:
        path = getattr(sys.modules.get(name), "__file__", None)
        if path and os.path.realpath(os.path.dirname(path)) not in known:
            yield {"path": path, "runs_at_start": True}
