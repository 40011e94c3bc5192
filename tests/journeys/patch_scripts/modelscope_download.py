"""Runs in the target: imports paddleocr, and downloads a model from a modelscope that this script plays itself.

Prints one JSON line: the files that came, and what `import torch` says afterwards.
"""

import hashlib
import json
import os
import socket
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

CONTENT = b"weights"
FILE = {
    "Name": "model.bin",
    "Path": "model.bin",
    "Type": "blob",
    "Size": len(CONTENT),
    "Revision": "1",
    "Sha256": hashlib.sha256(CONTENT).hexdigest(),
    "IsLFS": False,
    "InCheck": False,
    "CommittedDate": 1,
    "CommitMessage": "first",
}


class Hub(BaseHTTPRequestHandler):
    """Answers what modelscope asks for a repository of one file."""

    def do_GET(self):
        """Send the list of files, or the file."""
        listing = {"Code": 200, "Success": True, "Data": {"Files": [FILE], "LatestCommitter": None}}
        content = CONTENT if "FilePath" in self.path else json.dumps(listing).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        """Say nothing."""


def only_here(host, *rest, lookup=socket.getaddrinfo, **options):
    """Look up this machine, and no other: paddlex 3.3 asks four hosts while it is imported."""
    if host not in ("127.0.0.1", "localhost"):
        raise socket.gaierror(socket.EAI_NONAME, "not looked up")
    return lookup(host, *rest, **options)


def torch_error():
    """Return what `import torch` raises, as somebody sees it who needs torch."""
    try:
        import torch  # noqa: F401
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def downloaded(folder):
    """Download through PaddleX's own code; return the names of the files."""
    from paddlex.inference.utils.official_models import _ModelScopeModelHoster

    place = Path(folder, "models", "PaddleOCR-VL")
    place.parent.mkdir()
    _ModelScopeModelHoster(place.parent)._download("PaddleOCR-VL", place)
    return sorted(path.name for path in place.iterdir() if path.read_bytes() == CONTENT)


def main(folder):
    """Import, download, tell."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    here = f"127.0.0.1:{server.server_port}"
    os.environ.update(HOME=folder, NO_PROXY="*", MODELSCOPE_CACHE=folder, MODELSCOPE_DOMAIN=here)
    os.environ.update(MODELSCOPE_ENDPOINT="http://" + here, PADDLE_PDX_CACHE_HOME=folder)
    os.environ["PADDLE_PDX_DISABLE_MODEL_SOURCE_CHECK"] = "True"
    socket.getaddrinfo = only_here
    import paddleocr  # noqa: F401

    print(json.dumps({"files": downloaded(folder), "torch": torch_error()}), flush=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        main(place)
