"""Keeps a worker alive between runs, so that the next one need not import and load for half a minute.

    python -m paddlevl_doctor.parsing.workers.warm_daemon FOLDER MINUTES -- COMMAND ...

takes the place of COMMAND: it passes lines on between its own stdin and stdout and a worker that a keeper holds. Where
there is no keeper, one is started, and so where each serves somebody else: runs at the same time have one each, in
FOLDER, FOLDER/2, FOLDER/3 and so on; with 0 MINUTES COMMAND is run as it is instead. A keeper ends its worker after
MINUTES without anybody, when somebody leaves in the middle of a page, and at once where MINUTES is 0; the last one's
MINUTES count. Whoever wants to speak with it must be able to read FOLDER, which is for one user only.

It imports little: it is on the way of every warm start.
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
from typing import Any

from paddlevl_doctor.system import processes

NAME = "keeper.json"
_LOG = "worker.log"
_TAIL = 4000
_START_SECONDS = 30.0
_BUSY_SECONDS = 1.0
_MOST = 64
"""Keepers of workers that are alike."""
_DUMP_SECONDS = 1.0
_LOOK_SECONDS = 0.5


def main() -> None:
    """Be the keeper, or speak with one."""
    folder, minutes, mark, *command = sys.argv[1:]
    if mark == "--keep":
        Keeper(Path(folder), float(minutes) * 60, command).run()
        return
    code = relay(Path(folder), minutes, command)
    sys.stderr.flush()
    os._exit(exit_status(code))  # a thread waits for stdin, which Python would not leave in peace


# --- whoever wants a worker ---------------------------------------------------------------------------------


def relay(folder: Path, minutes: str, command: list[str]) -> int:
    """Pass lines on until either side ends; returns the worker's exit status where it was the one."""
    found = _connected(folder, minutes, command)
    if found is None:
        return _become(command)
    keeper, folder = found
    hello = json.loads(keeper.recv_bytes())
    if hasattr(signal, "SIGUSR1"):
        signal.signal(signal.SIGUSR1, lambda *_: _tell_stacks(folder, hello["worker_pid"]))
    threading.Thread(target=_pass_on, args=(keeper,), daemon=True).start()
    _write(json.dumps(hello).encode())
    with contextlib.suppress(EOFError, OSError):
        while True:
            line = keeper.recv_bytes()
            if b'"event": "ended"' in line:
                sys.stderr.write(_log_from(folder, max(0, (folder / _LOG).stat().st_size - _TAIL)))
                return int(json.loads(line)["returncode"])
            _write(line)
    return 0


def _become(command: list[str]) -> int:
    """Be the command; Windows would start it beside and tell whoever waits that it has ended, so it is waited for."""
    if not processes.WINDOWS:
        os.execv(command[0], command)  # noqa: S606 - it is what was asked for
    return subprocess.run(command, check=False).returncode


def exit_status(code: int) -> int:
    """Return what os._exit takes so that whoever waits sees this end: a signal, or an NTSTATUS above 2**31."""
    if processes.WINDOWS:
        return code - (1 << 32) if code >> 31 else code
    return code if code >= 0 else 128 - code


def _connected(folder: Path, minutes: str, command: list[str]) -> tuple[Connection, Path] | None:
    """Return a connection to a keeper that is free, and its folder; None where none can be had."""
    places = [folder, *(folder / str(number) for number in range(2, _MOST + 1))]
    end = time.monotonic() + _BUSY_SECONDS
    with contextlib.suppress(TimeoutError):
        while time.monotonic() < end:
            kept = [place for place in places if (place / NAME).exists()]
            found = _first_free(kept or [folder], minutes, command)
            if found is not None:
                return found
            time.sleep(0.1)  # whoever was there may be about to leave
        return _first_free(places, minutes, command) if float(minutes) else None
    return None


def _first_free(places: Iterable[Path], minutes: str, command: list[str]) -> tuple[Connection, Path] | None:
    entered = ((_entered(place, minutes, command), place) for place in places)
    return next(((found, place) for found, place in entered if found is not None), None)


def _entered(folder: Path, minutes: str, command: list[str]) -> Connection | None:
    """Return a connection to a folder's keeper, begun where there is none; None where it serves somebody else.

    Raises TimeoutError where none can be begun.
    """
    from filelock import FileLock  # noqa: PLC0415 - the keeper itself needs none

    folder.mkdir(mode=0o700, exist_ok=True)
    with FileLock(folder / "lock"):  # two runs that begin at once are to find one keeper
        found = _try(folder) or _begun(folder, minutes, command)
    with contextlib.suppress(EOFError):  # it has just ended
        if found.recv_bytes() == b"welcome":
            found.send_bytes(json.dumps({"minutes": float(minutes)}).encode())
            return found
    found.close()
    return None


def _begun(folder: Path, minutes: str, command: list[str]) -> Connection:
    """Start a keeper; return the connection to it, raises TimeoutError where there is none for long."""
    with contextlib.suppress(FileNotFoundError):
        (folder / NAME).unlink()
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
        found = _try(folder)
        if found is not None:
            return found
    raise TimeoutError


def _try(folder: Path) -> Connection | None:
    try:
        known = json.loads((folder / NAME).read_text(encoding="utf-8"))
        return Client(known["address"], authkey=bytes.fromhex(known["key"]))
    except (OSError, ValueError, KeyError, EOFError):
        return None


def _pass_on(keeper: Connection) -> None:
    with contextlib.suppress(OSError):
        for line in sys.stdin.buffer:
            keeper.send_bytes(line)
    os._exit(0)  # nobody asks any more: the worker stays


def _write(line: bytes) -> None:
    sys.stdout.buffer.write(line.rstrip(b"\n") + b"\n")
    sys.stdout.buffer.flush()


def _tell_stacks(folder: Path, worker: int) -> None:
    start = (folder / _LOG).stat().st_size
    with contextlib.suppress(OSError):
        os.kill(worker, signal.SIGUSR1)
    time.sleep(_DUMP_SECONDS)
    sys.stderr.write(_log_from(folder, start))
    sys.stderr.flush()


def _log_from(folder: Path, start: int) -> str:
    with (folder / _LOG).open("rb") as file:
        file.seek(start)
        return file.read().decode("utf-8", errors="replace")


# --- the keeper -----------------------------------------------------------------------------------------------


class Keeper:
    """Holds one worker, and lets one at a time speak with it."""

    def __init__(self, folder: Path, idle: float, command: list[str]) -> None:
        self.folder, self.idle, self.command = folder, idle, command
        self.visitors: queue.Queue[Connection] = queue.Queue()
        self.lines: queue.Queue[bytes | None] = queue.Queue()
        self.ready = b""
        self.due = 0
        """How many answers are still to come."""
        self.taken = threading.Lock()

    def run(self) -> None:
        """Start the worker and serve until nobody comes any more, or it ends."""
        key = os.urandom(32)
        with Listener(authkey=key) as listener, (self.folder / _LOG).open("wb") as log:
            pipe = subprocess.PIPE
            self.worker = subprocess.Popen(self.command, stdin=pipe, stdout=pipe, stderr=log)
            self._announce({"address": listener.address, "key": key.hex(), "pid": os.getpid()})
            threading.Thread(target=self._listen, daemon=True).start()
            threading.Thread(target=self._admit, args=(listener,), daemon=True).start()
            try:
                self._serve()
            finally:
                self._end()

    def _announce(self, known: dict[str, Any]) -> None:
        new = self.folder / f"{NAME}.{os.getpid()}"
        new.touch(mode=0o600)
        new.write_text(json.dumps(known), encoding="utf-8")
        new.replace(self.folder / NAME)

    def _listen(self) -> None:
        assert self.worker.stdout is not None  # noqa: S101 - it was asked for
        for line in self.worker.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def _admit(self, listener: Listener) -> None:
        """Let in whoever knows the key; while somebody is there, others are told so and sent away."""
        while True:
            with contextlib.suppress(
                OSError, EOFError, Exception
            ):  # a stranger's knock must not end the keeper
                visitor = listener.accept()
                if self.taken.acquire(blocking=False):
                    visitor.send_bytes(b"welcome")
                    self.visitors.put(visitor)
                else:
                    visitor.send_bytes(b"busy")
                    visitor.close()

    def _serve(self) -> None:
        """Attend to one visitor after the other, until none comes for too long or the worker is of no use."""
        last = time.monotonic()
        while self.worker.poll() is None and time.monotonic() < last + max(self.idle, 1.0):
            try:
                visitor = self.visitors.get(timeout=_LOOK_SECONDS)
            except queue.Empty:
                continue
            with contextlib.suppress(OSError, EOFError):
                self._attend(visitor)
            visitor.close()
            if self.due or self.idle <= 0:
                return
            self.taken.release()
            last = time.monotonic()

    def _attend(self, visitor: Connection) -> None:
        """Pass lines on until the visitor leaves or the worker ends."""
        visitor.send_bytes(
            json.dumps({"event": "stage", "stage": "load", "worker_pid": self.worker.pid}).encode()
        )
        if self.ready:
            visitor.send_bytes(self.ready)
        gone = threading.Event()
        threading.Thread(target=self._hear, args=(visitor, gone), daemon=True).start()
        while not gone.is_set():
            try:
                line = self.lines.get(timeout=0.05)
            except queue.Empty:
                continue
            if line is None:
                ended = {"event": "ended", "returncode": self.worker.wait()}
                visitor.send_bytes(json.dumps(ended).encode())
                return
            self._note(line)
            visitor.send_bytes(line)

    def _hear(self, visitor: Connection, gone: threading.Event) -> None:
        assert self.worker.stdin is not None  # noqa: S101 - it was asked for
        with contextlib.suppress(EOFError, OSError):
            while True:
                line = visitor.recv_bytes()
                asked = json.loads(line)
                if "minutes" in asked:  # the visitor's word to the keeper itself
                    self.idle = asked["minutes"] * 60
                    continue
                self.due += len(asked.get("pages", (1,)))
                self.worker.stdin.write(line)
                self.worker.stdin.flush()
        gone.set()

    def _note(self, line: bytes) -> None:
        """Remember how the worker became ready, and which answers are still to come."""
        with contextlib.suppress(ValueError):
            event = json.loads(line).get("event")
            if event == "ready":
                self.ready = json.dumps({"event": "ready", "seconds": {}}).encode()
            elif event in ("failed", "joined"):
                self.due = 0
            elif event == "page":
                self.due -= 1

    def _end(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            (self.folder / NAME).unlink()
        processes.end_followers(self.worker.pid)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.worker.wait(2)
        self.worker.kill()
        self.worker.wait()


if __name__ == "__main__":
    main()
