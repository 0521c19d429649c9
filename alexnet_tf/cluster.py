"""Several processes, usually on several machines, meet to train as one; all or none of them go on.

Who is who comes from flags, from Slurm's `srun`, or from a Kubernetes indexed Job. JAX's own runtime
connects them: process 0 listens, the others call. That runtime ends a process from within C++ when it
loses another one, so the training runs in a child, and its parent stays to say what happened.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata

from alexnet_tf.errors import LabError, UsageError

PATIENCE = 300  # seconds in which all processes must have come
SILENCE = 30  # seconds without a sign of life after which a process counts as lost
ALONE = "or say --processes 1 to train alone"
KEPT = "Everything up to the last finished epoch is kept: start all processes again to go on from there."


@dataclass(frozen=True)
class Seat:
    """Which of how many processes this one is, and where process 0 listens."""

    process: int = 0
    processes: int = 1
    coordinator: str = ""

    def __str__(self) -> str:
        return f"process {self.process} (of 0 to {self.processes - 1})"


class LostPeerError(LabError):
    """Another process of the training is gone."""

    def __init__(self, why: str) -> None:
        super().__init__(
            f"{why}: another process of this training has ended or can't be reached; its own last line says why. {KEPT}"
        )


def find(
    processes: int | None = None,
    process: int | None = None,
    coordinator: str | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Seat:
    """This process' seat: from the flags if there are any, else from what a launcher has set."""
    flags = {"--processes": processes, "--process": process, "--coordinator": coordinator}
    if processes == 1 and process in (None, 0) and coordinator is None:
        return Seat()
    for given in (flags, _slurm(environment), _indexed_job(environment)):
        if any(value is not None for value in given.values()):
            return _checked(given, environment)
    return Seat()


def _slurm(environment: Mapping[str, str]) -> dict[str, str | None]:
    """What `srun` tells each of its tasks; the port follows from the job, so that jobs don't meet."""
    tasks, nodes = environment.get("SLURM_NTASKS", "1"), environment.get("SLURM_STEP_NODELIST")
    if tasks == "1":
        return {}
    job = environment.get("SLURM_JOB_ID", "0")
    if not _is_number(job):
        raise UsageError(f"Received SLURM_JOB_ID {job!r}: it must be a whole number; start with srun, {ALONE}.")
    port = 61440 + int(job) % 4096
    return {
        "SLURM_NTASKS": tasks,
        "SLURM_PROCID": environment.get("SLURM_PROCID"),
        "SLURM_STEP_NODELIST": f"{first_host(nodes)}:{port}" if nodes else None,
    }


def _is_number(text: str) -> bool:
    return bool(re.fullmatch("[0-9]{1,12}", text))


def first_host(nodes: str) -> str:
    """The first name of a list of hosts as Slurm abbreviates it.

    >>> first_host("rack[2-3]node[07,09-12],login"), first_host("a,b")
    ('rack2node07', 'a')
    """
    first = re.match(r"(?:[^,\[]|\[[^]]*\])*", nodes)
    return re.sub(r"\[(\w+)[^]]*\]", r"\1", first[0] if first else nodes)


def _indexed_job(environment: Mapping[str, str]) -> dict[str, str | None]:
    """What an indexed Job's manifest sets beside the index that Kubernetes gives."""
    ours = {name: environment.get(name) for name in ("ALEXNET_PROCESSES", "ALEXNET_COORDINATOR")}
    if not any(ours.values()):
        return {}  # an index alone is no call to meet: jobs use it for seeds too
    return {
        "ALEXNET_PROCESSES": ours["ALEXNET_PROCESSES"],
        "JOB_COMPLETION_INDEX": environment.get("JOB_COMPLETION_INDEX"),
        "ALEXNET_COORDINATOR": ours["ALEXNET_COORDINATOR"],
    }


def _checked(given: Mapping[str, str | int | None], environment: Mapping[str, str]) -> Seat:
    """A seat from how many, which one and where, in this order; a sentence about what is wrong with them."""
    received = ", ".join(f"{name} {value}" for name, value in given.items() if value is not None)
    missing = [name for name, value in given.items() if value is None]
    if missing:
        hint = "start with srun" if "SLURM_NTASKS" in given else "give all three"
        raise UsageError(f"Received {received} but not {' and '.join(missing)}: {hint}, {ALONE}.")
    total, index, address = map(str, given.values())
    if not (_is_number(total) and _is_number(index) and int(index) < int(total)):
        names = list(given)
        raise UsageError(f"Received {received}: {names[1]} must be a whole number from 0 and below {names[0]}.")
    if not re.fullmatch(r".+:\d{1,5}", address):
        raise UsageError(f"Received {received}: the coordinator is the HOST:PORT where process 0 will listen.")
    backend = environment.get("KERAS_BACKEND") or "tensorflow"
    if int(total) > 1 and backend != "jax":
        raise UsageError(
            f"Received {received} with the {backend} backend, and only JAX's trains in several processes: "
            f"set KERAS_BACKEND=jax, {ALONE}."
        )
    return Seat(int(index), int(total), address)


def _silence(*outputs: int) -> None:
    """Drop what is written to these of the process' own outputs from now on."""
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123
        for number in outputs:
            os.dup2(nowhere.fileno(), number)


@contextlib.contextmanager
def _unheard() -> Iterator[None]:
    """Drop what libraries write to the process' own outputs: greetings, and traces of their C++."""
    kept = os.dup(1), os.dup(2)
    _silence(1, 2)
    try:
        yield
    finally:
        for number, saved in zip((1, 2), kept, strict=True):
            os.dup2(saved, number)
            os.close(saved)


def join(seat: Seat) -> None:
    """Meet the others; before anything is computed, for then it is too late."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import jax
    from jax.experimental import multihost_utils

    with _unheard():
        jax.distributed.initialize(
            seat.coordinator,
            seat.processes,
            seat.process,
            cluster_detection_method="deactivate",  # the seat says it all
            initialization_timeout=PATIENCE,
            heartbeat_timeout_seconds=SILENCE,
        )
        multihost_utils.sync_global_devices("all have come")


def leave() -> None:
    """Part from the others once all have come here; harmless when already parted."""
    import jax

    jax.distributed.shutdown()


@contextlib.contextmanager
def peers_watched() -> Iterator[None]:
    """Tell what the network's libraries raise when another process is gone."""
    try:
        yield
    except (RuntimeError, ValueError) as error:
        if re.search("gloo|nccl|coordination service|UNAVAILABLE|DEADLINE_EXCEEDED", str(error), re.IGNORECASE):
            _silence(2)  # C++ would tell the same in many lines; Python's own errors have another way out
            raise LostPeerError("The training stopped") from error
        raise


def guarded(seat: Seat, work: Callable[[], int]) -> int:
    """Do the work in a child that has joined the others; return its exit status or say what ended it."""
    keras = metadata.version("keras")
    if keras.startswith("3.10."):  # the oldest that the laboratory runs with takes no stream from a process' own hands
        raise UsageError(f"Training in several processes needs Keras 3.11 or newer; this is {keras}: update, {ALONE}.")
    if not hasattr(os, "fork"):
        raise UsageError(f"Training in several processes needs Linux or macOS: {ALONE}.")
    ours, theirs = socket.socketpair()
    child = os.fork()
    if not child:
        ours.close()
        _be_the_child(seat, work, theirs)
    theirs.close()
    signal.signal(signal.SIGINT, lambda *_: os.kill(child, signal.SIGINT))
    joined = ours.recv(1)  # empty when the child ended before
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status >= 0:
        return status
    if status == -signal.SIGINT:
        raise KeyboardInterrupt
    if status == -signal.SIGKILL:
        raise LabError(f"{str(seat).capitalize()} was killed, as happens when memory runs out. {KEPT}")
    if not joined:
        raise LabError(
            f"This is {seat}, and they did not all meet at {seat.coordinator} within {PATIENCE} seconds: start all "
            "of them, each with its own number, and see that process 0 runs on that host and that the port is free."
        )
    raise LostPeerError(f"{str(seat).capitalize()} was ended by {signal.Signals(-status).name}")


def _be_the_child(seat: Seat, work: Callable[[], int], line: socket.socket) -> None:
    """Join, work and exit, without the clean-up at exit that would wait for processes that are gone."""
    os.setpgid(0, 0)  # Ctrl-C reaches the parent, which hands it on, once
    threading.Thread(target=_end_with_parent, args=(line,), daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # while C++ waits for the others, Python hears nothing
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)  # apart from C++, which is silenced when a peer is lost
    status = 1
    try:
        join(seat)
        line.send(b"!")
        signal.signal(signal.SIGINT, signal.default_int_handler)
        status = work()
        if status == 0:
            leave()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _end_with_parent(line: socket.socket) -> None:
    """A parent that was killed closes its end of the line."""
    line.recv(1)
    os._exit(1)
