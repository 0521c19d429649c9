"""Keras, loaded without the dozen log lines that its backend greets with.

TensorFlow writes them to the process' standard error before any setting can silence it. They are
held back while it loads and shown if loading fails. Import Keras from here: ``from
alexnet_tf.quiet import keras``.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
import tempfile
from collections.abc import Iterator

from alexnet_tf.errors import LabError, choose


@contextlib.contextmanager
def standard_error_held_back() -> Iterator[None]:
    """Nothing of what the process, its libraries included, writes to standard error; all of it if it fails."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
BACKEND = choose("Keras backend", os.environ.get("KERAS_BACKEND") or "tensorflow", ("jax", "tensorflow", "torch"))
if importlib.util.find_spec(BACKEND) is None:
    raise LabError(
        f"KERAS_BACKEND={BACKEND} asks for {BACKEND}, which is not installed: install it, or leave it unset."
    )
if BACKEND != "tensorflow":
    # Keras loads TensorFlow beside any backend, merely because it is installed: four seconds for nothing.
    sys.modules.setdefault("tensorflow", None)  # type: ignore[arg-type]
    # Of a card JAX would keep three quarters to itself, and leave other processes of the same search or bench none.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
with standard_error_held_back():
    import keras

    keras.ops.zeros(1)  # the first tensor makes the backend look for devices

__all__ = ["keras", "standard_error_held_back"]
