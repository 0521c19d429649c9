"""Files that survive whatever happens: written whole or not at all, locked, and read with suspicion."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alexnet_tf.errors import LabError

if TYPE_CHECKING:
    import numpy as np


def write_beside(path: Path, content: bytes) -> Path:
    """Write a whole file beside its place, to be renamed into it; of a failure nothing stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        partial.unlink(missing_ok=True)  # a full disk needs its room back
        raise
    return partial


def write_atomically(path: Path, content: bytes) -> None:
    """Write a whole file or nothing, whenever the process dies."""
    write_beside(path, content).replace(path)


@contextlib.contextmanager
def locked(path: Path, told: str, wait: bool = False) -> Iterator[None]:
    """Hold a file's lock for one process; it goes when the process does, however it ends."""
    with path.open("w") as file:
        try:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except ImportError:  # not on this system: go without
            pass
        except (BlockingIOError, PermissionError) as error:  # some systems call a lock that is held forbidden
            raise LabError(f"{told} by another process: wait for it, or stop it.") from error
        except OSError as error:
            _tell_of_no_locks(path.parent, error.strerror)
        yield


@functools.cache
def _tell_of_no_locks(folder: Path, why: str) -> None:
    """Once a folder: some network disks know no locks, and a training there is better than none."""
    print(f"{folder} lies on a disk without locks ({why}): see that no other process trains there.", file=sys.stderr)


def bytes_in(path: Path) -> int:
    """The bytes of a file, or of all files in a folder."""
    return sum(file.stat().st_size for file in (path, *path.rglob("*")) if file.is_file())


def read_object(path: Path) -> dict[str, Any]:
    """A JSON object from a file; empty when there is no whole one."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError, RecursionError):  # whatever damaged bytes make the decoder raise
        return {}
    return found if isinstance(found, dict) else {}


UNPACKED = 64 * 2**20  # bytes that a ZIP file may unpack to in any case
PACKED_BY = 50  # and how many times its own size beyond


def refuse_bomb(path: Path) -> None:
    """Raise if a ZIP file (``.npz``, ``.keras``) would fill the memory with what no training has written."""
    with zipfile.ZipFile(path) as file:
        unpacked = sum(entry.file_size for entry in file.infolist())
    if unpacked > max(UNPACKED, PACKED_BY * path.stat().st_size):
        raise LabError(
            f"{path} holds {path.stat().st_size / 1e6:.1f} MB and would unpack to {unpacked / 1e6:,.0f} MB, as no "
            "network or record does: get it anew from where it came from."
        )


def read_arrays(path: Path, what: str, remedy: str = "train anew with --fresh") -> dict[str, np.ndarray]:
    """The arrays of an ``.npz`` file, or a sentence about `what` when it is no whole one."""
    import numpy as np

    try:
        refuse_bomb(path)
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)
    except LabError:
        raise
    except Exception as error:  # whatever damaged bytes make the decoder raise
        raise LabError(f"{what} are missing or damaged: {remedy} ({path}).") from error
