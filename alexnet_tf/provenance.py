"""Where a number comes from: versions, hardware, backend, precision, commit, date."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("keras", "tensorflow", "jax", "torch", "numpy")
CPUINFO = Path("/proc/cpuinfo")


def versions(packages: Sequence[str] = PACKAGES) -> dict[str, str]:
    """The installed versions of what decides a number."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def accelerators() -> list[str]:
    """The names of the devices, other than processors, that the backend computes on."""
    from alexnet_tf.quiet import keras

    if keras.backend.backend() == "jax":
        import jax

        return [device.device_kind for device in jax.devices() if device.platform != "cpu"]
    if keras.backend.backend() == "torch":
        import torch

        return [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    return [tf.config.experimental.get_device_details(gpu).get("device_name", "GPU") for gpu in gpus]


def cores() -> int:
    """The processor's cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> dict[str, str]:
    """What Linux says of the first core, by name; nothing elsewhere."""
    first = CPUINFO.read_text().split("\n\n")[0].splitlines() if CPUINFO.exists() else []
    pairs = (line.partition(":") for line in first)
    return {name.strip(): value.strip() for name, _, value in pairs}


def hardware() -> str:
    """Accelerators, processor, cores and memory, in one line."""
    said = _processor()
    model = said.get("model name") or platform.processor() or platform.machine()
    if "cpu family" in said:  # a machine that is rented may not say more than the maker's name
        model += f" (family {said['cpu family']})"
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30 if hasattr(os, "sysconf") else 0
    return ", ".join([*accelerators(), model, f"{cores()} cores", f"{memory:.0f} GiB"])


def slow_in_bfloat16() -> bool:
    """Whether bfloat16 is computed here by a processor that is known to lack its instructions."""
    said = _processor()
    able = set(said.get("flags", said.get("Features", "")).split())
    return bool(able) and not able & {"avx512_bf16", "amx_bf16", "bf16"} and not accelerators()


def forget_peak() -> None:
    """Let `peak_memory` begin at what this process holds now, where the system can (Linux)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory() -> int | None:
    """The most memory that this process has held so far, in MiB; None where the system does not say."""
    status = Path("/proc/self/status")
    if status.exists() and (found := re.search(r"^VmHWM:\s*(\d+) kB", status.read_text(), re.M)):
        return round(int(found[1]) / 2**10)  # what getrusage tells here may be what the parent process has held
    try:
        import resource
    except ImportError:
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(most / 2**20 if sys.platform == "darwin" else most / 2**10)  # bytes there, KiB elsewhere


def commit() -> str | None:
    """The checkout's commit, with a plus sign when files differ from it; None outside a checkout."""
    folder = Path(__file__).resolve().parent
    if not (folder.parent / "pyproject.toml").exists():
        return None  # installed, perhaps inside somebody else's repository

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", *words], cwd=folder, capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", ".")
        return git("rev-parse", "--short=12", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return None


def collect(precision: str) -> dict[str, Any]:
    """The provenance of a run that begins now."""
    from alexnet_tf.quiet import keras

    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions(),
        "hardware": hardware(),
        "backend": keras.backend.backend(),
        "precision": precision,
        "commit": commit(),
    }
