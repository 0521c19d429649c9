"""Classify images with a trained network whose preprocessing is inside it."""

from __future__ import annotations

import glob
import inspect
import json
import sys
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from alexnet_tf import files, recipes, runs
from alexnet_tf.errors import LabError, UsageError, choose
from alexnet_tf.folders import TESTS, folder, images_among
from alexnet_tf.splits import Split, read_image


def released() -> dict[str, Path]:
    """The networks that travel with the checkout, by name."""
    return {path.parent.name: path for path in sorted((runs.home() / "reports" / "models").glob("*/model.keras"))}


DEFAULT = "cifar10"
TRAINED_ON = "trained-on.json"  # beside a model: the digests of the photographs that it learned from


def find_model(name: str | None, store: Path | str | None = None) -> tuple[Path, list[str]]:
    """A ``.keras`` file with its class names: by path, a released one by name, or a run's.

    Without a name the released `DEFAULT`; where a store is named or nothing was released, the newest run's. A folder
    with a model inside, as `finetune` leaves it, will do for its path.
    """
    if name and (name.endswith(".keras") or (Path(name) / "model.keras").exists()):
        path = Path(name) if name.endswith(".keras") else Path(name) / "model.keras"
        if not path.exists():
            raise LabError(f"There is no model {path}: check the path.")
        return path, _classes_beside(path)
    known = released()
    if not name and known and not store:
        name = DEFAULT if DEFAULT in known else next(iter(known))
    if name in known:
        return _released(known[name])
    if name:
        if not Path(name).exists():
            choose("model or recipe", name.split("/")[0], [*known, *recipes.RECIPES])
        run = runs.find(name, store, having_weights=True)
    else:
        trained = [run for run in runs.listing(store) if _names_classes(run) and run.has_weights]
        if not trained:
            raise LabError(
                "No trained model is here: train one first, for example 'python -m alexnet_tf train cifar10-bn64'."
            )
        run = max(trained, key=lambda run: run.weights.stat().st_mtime)
    weights = weights_of(run)
    print(f"using {run}", file=sys.stderr)
    return weights, run.record["class_names"]


def _names_classes(run: runs.Run) -> bool:
    """Whether a run is finished and tells classes, as one that rebuilds images does not."""
    return run.finished and files.read_object(run.path / "record.json")["metrics"].get("test_accuracy") is not None


def _released(path: Path) -> tuple[Path, list[str]]:
    print(f"using {path.parent.name}, which came with this version", file=sys.stderr)
    return path, _classes_beside(path)


def _classes_beside(model: Path) -> list[str]:
    """The class names in a file beside a model; none where there is no file."""
    file = model.parent / "classes.json"
    if not file.exists():
        return []
    try:
        names = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise LabError(f"{file} holds no list of class names: mend or remove it.")
    return names


def weights_here(run: runs.Run) -> Path | None:
    """The saved network of a run: its own, or the released one that it became, which keeps it in 16 bits."""
    if run.has_weights:
        return run.weights
    for path in released().values():
        record = path.parent / "record.json"
        if record.exists() and files.read_object(record) == run.record:
            return path
    return None


def weights_of(run: runs.Run) -> Path:
    """The saved network of a run, or a sentence that says how to make it again."""
    path = weights_here(run)
    if path is None:
        raise LabError(
            f"The weights of {run} are not here: '{run.anew}' makes them again, "
            f"in about {run.record['provenance']['minutes']:.0f} minutes."
        )
    return path


# What a saved network may not ask for. Keras refuses lambdas; up to 3.10 it lets functions of its own through, such as
# one that copies files, and layers that unpickle.
CODE = {"Lambda", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "TFSMLayer", "function", "class", "__lambda__"}

LARGEST_CONFIG = 10_000_000  # bytes: the layers of the largest network here take some ten thousand


def _refuse_code(path: Path) -> None:
    """Raise if a saved network holds more than layers and numbers, or unpacks without end."""
    files.refuse_bomb(path)
    with zipfile.ZipFile(path) as file:
        if file.getinfo("config.json").file_size > LARGEST_CONFIG:
            raise ValueError("its layers alone take more than any network's")
        parts = [json.loads(file.read("config.json"))]
    for part in parts:  # grows while it is read
        inside = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
        parts.extend(inside)
        if isinstance(part, dict) and part.get("class_name") in CODE:
            raise ValueError(f"it asks for a {part['class_name']}")


# What newer versions of Keras save of a part, with the value that asks for nothing; Keras 3.10 refuses the very words.
NEWER: dict[str, dict[str, Any]] = {
    "Dense": {"quantization_config": None},
    "HeNormal": {"input_axes": None, "output_axes": None},
    "BatchNormalization": {"renorm": False, "renorm_clipping": None, "renorm_momentum": 0.99},
}


def _unknown() -> dict[str, Any]:
    """Those of the newer words that this version of Keras does not take."""
    from alexnet_tf.quiet import keras

    found: dict[str, Any] = {}
    for name, words in NEWER.items():
        part = getattr(keras.layers, name, None) or getattr(keras.initializers, name)
        known = inspect.signature(part.__init__).parameters
        found.update({word: nothing for word, nothing in words.items() if word not in known})
    return found


def _for_older(path: Path, folder: str, unknown: dict[str, Any]) -> Path:
    """A copy of a saved network without the words that are unknown here, where they ask for nothing."""

    def plain(part: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in part.items() if key not in unknown or value != unknown[key]}

    copy = Path(folder) / "model.keras"
    with zipfile.ZipFile(path) as file, zipfile.ZipFile(copy, "w") as written:
        for part in file.namelist():
            content = file.read(part)
            if part == "config.json":
                content = json.dumps(json.loads(content, object_hook=plain)).encode()
            written.writestr(part, content)
    return copy


def load(path: Path) -> Any:
    """A saved network for use: uint8 images of any size in, probabilities out; code that it holds is not run."""
    import alexnet_tf.layers
    import alexnet_tf.preprocess  # noqa: F401  (both register the layers that a saved model needs)
    from alexnet_tf.quiet import keras

    try:
        _refuse_code(path)
        unknown = _unknown()
        if not unknown:
            return keras.saving.load_model(path, compile=False, safe_mode=True)
        with tempfile.TemporaryDirectory() as folder:
            return keras.saving.load_model(_for_older(path, folder, unknown), compile=False, safe_mode=True)
    except Exception as error:  # whatever a damaged or hostile file makes Keras raise
        raise LabError(f"{path} is no model that this version can read: is it a whole .keras file?") from error


def listed(names: Sequence[str]) -> list[str]:
    """The image files that paths, folders, patterns and ``-`` (paths on standard input, a line each) name."""
    found: list[str] = []
    for name in names:
        if name == "-":
            found += [line.rstrip("\r\n") for line in sys.stdin if line.strip()]
        elif Path(name).is_dir():
            inside = images_among(Path(name), Path(name).rglob("*"))
            if not inside:
                raise LabError(f"The folder {name} holds no image.")
            found += map(str, inside)
        elif glob.has_magic(name) and not Path(name).exists():
            matching = map(Path, glob.glob(name, recursive=True))  # noqa: PTH207  (a pattern may start anywhere)
            inside = sorted(path for path in matching if path.is_file())
            if not inside:
                raise LabError(f"No file matches {name}.")
            found += map(str, inside)
        else:
            found.append(name)
    return found


HELD = 64_000_000  # bytes of pixels that are in memory at a time
BATCH = 250


def _chunks(images: Iterable[np.ndarray]) -> Iterator[list[np.ndarray]]:
    """Images as they come, as many at a time as may be held."""
    chunk: list[np.ndarray] = []
    for image in images:
        chunk.append(image)
        if len(chunk) == BATCH or sum(one.nbytes for one in chunk) > HELD:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def confidences(model: Any, images: Iterable[np.ndarray]) -> np.ndarray:
    """The probabilities of each image's classes; images of one size that come together share a batch."""
    from alexnet_tf.quiet import keras

    rows: list[np.ndarray] = []
    for chunk in _chunks(images):
        by_size: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for place, image in enumerate(chunk):
            by_size[image.shape].append(place)
        found: dict[int, np.ndarray] = {}
        for places in by_size.values():
            answers = keras.ops.convert_to_numpy(model(np.stack([chunk[i] for i in places]), training=False))
            if answers.ndim != 2:
                raise LabError("This network rebuilds images and names no class: take one that was trained on classes.")
            found.update(zip(places, answers, strict=True))
        rows += [found[place] for place in range(len(chunk))]
    return np.stack(rows)


def named(names: list[str], classes: int, path: Path) -> list[str]:
    """The names of a network's classes: numbers where none are listed beside it."""
    names = names or [str(i) for i in range(classes)]
    if len(names) != classes:
        raise LabError(f"{path} has {classes} classes, and {len(names)} names are listed beside it.")
    return names


def predict(
    images: Sequence[str],
    name: str | None = None,
    store: Path | str | None = None,
    top: int = 5,
    lost: list[str] | None = None,
) -> list[dict[str, Any]]:
    """The best classes of each image file with the network's confidence.

    The first file that can't be read ends it, or is told and added to `lost`, and the others are answered.
    """
    files = listed(images)
    if not files:
        raise LabError("No image is named: give files, folders or patterns.")
    for file in files:  # a wrong path is told before a model is loaded; places in records (FILE#…) when they are read
        if "#" not in file and not Path(file).exists():
            raise LabError(f"There is no image {file}: check the path.")
    path, names = find_model(name, store)
    belief = confidences(load(path), map(read_image, files) if lost is None else _readable(files, lost))
    files = [file for file in files if file not in (lost or ())]
    names = named(names, belief.shape[1], path)
    rows = []
    for confidence, file in zip(belief, files, strict=True):
        best = np.argsort(confidence)[::-1][:top]
        ranked = [{"class": names[i], "confidence": round(float(confidence[i]), 6)} for i in best]
        rows.append({"path": str(file), "top": ranked})
    return rows


def learned_by(model: Path) -> set[str]:
    """The digests of the photographs that taught a network, and what it was started from; empty if nothing tells."""
    file = model.parent / TRAINED_ON
    return set(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else set()


def _never_learned(split: Split, model: Path) -> Split:
    """The images that a network was not trained on, where it is known which ones were."""
    known = learned_by(model)
    if not known:
        print("No list says which images taught this network: any of them here flatters it.", file=sys.stderr)
        return split
    others = [place for place, digest in enumerate(split.digests()) if digest not in known]
    if not others:
        raise LabError(f"All {len(split)} images trained this network, and say nothing of it: measure it on others.")
    if left_out := len(split) - len(others):
        print(f"{left_out} of {len(split)} images trained this network and are left out.", file=sys.stderr)
    return split.take(others)


def _readable(files: Sequence[str], lost: list[str]) -> Iterator[np.ndarray]:
    """Those that can be read; the others are told and listed."""
    for file in files:
        try:
            image = read_image(file)
        except (LabError, PermissionError) as error:
            print(error if isinstance(error, LabError) else f"{file}: {error.strerror}", file=sys.stderr)
            lost.append(file)
        else:
            yield image
    if len(lost) == len(files):
        raise LabError("No image could be read.")


def measured_on(
    folder_of_classes: str, name: str | None = None, store: Path | str | None = None, skip_damaged: bool = False
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """(labels, answers, class names) of a labelled folder, a class a folder, named as the network names them."""
    parts = {"train", *TESTS} & {entry.name for entry in Path(folder_of_classes).glob("*")}
    if "train" in parts and len(parts) > 1:
        raise UsageError(
            f"{folder_of_classes} is split in {', '.join(sorted(parts))}: name one, with its class folders."
        )
    split, found, _ = folder(folder_of_classes, skip_damaged)
    path, names = find_model(name, store)
    split = _never_learned(split, path)
    model = load(path)
    names = named(names, model.output_shape[-1], path)
    strange = sorted(set(found) - set(names))
    if strange:
        raise LabError(
            f"{folder_of_classes} has folders that this network has no class for: {', '.join(strange)}. "
            f"It knows {', '.join(names)}."
        )
    belief = confidences(model, (split.image(place) for place in range(len(split))))
    labels = np.array([names.index(found[label]) for label in split.labels])
    return labels, belief.argmax(axis=1), names
