"""Keeps a worker alive between runs, so that the next one need not import and load for half a minute.

    python -m paddlevl_doctor.parsing.workers.warm_daemon FOLDER MINUTES -- COMMAND ...

takes the place of COMMAND: it passes lines on between its own stdin and stdout and the worker of a daemon. A daemon is
started where there is none, or where each serves another client: runs at the same time have one each, in FOLDER,
FOLDER/2, FOLDER/3 and so on; with 0 MINUTES COMMAND is run as it is instead. A daemon ends its worker after MINUTES
without a client, when a client leaves in the middle of a page, and at once where MINUTES is 0; the MINUTES of the last
client count. A client must be able to read FOLDER, which belongs to one user only.

It imports little, because every warm start imports it.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path

from filelock import FileLock

from paddlevl_doctor.system import processes

CONTACT_FILE = "keeper.json"
"""The daemon's address and key."""
_LOG_NAME = "worker.log"
_TAIL_BYTES = 4000
_START_SECONDS = 30.0
_RETRY_SECONDS = 1.0
_MAX_DAEMONS = 64
"""Of workers that are alike."""
_DUMP_SECONDS = 1.0
_POLL_SECONDS = 0.5


def main() -> None:
    """Be a daemon, or a proxy to one."""
    folder, minutes, mark, *command = sys.argv[1:]
    if mark == "--keep":
        WarmWorkerDaemon(Path(folder), float(minutes) * 60, command).run()
        return
    code = proxy(Path(folder), minutes, command)
    sys.stderr.flush()
    os._exit(exit_status(code))  # a thread waits for stdin, which Python would not leave in peace


# --- the client -------------------------------------------------------------------------------------------


def proxy(folder: Path, minutes: str, command: list[str]) -> int:
    """Pass lines on until either side ends; returns the worker's exit status where it was the one."""
    found = _find_daemon(folder, minutes, command)
    if found is None:
        return _exec_command(command)
    daemon, folder = found
    hello = json.loads(daemon.recv_bytes())
    if hasattr(signal, "SIGUSR1"):
        signal.signal(signal.SIGUSR1, lambda *_: _write_stacks(folder, hello["worker_pid"]))
    threading.Thread(target=_forward_stdin, args=(daemon,), daemon=True).start()
    _write(json.dumps(hello).encode())
    with contextlib.suppress(EOFError, OSError):
        while True:
            line = daemon.recv_bytes()
            if b'"event": "ended"' in line:
                sys.stderr.write(_read_log(folder, max(0, (folder / _LOG_NAME).stat().st_size - _TAIL_BYTES)))
                return int(json.loads(line)["returncode"])
            _write(line)
    return 0


def _exec_command(command: list[str]) -> int:
    """Become the command. On Windows exec returns at once, so there the command runs as a child."""
    if not processes.WINDOWS:
        os.execv(command[0], command)  # noqa: S606 - the caller gave the command
    return subprocess.run(command, check=False).returncode


def exit_status(code: int) -> int:
    """Return the status for os._exit that a parent sees as this end: a signal, or an NTSTATUS above 2**31."""
    if processes.WINDOWS:
        return code - (1 << 32) if code >> 31 else code
    return code if code >= 0 else 128 - code


def _find_daemon(folder: Path, minutes: str, command: list[str]) -> tuple[Connection, Path] | None:
    """Return a connection to a daemon that is free, and its folder; None where there is none."""
    folders = [folder, *(folder / str(number) for number in range(2, _MAX_DAEMONS + 1))]
    end = time.monotonic() + _RETRY_SECONDS
    with contextlib.suppress(TimeoutError):
        while time.monotonic() < end:
            kept = [one for one in folders if (one / CONTACT_FILE).exists()]
            found = _first_free(kept or [folder], minutes, command)
            if found is not None:
                return found
            time.sleep(0.1)  # the present client may be about to leave
        return _first_free(folders, minutes, command) if float(minutes) else None
    return None


def _first_free(folders: Iterable[Path], minutes: str, command: list[str]) -> tuple[Connection, Path] | None:
    tried = ((_connect(one, minutes, command), one) for one in folders)
    return next(((found, one) for found, one in tried if found is not None), None)


def _connect(folder: Path, minutes: str, command: list[str]) -> Connection | None:
    """Return a connection to the daemon of a folder, started where there is none; None where it serves another client.

    Raises TimeoutError where none can be started.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    with FileLock(folder / "lock"):  # two runs that begin at once find one daemon
        found = _try_connect(folder) or _start_daemon(folder, minutes, command)
    with contextlib.suppress(EOFError):  # it has just ended
        if found.recv_bytes() == b"welcome":
            found.send_bytes(json.dumps({"minutes": float(minutes)}).encode())
            return found
    found.close()
    return None


def _start_daemon(folder: Path, minutes: str, command: list[str]) -> Connection:
    """Start a daemon and return a connection to it; raises TimeoutError where it does not answer."""
    with contextlib.suppress(FileNotFoundError):
        (folder / CONTACT_FILE).unlink()
    argv = [
        sys.executable,
        "-m",
        "paddlevl_doctor.parsing.workers.warm_daemon",
        str(folder),
        minutes,
        "--keep",
        *command,
    ]
    null = subprocess.DEVNULL
    subprocess.Popen(argv, stdin=null, stdout=null, stderr=null, **processes.own_group())
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        time.sleep(0.02)
        found = _try_connect(folder)
        if found is not None:
            return found
    raise TimeoutError


def _try_connect(folder: Path) -> Connection | None:
    try:
        known = json.loads((folder / CONTACT_FILE).read_text(encoding="utf-8"))
        return Client(known["address"], authkey=bytes.fromhex(known["key"]))
    except (OSError, ValueError, KeyError, EOFError):
        return None


def _forward_stdin(daemon: Connection) -> None:
    with contextlib.suppress(OSError):
        for line in sys.stdin.buffer:
            daemon.send_bytes(line)
    os._exit(0)  # stdin has ended: the worker stays


def _write(line: bytes) -> None:
    sys.stdout.buffer.write(line.rstrip(b"\n") + b"\n")
    sys.stdout.buffer.flush()


def _write_stacks(folder: Path, worker: int) -> None:
    start = (folder / _LOG_NAME).stat().st_size
    with contextlib.suppress(OSError):
        os.kill(worker, signal.SIGUSR1)
    time.sleep(_DUMP_SECONDS)
    sys.stderr.write(_read_log(folder, start))
    sys.stderr.flush()


def _read_log(folder: Path, start: int) -> str:
    with (folder / _LOG_NAME).open("rb") as file:
        file.seek(start)
        return file.read().decode("utf-8", errors="replace")


# --- the daemon -----------------------------------------------------------------------------------------------


class WarmWorkerDaemon:
    """Keeps one worker, and connects one client at a time to it."""

    def __init__(self, folder: Path, idle: float, command: list[str]) -> None:
        self.folder, self.idle, self.command = folder, idle, command
        self.clients: queue.Queue[Connection] = queue.Queue()
        self.lines: queue.Queue[bytes | None] = queue.Queue()
        self.ready = b""
        self.pending = 0
        """How many answers of the worker are outstanding."""
        self.busy = threading.Lock()

    def run(self) -> None:
        """Start the worker and serve clients until none comes for too long, or the worker ends."""
        key = os.urandom(32)
        with Listener(authkey=key) as listener, (self.folder / _LOG_NAME).open("wb") as log:
            pipe = subprocess.PIPE
            self.worker = subprocess.Popen(self.command, stdin=pipe, stdout=pipe, stderr=log)
            contact = {"address": listener.address, "key": key.hex(), "pid": os.getpid()}
            new = self.folder / f"{CONTACT_FILE}.{os.getpid()}"
            new.touch(mode=0o600)
            new.write_text(json.dumps(contact), encoding="utf-8")
            new.replace(self.folder / CONTACT_FILE)
            threading.Thread(target=self._read_lines, daemon=True).start()
            threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
            try:
                self._serve_clients()
            finally:
                self._stop_worker()

    def _read_lines(self) -> None:
        assert self.worker.stdout is not None  # noqa: S101 - it is a pipe
        for line in self.worker.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def _accept(self, listener: Listener) -> None:
        """Accept clients that know the key; while one is served, others are refused."""
        while True:
            with contextlib.suppress(
                OSError, EOFError, Exception
            ):  # a client without the key must not end the daemon
                client = listener.accept()
                if self.busy.acquire(blocking=False):
                    client.send_bytes(b"welcome")
                    self.clients.put(client)
                else:
                    client.send_bytes(b"busy")
                    client.close()

    def _serve_clients(self) -> None:
        """Serve one client after the other, until none comes for too long or the worker cannot be used any more."""
        last = time.monotonic()
        while self.worker.poll() is None and time.monotonic() < last + max(self.idle, 1.0):
            try:
                client = self.clients.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                continue
            with contextlib.suppress(OSError, EOFError):
                self._serve_client(client)
            client.close()
            if self.pending or self.idle <= 0:
                return
            self.busy.release()
            last = time.monotonic()

    def _serve_client(self, client: Connection) -> None:
        """Pass lines on until the client leaves or the worker ends."""
        client.send_bytes(
            json.dumps({"event": "stage", "stage": "load", "worker_pid": self.worker.pid}).encode()
        )
        if self.ready:
            client.send_bytes(self.ready)
        gone = threading.Event()
        threading.Thread(target=self._forward, args=(client, gone), daemon=True).start()
        while not gone.is_set():
            try:
                line = self.lines.get(timeout=0.05)
            except queue.Empty:
                continue
            if line is None:
                ended = {"event": "ended", "returncode": self.worker.wait()}
                client.send_bytes(json.dumps(ended).encode())
                return
            self._track_event(line)
            client.send_bytes(line)

    def _forward(self, client: Connection, gone: threading.Event) -> None:
        assert self.worker.stdin is not None  # noqa: S101 - it is a pipe
        with contextlib.suppress(EOFError, OSError):
            while True:
                line = client.recv_bytes()
                request = json.loads(line)
                if "minutes" in request:  # a request to the daemon itself
                    self.idle = request["minutes"] * 60
                    continue
                self.pending += len(request.get("pages", (1,)))
                self.worker.stdin.write(line)
                self.worker.stdin.flush()
        gone.set()

    def _track_event(self, line: bytes) -> None:
        """Remember that the worker is ready, and how many answers are outstanding."""
        with contextlib.suppress(ValueError):
            event = json.loads(line).get("event")
            if event == "ready":
                self.ready = json.dumps({"event": "ready", "seconds": {}}).encode()
            elif event in ("failed", "joined"):
                self.pending = 0
            elif event == "page":
                self.pending -= 1

    def _stop_worker(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            (self.folder / CONTACT_FILE).unlink()
        processes.end_followers(self.worker.pid)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.worker.wait(2)
        self.worker.kill()
        self.worker.wait()


if __name__ == "__main__":
    main()
