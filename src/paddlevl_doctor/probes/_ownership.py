"""Compares the code at the top of site-packages folders with the lists of distributions, for the probe `inventory`.

RECORD files are searched and not parsed: they have 20,000 lines, and the folders have some hundred names.
"""

import os
import site
import sys
import sysconfig

LOADED = (".py", ".pyc", ".pyw", ".so", ".pyd")
"""The ends of the names of files that Python imports."""
CODE = (*LOADED, ".dll", ".dylib", ".pth", ".egg", ".egg-link")
"""The same with files that Python reads for its import path, or that extension modules load."""
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
    """What the distributions in one folder claim: top-level names, and the RECORD lines of files at the top."""

    def __init__(self):
        self.names = set()
        self.owners = {}
        self.files = {}
        self.records = []

    def add(self, path, name):
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

    def missing(self, present):
        """Return the code that one distribution alone claims, and that is not among the names `present`."""
        return [
            (name, *owners)
            for name, owners in self.owners.items()
            if len(owners) == 1 and name not in present and name not in UNNEEDED
        ]

    def claims(self, name):
        """Return whether a distribution lists this file, or a file below this folder."""
        if name in self.names:
            return True
        raw = os.fsencode(name)
        quoted = b'\n"' + raw.replace(b'"', b'""')
        starts = (b"\n" + raw + b"/", b"\n" + raw + b",", quoted + b"/", quoted + b'"')
        return any(start in record for record in self.records for start in starts)


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


def look(own, found):
    """Compare the top of the site-packages folders with RECORDs: code without an owner, files with one, missing code.

    `found` are the distributions. `problem` is the reason if a list of files could not be read: then `unowned` is None.
    """
    answer = {
        "site_folders": site_folders(own),
        "unowned_code": [],
        "single_files": [],
        "missing_code": [],
        "ownership_problem": None,
    }
    real = {path: os.path.realpath(path) for path in {os.path.dirname(one["path"]) for one in found}}
    try:
        for folder in answer["site_folders"]:
            _look_into(folder, [one for one in found if real[os.path.dirname(one["path"])] == folder], answer)
        answer["unowned_code"] += _modules_elsewhere(answer["site_folders"])
    except OSError as error:
        answer.update(unowned_code=None, ownership_problem="%s: %s" % (error.filename, error.strerror))
    return answer


def _look_into(folder, found, answer):
    owners = Owners()
    for one in found:
        owners.add(one["path"], one["name"])
    names = sorted(os.listdir(folder))
    for name, owner in owners.missing(set(names)):
        if not os.path.lexists(os.path.join(folder, name)):  # in another case, or a form of Unicode
            answer["missing_code"].append({"path": name, "distribution": owner})
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
