"""A stand-in for NVIDIA's libnvidia-ml.so.1, compiled for one described machine.

`build_stub(folder, "kaggle-t4x2")` returns the environment variables with which a child process sees that
machine through the real pynvml. MACHINES is the table of all of them; `where` says what a row imitates.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from pathlib import Path

_SOURCE = Path(__file__).with_name("stub.c")
_MIB = 1 << 20
_FAILING = (
    "nvmlInitWithFlags",
    "nvmlSystemGetDriverVersion",
    "nvmlSystemGetCudaDriverVersion_v2",
    "nvmlDeviceGetCount_v2",
)
# What old libraries lack: MIG came with R450, memory_v2 with R510; the oldest one is made older than it is.
R418 = ("nvmlDeviceGetMigMode", "nvmlDeviceGetMemoryInfo_v2", "nvmlSystemGetCudaDriverVersion_v2")
R470 = ("nvmlDeviceGetMemoryInfo_v2",)


@dataclass(frozen=True)
class Device:
    """One GPU, or one MIG instance (`parent`: its GPU's position in the list). Memory in MiB, 0: not told."""

    name: str
    capability: str
    total: int
    free: int
    mig: bool = False
    parent: int = -1
    result: int = 0


@dataclass(frozen=True)
class Machine:
    """What one NVML library says. `results`: error codes by function; `without`: functions it lacks."""

    where: str
    driver: str = "0"
    cuda: int = 0
    devices: tuple[Device, ...] = ()
    results: dict[str, int] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    library: bool = True
    busy: int = 0
    """Percent of the time in which anybody computes on the GPUs."""
    ours: int | None = None
    """What the process that asks has of it, 0: it is not known by its number; None: nobody tells about processes."""


_T4 = Device("Tesla T4", "7.5", 15360, 15002)
_P100 = Device("Tesla P100-PCIE-16GB", "6.0", 16384, 16104)
_RTX4090 = Device("NVIDIA GeForce RTX 4090", "8.9", 24564, 23010)
_RTX5070TI = Device("NVIDIA GeForce RTX 5070 Ti", "12.0", 16303, 15120)
_RTX5090 = Device("NVIDIA GeForce RTX 5090", "12.0", 32607, 31500)
_H200 = Device("NVIDIA H200", "9.0", 143771, 143155)
_MIG_H200 = Device("NVIDIA H200", "9.0", 143771, 143155, mig=True)
_GTX1080 = Device("NVIDIA GeForce GTX 1080", "6.1", 8192, 7900)

MACHINES: dict[str, Machine] = {
    # --- machines with GPUs that can be asked
    "kaggle-t4x2": Machine("Kaggle, GPU T4 x2", "560.35.03", 12060, (_T4, _T4)),
    "kaggle-p100": Machine("Kaggle, GPU P100", "560.35.03", 12060, (_P100,)),
    "rtx4090-laptop-wsl": Machine(
        "a laptop under WSL: NVML gives the number of the Windows driver",
        "576.02",
        12090,
        (Device("NVIDIA GeForce RTX 4090 Laptop GPU", "8.9", 16376, 14980),),
    ),
    "rtx5070ti": Machine("a desktop with Linux", "575.57.08", 12090, (_RTX5070TI,)),
    "rtx5070ti-old-driver": Machine("the first driver for that card", "570.86.16", 12080, (_RTX5070TI,)),
    "rtx5070ti-wsl": Machine("a desktop under WSL", "576.52", 12090, (_RTX5070TI,)),
    "h200": Machine("a server", "570.133.20", 12080, (_H200,)),
    "t4-driver-470": Machine("a server left on R470", "470.199.02", 11040, (_T4,), without=R470),
    "t4-driver-418": Machine("a server left on R418", "418.87.01", 10010, (_T4,), without=R418),
    "h200-driver-470": Machine("Hopper with a driver from before Hopper", "470.199.02", 11040, (_H200,)),
    "h200-mig": Machine(
        "a pod with one MIG instance: the whole GPU refuses to tell its memory",
        "570.133.20",
        12080,
        (_MIG_H200, Device("NVIDIA H200 MIG 1g.18gb", "9.0", 16384, 16370, parent=0)),
    ),
    "h200-mig-two": Machine(
        "a server with two MIG instances",
        "570.133.20",
        12080,
        (
            _MIG_H200,
            Device("NVIDIA H200 MIG 1g.18gb", "9.0", 16384, 16370, parent=0),
            Device("NVIDIA H200 MIG 4g.71gb", "9.0", 71680, 71600, parent=0),
        ),
    ),
    "h200-mig-empty": Machine("MIG on, nothing partitioned", "570.133.20", 12080, (_MIG_H200,)),
    "gtx1080-and-rtx4090": Machine("an old card beside a new one", "550.54.14", 12040, (_GTX1080, _RTX4090)),
    "rtx4090-and-rtx5090": Machine("two generations", "575.57.08", 12090, (_RTX4090, _RTX5090)),
    "rtx4090-and-rtx5090-old-driver": Machine(
        "two generations, a driver for one of them", "570.86.16", 12080, (_RTX4090, _RTX5090)
    ),
    "rtx4090-in-use": Machine(
        "somebody else's program has most of the card",
        "575.57.08",
        12090,
        (Device("NVIDIA GeForce RTX 4090", "8.9", 24564, 3012),),
    ),
    "one-gpu-lost": Machine(
        "a card that fell off the bus", "550.54.14", 12040, (Device("", "0.0", 0, 0, result=15), _T4)
    ),
    "gb10": Machine(
        "DGX Spark: the memory is the processor's", "580.95.05", 13000, (Device("NVIDIA GB10", "12.1", 0, 0),)
    ),
    "odd-answers": Machine(
        "old WSL: no CUDA version, a name that is no UTF-8",
        "546.80",
        0,
        (Device(r"\xf8\x95\xa0", "8.6", 6144, 5300),),
        results={"nvmlSystemGetCudaDriverVersion_v2": 999},
    ),
    "no-driver-version": Machine(
        "NVML answers, but not for the driver",
        "",
        12040,
        (_T4,),
        results={"nvmlSystemGetDriverVersion": 999},
    ),
    # --- machines that do not answer
    "no-library": Machine("no NVIDIA software", library=False),
    "library-too-old": Machine("a library from before nvmlInitWithFlags", without=("nvmlInitWithFlags",)),
    "capability-unknown": Machine(
        "a library that cannot tell the compute capability",
        "331.20",
        6000,
        (_GTX1080,),
        without=("nvmlDeviceGetCudaComputeCapability", *R418),
    ),
    "driver-not-loaded": Machine("a container without --gpus", results={"nvmlInitWithFlags": 9}),
    "driver-library-mismatch": Machine("an update without a restart", results={"nvmlInitWithFlags": 18}),
    "no-permission": Machine(
        "an account without access to the device files", results={"nvmlInitWithFlags": 4}
    ),
    "unknown-error": Machine("a GPU in trouble", results={"nvmlInitWithFlags": 999}),
    "not-ready": Machine("a code that pynvml has no words for", results={"nvmlDeviceGetCount_v2": 27}),
    "no-devices": Machine("a driver without a GPU", "550.54.14", 12040),
}

BUSY: dict[str, Machine] = {
    "busy-with-ours": Machine("a worker beside others", devices=(_RTX4090,), busy=80, ours=37),
    "busy-in-a-container": Machine(
        "processes have other numbers there", devices=(_RTX4090,), busy=80, ours=0
    ),
    "busy-under-wsl": Machine("nothing is told about processes", devices=(_RTX4090,), busy=80),
}
"""Machines on whose GPU somebody computes."""


def build_stub(folder: Path, machine: str) -> dict[str, str]:
    """Compile the library of a machine into a folder and return the environment variables that make it found.

    A machine without a library gets an unloadable file of that name, so that a real one is not found either.
    Raises KeyError for an unknown machine, CalledProcessError where there is no working C compiler.
    """
    described = {**MACHINES, **BUSY}[machine]
    place = folder / f"nvml-{machine}"
    place.mkdir(parents=True, exist_ok=True)
    library = place / "libnvidia-ml.so.1"
    if described.library:
        (place / "machine.h").write_text(_header(described), encoding="utf-8")
        _compile(place, library)
    else:
        library.write_bytes(b"")
    return {"LD_LIBRARY_PATH": str(place)}


def _compile(place: Path, library: Path) -> None:
    flags = ["-shared", "-fPIC", "-Wall", "-Werror", "-Wl,-soname,libnvidia-ml.so.1", f"-I{place}"]
    subprocess.run(["cc", *flags, "-o", str(library), str(_SOURCE)], check=True, timeout=60)


def _header(machine: Machine) -> str:
    lines = [f'#define DRIVER "{machine.driver}"', f"#define CUDA {machine.cuda}"]
    lines += [f"#define RESULT_{name} {machine.results.get(name, 0)}" for name in _FAILING]
    lines += [f"#define BUSY {machine.busy}", f"#define OURS {-1 if machine.ours is None else machine.ours}"]
    lines += [f"#define WITHOUT_{name}" for name in machine.without]
    devices = [_device(number, device) for number, device in enumerate(machine.devices)]
    lines += ["static const Device DEVICES[] = {", *devices, "  {0}", "};"]
    return "\n".join(lines) + "\n"


def uuid(number: int, *, mig: bool = False) -> str:
    """Return the UUID of a row's GPU or MIG instance, by its position in the list."""
    return f"{'MIG' if mig else 'GPU'}-{number:08x}-1c2d-4e5f-8a9b-0123456789ab"


def _device(number: int, device: Device) -> str:
    major, minor = device.capability.split(".")
    memory = f"{device.total * _MIB}ULL, {device.free * _MIB}ULL"
    rest = f"{int(device.mig)}, {device.parent}, {device.result}"
    name = uuid(number, mig=device.parent >= 0)
    return f'  {{"{device.name}", "{name}", {major}, {minor}, {memory}, {rest}}},'
