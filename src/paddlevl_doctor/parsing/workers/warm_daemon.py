"""Keeps a worker running between runs, which saves half a minute of imports and model loading.

    python launch.py paddlevl_doctor.parsing.workers.warm_daemon FOLDER MINUTES -- COMMAND ...

replaces COMMAND by a proxy, which forwards lines between its own stdin and stdout and the worker of a daemon. If no
daemon is free, a new one is started: concurrent runs use the daemons in FOLDER, FOLDER/2, FOLDER/3 and so on; with 0
MINUTES COMMAND itself is run if they are busy. A daemon ends its worker MINUTES after the last client, if a client
leaves during a page, or at once if MINUTES is 0; the MINUTES of the last client count. FOLDER must be readable by its
owner only, because it contains the key of the daemon.

The module imports little, because each warm start imports it.
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
"""The file with the address and the key of the daemon."""
_LOG_NAME = "worker.log"
_TAIL_BYTES = 4000
_START_SECONDS = 30.0
_RETRY_SECONDS = 1.0
_MAX_DAEMONS = 64
"""Maximum number of daemons for the same command."""
_DUMP_SECONDS = 1.0
_POLL_SECONDS = 0.5


def main() -> None:
    """Run the daemon (--keep) or the proxy."""
    folder, minutes, mode, *command = sys.argv[1:]
    if mode == "--keep":
        WarmWorkerDaemon(Path(folder), float(minutes) * 60, command).run()
        return
    code = proxy(Path(folder), minutes, command)
    sys.stderr.flush()
    os._exit(exit_status(code))  # sys.exit would block: a thread waits for stdin


# --- the proxy -------------------------------------------------------------------------------------------


def proxy(folder: Path, minutes: str, command: list[str]) -> int:
    """Forward lines until either side ends; returns the exit code of a worker that ended, else 0."""
    connected = _find_daemon(folder, minutes, command)
    if connected is None:
        return _exec_command(command)
    daemon, folder = connected
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
    """Replace this process by the command. On Windows exec returns at once, so the command runs as a child."""
    if not processes.WINDOWS:
        os.execv(command[0], command)  # noqa: S606 - the caller gave the command
    return subprocess.run(command, check=False).returncode


def exit_status(code: int) -> int:
    """Return the argument of os._exit for a return code that may be a signal, or an NTSTATUS above 2**31."""
    if processes.WINDOWS:
        return code - (1 << 32) if code >> 31 else code
    return code if code >= 0 else 128 - code


def _find_daemon(folder: Path, minutes: str, command: list[str]) -> tuple[Connection, Path] | None:
    """Return a connection to a free daemon, and its folder; None if there is none and none can be started."""
    folders = [folder, *(folder / str(number) for number in range(2, _MAX_DAEMONS + 1))]
    end = time.monotonic() + _RETRY_SECONDS
    with contextlib.suppress(TimeoutError):
        while time.monotonic() < end:
            running = [one for one in folders if (one / CONTACT_FILE).exists()]
            connected = _first_free(running or [folder], minutes, command)
            if connected is not None:
                return connected
            time.sleep(0.1)  # the current client may be about to leave
        return _first_free(folders, minutes, command) if float(minutes) else None
    return None


def _first_free(folders: Iterable[Path], minutes: str, command: list[str]) -> tuple[Connection, Path] | None:
    attempts = ((_connect(one, minutes, command), one) for one in folders)
    return next(((daemon, one) for daemon, one in attempts if daemon is not None), None)


def _connect(folder: Path, minutes: str, command: list[str]) -> Connection | None:
    """Return a connection to the daemon of a folder, which is started if necessary; None if it is busy.

    Raises TimeoutError if it cannot be started.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    with FileLock(folder / "lock"):  # two runs that start together must not start two daemons
        daemon = _try_connect(folder) or _start_daemon(folder, minutes, command)
    with contextlib.suppress(EOFError):  # the daemon has just ended
        if daemon.recv_bytes() == b"welcome":
            daemon.send_bytes(json.dumps({"minutes": float(minutes)}).encode())
            return daemon
    daemon.close()
    return None


def _start_daemon(folder: Path, minutes: str, command: list[str]) -> Connection:
    """Start a daemon and return a connection to it; raises TimeoutError if it does not respond."""
    with contextlib.suppress(FileNotFoundError):
        (folder / CONTACT_FILE).unlink()
    module = processes.module_command("paddlevl_doctor.parsing.workers.warm_daemon")
    argv = [*module, str(folder), minutes, "--keep", *command]
    null = subprocess.DEVNULL
    subprocess.Popen(argv, stdin=null, stdout=null, stderr=null, **processes.own_group())
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        time.sleep(0.02)
        daemon = _try_connect(folder)
        if daemon is not None:
            return daemon
    raise TimeoutError


def _try_connect(folder: Path) -> Connection | None:
    try:
        contact = json.loads((folder / CONTACT_FILE).read_text(encoding="utf-8"))
        return Client(contact["address"], authkey=bytes.fromhex(contact["key"]))
    except (OSError, ValueError, KeyError, EOFError):
        return None


def _forward_stdin(daemon: Connection) -> None:
    with contextlib.suppress(OSError):
        for line in sys.stdin.buffer:
            daemon.send_bytes(line)
    os._exit(0)  # stdin has ended; the worker continues to run


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
    """Runs one worker, and serves one client at a time."""

    def __init__(self, folder: Path, idle: float, command: list[str]) -> None:
        self.folder, self.idle, self.command = folder, idle, command
        self.clients: queue.Queue[Connection] = queue.Queue()
        self.lines: queue.Queue[bytes | None] = queue.Queue()
        self.ready = b""
        self.pending = 0
        """Number of outstanding replies of the worker."""
        self.busy = threading.Lock()

    def run(self) -> None:
        """Start the worker, and serve clients until the idle time is over or the worker ends."""
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
        """Accept clients that know the key; while one is served, others get `busy`."""
        while True:
            with contextlib.suppress(Exception):  # a client without the key must not end the daemon
                client = listener.accept()
                if self.busy.acquire(blocking=False):
                    client.send_bytes(b"welcome")
                    self.clients.put(client)
                else:
                    client.send_bytes(b"busy")
                    client.close()

    def _serve_clients(self) -> None:
        """Serve one client after the other, until the idle time is over or the worker cannot be used any more."""
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
        """Forward lines until the client leaves or the worker ends."""
        client.send_bytes(
            json.dumps({"event": "stage", "stage": "load", "worker_pid": self.worker.pid}).encode()
        )
        if self.ready:
            client.send_bytes(self.ready)
        client_left = threading.Event()
        threading.Thread(target=self._forward, args=(client, client_left), daemon=True).start()
        while not client_left.is_set():
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

    def _forward(self, client: Connection, client_left: threading.Event) -> None:
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
        client_left.set()

    def _track_event(self, line: bytes) -> None:
        """Update `ready` and `pending` from an event of the worker."""
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
        processes.terminate_group(self.worker.pid)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.worker.wait(2)
        self.worker.kill()
        self.worker.wait()


if __name__ == "__main__":
    main()
