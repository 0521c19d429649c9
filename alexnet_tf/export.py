"""A finished run in formats that need nothing of this laboratory: SavedModel, LiteRT, ONNX, LiteRT in eight bits.

In all of them a batch of uint8 RGB pictures goes in as ``image`` and a row of probabilities a picture
comes out as ``probabilities``: the preprocessing is inside. SavedModel and ONNX take pictures of any
size. LiteRT takes one size, that of the run's dataset (where photographs differ in size, the square
that the network brings them to). Every file is read back by its own runtime and compared with Keras
on the same test images.

In eight bits are the network's weights and arithmetic, from its first layer to its logits. What stands
around them stays float32, since eight bits can't hold an image's own mean and deviation; so does local
response normalization, for which LiteRT has no arithmetic in whole numbers.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import logging
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alexnet_tf import bench, datasets, evaluation, predict, provenance
from alexnet_tf.errors import LabError, choose, needs_tensorflow
from alexnet_tf.files import bytes_in, read_object, write_atomically
from alexnet_tf.intervals import Interval
from alexnet_tf.runs import Run
from alexnet_tf.splits import Split, stratified

Pictures = NDArray[np.uint8]
Ask = Callable[[Pictures], NDArray[np.float32]]  # a batch of pictures in, their probabilities out

IMAGES = 512  # test images to compare on, unless told otherwise
KNOWN = 200  # training images by which eight bits are calibrated
BATCHES = (1, 32)  # how many pictures at once when latency is measured
OPSET = 18  # the newest version of ONNX that tf2onnx writes


@dataclass(frozen=True)
class Source:
    """What is exported, and training images of the size that it will be shown."""

    model: Any  # uint8 pictures of any size in, probabilities out
    known: Pictures


@dataclass(frozen=True)
class Format:
    """How a format is written and asked, and what has to be installed for that."""

    file: str
    write: Callable[[Source, Path], None]
    load: Callable[[Path], Ask]
    needs: tuple[str, ...] = ()


def _served(model: Any, size: tuple[int, int] | tuple[None, None]) -> Any:
    """The network as one TensorFlow function with a name for what goes in and what comes out."""
    import tensorflow as tf

    module = tf.Module()
    module.variables_of_network = [variable.value for variable in model.variables]  # or nothing would keep them
    module.serve = tf.function(
        lambda image: {"probabilities": model(image, training=False)},
        input_signature=[tf.TensorSpec((None, *size, 3), tf.uint8, name="image")],
    )
    return module


def _write_saved_model(source: Source, path: Path) -> None:
    import tensorflow as tf

    shutil.rmtree(path, ignore_errors=True)
    module = _served(source.model, (None, None))
    tf.saved_model.save(module, str(path), signatures={"serving_default": module.serve})


def _load_saved_model(path: Path) -> Ask:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))

    def ask(pictures: Pictures) -> NDArray[np.float32]:
        return loaded.signatures["serving_default"](image=tf.constant(pictures))["probabilities"].numpy()

    return ask


def _converter(source: Source) -> Any:
    """TensorFlow's converter to LiteRT, of the network for pictures of one size."""
    import tensorflow as tf

    module = _served(source.model, source.known.shape[1:3])
    return tf.lite.TFLiteConverter.from_concrete_functions([module.serve.get_concrete_function()], module)


def _write_litert(source: Source, path: Path) -> None:
    write_atomically(path, _converter(source).convert())


def _write_litert_int8(source: Source, path: Path) -> None:
    """Post-training quantization of all but the preprocessing and the last activation."""
    import tensorflow as tf

    def known() -> Iterator[list[Pictures]]:
        return ([picture[None]] for picture in source.known)

    converter, outside = _converter(source), _outside(source.model, _converter(source).convert())
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = known
    # The only public door to a choice of what is quantized; it debugs nothing here.
    options = tf.lite.experimental.QuantizationDebugOptions(denylisted_nodes=outside)
    chooser = tf.lite.experimental.QuantizationDebugger(converter=converter, debug_dataset=known, debug_options=options)
    write_atomically(path, chooser.get_nondebug_quantized_model())


def _outside(model: Any, content: bytes) -> list[str]:
    """The values of a LiteRT model that are computed before the network and after its logits."""
    interpreter = _interpreter(model_content=content)
    first, last = model.layers[0].name, model.layers[-1].name
    names = [value["name"] for value in interpreter.get_tensor_details()]
    around = [name for name in names if f"/{first}" in name or f"/{last}" in name]
    return [*around, *(value["name"] for value in interpreter.get_output_details())]


def _interpreter(**settings: Any) -> Any:
    """LiteRT's interpreter, from its own package where that is installed, else TensorFlow's older copy."""
    settings["num_threads"] = provenance.cores()  # as the other runtimes do of their own accord
    if importlib.util.find_spec("ai_edge_litert"):
        from ai_edge_litert.interpreter import Interpreter

        return Interpreter(**settings)
    import tensorflow as tf

    return tf.lite.Interpreter(**settings)


def _load_litert(path: Path) -> Ask:
    @functools.cache
    def runner(shape: tuple[int, ...]) -> Any:  # one a shape: an interpreter plans its memory for a shape
        return _interpreter(model_path=str(path)).get_signature_runner("serving_default")

    return lambda pictures: runner(pictures.shape)(image=pictures)["probabilities"]


def _write_onnx(source: Source, path: Path) -> None:
    import tf2onnx

    logging.getLogger("tf2onnx").setLevel(logging.CRITICAL)  # what goes wrong shows when the file is read back
    serve = _served(source.model, (None, None)).serve
    written, _ = tf2onnx.convert.from_function(
        serve, serve.input_signature, opset=OPSET, custom_op_handlers={"Erfc": (_erfc, [])}
    )
    write_atomically(path, written.SerializeToString())


def _erfc(graph: Any, node: Any, name: str, _: Any) -> Any:
    """The complementary error function of GELU, which tf2onnx does not know: 1 - erf(x)."""
    shape, kind = graph.get_shape(node.output[0]), graph.get_dtype(node.output[0])
    graph.remove_node(name)
    one = graph.make_const(f"{name}/one", np.array(1, "float32"))
    erf = graph.make_node("Erf", node.input)
    inputs = [one.output[0], erf.output[0]]
    return graph.make_node("Sub", inputs, name=name, outputs=node.output, shapes=[shape], dtypes=[kind])


def _load_onnx(path: Path) -> Ask:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda pictures: session.run(["probabilities"], {"image": pictures})[0]


FORMATS = {
    "saved-model": Format("saved-model", _write_saved_model, _load_saved_model),
    "litert": Format("model.tflite", _write_litert, _load_litert),
    "onnx": Format("model.onnx", _write_onnx, _load_onnx, ("onnx", "onnxruntime", "tf2onnx")),
    "litert-int8": Format("model-int8.tflite", _write_litert_int8, _load_litert),
}


def chosen(names: str) -> list[str]:
    """The formats of a list with commas."""
    return list(dict.fromkeys(choose("format", name, FORMATS) for name in names.split(",")))


def _needs(formats: Sequence[str]) -> None:
    """What is missing is told before anything is loaded."""
    needs_tensorflow("Exporting")
    for name in formats:
        missing = [package for package in FORMATS[name].needs if importlib.util.find_spec(package) is None]
        if missing:
            raise LabError(
                f"{name} needs packages that are not installed: 'pip install {' '.join(missing)}', "
                "or leave it out of --formats."
            )


def make(run: Run, formats: Sequence[str], folder: Path, images: int = IMAGES) -> dict[str, Any]:
    """Write a run in some formats, and compare each with Keras."""
    _needs(formats)
    evaluation.accuracy_of(run)  # what has none can't be compared
    weights = predict.weights_of(run)
    keras_model = predict.load(weights)
    test, known = _shown(run, images)
    prepare = keras_model.layers[0]
    source = Source(_in_float32(keras_model), _pictures(known, prepare))
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "classes.json", json.dumps(run.record["class_names"]).encode())
    files, asks = {"keras": weights}, {"keras": keras_model.predict_on_batch}
    for name in formats:
        files[name] = folder / FORMATS[name].file
        _quietly(run, name, FORMATS[name].write, source, files[name])
        asks[name] = _quietly(run, name, FORMATS[name].load, files[name])
    rows = _compared(run, asks, _pictures(test, prepare), test.labels)
    for name, file in files.items():
        rows[name]["bytes"] = bytes_in(file)
    return {**_conditions(), "images": len(test), "calibrated_on": len(known), "formats": rows}


def keep(file: Path, found: Mapping[str, Any]) -> bool:
    """Write a comparison into its file, unless an earlier one of these formats, on more images, lies there."""
    kept = read_object(file)
    if kept.get("images", 0) > found["images"] and found["formats"].keys() <= kept["formats"].keys():
        print(f"{file} stays: it compares {kept['images']:,} images. '--images' asks for as many.", file=sys.stderr)
        return False
    write_atomically(file, (json.dumps(found, indent=1) + "\n").encode())
    return True


def _in_float32(model: Any) -> Any:
    """The network without bfloat16, which the other runtimes lack; its weights were float32 all along."""
    from alexnet_tf.quiet import keras

    config = json.dumps(keras.saving.serialize_keras_object(model))
    if "mixed_bfloat16" not in config:
        return model
    plain = keras.saving.deserialize_keras_object(json.loads(config.replace("mixed_bfloat16", "float32")))
    plain.set_weights(model.get_weights())
    return plain


def _shown(run: Run, images: int) -> tuple[Split, Split]:
    """Test images to compare on, and training images to calibrate by: of the data that the run was trained on."""
    splits = datasets.again(run.record)
    test, known = (
        part.take(stratified(part.labels, min(count, len(part))))
        for part, count in ((splits.test, images), (splits.train, KNOWN))
    )
    return test, known


def _pictures(split: Split, prepare: Any) -> Pictures:
    """The images in memory; photographs of their own sizes are brought to one, as the network would."""
    if split.images is not None:
        return split.images
    resized = [prepare.resize(split.image(place)[None].astype("float32")) for place in range(len(split))]
    return np.concatenate([np.asarray(image) for image in resized]).round().clip(0, 255).astype("uint8")


def _quietly(run: Run, name: str, work: Callable[..., Any], *inputs: Any) -> Any:
    """Converters and runtimes talk for pages: that is held back, and what they can't do becomes one sentence."""
    from alexnet_tf.quiet import standard_error_held_back

    with standard_error_held_back():
        try:
            return work(*inputs)
        except Exception as error:  # whatever a converter raises
            failure = error
    told = str(failure).strip().partition("\n")[0]
    raise LabError(f"{run} can't be exported as {name}: {type(failure).__name__}: {told}") from failure


def _compared(run: Run, asks: Mapping[str, Ask], pictures: Pictures, labels: NDArray[np.int64]) -> dict[str, Any]:
    """Each format's answers against Keras' on the same pictures, and how fast they come."""

    def answers(ask: Ask) -> NDArray[np.float32]:
        starts = range(0, len(pictures), BATCHES[-1])
        return np.concatenate([ask(pictures[start : start + BATCHES[-1]]) for start in starts])

    given = {name: _quietly(run, name, answers, ask) for name, ask in asks.items()}
    speeds = _latencies(asks, pictures)
    theirs = given["keras"].argmax(axis=1)
    rows = {}
    for name, ours in given.items():
        best = ours.argmax(axis=1)
        gap = evaluation.gain_interval((best == labels) * 1.0 - (theirs == labels))
        rows[name] = {
            "largest_difference": float(abs(ours - given["keras"]).max()),
            "equal_answers": float((best == theirs).mean()),
            "accuracy": evaluation.accuracy(labels, ours),
            "against_keras": {"mean": gap.mean, "low": gap.low, "high": gap.high},
            "milliseconds": speeds[name],
        }
    return rows


def _latencies(asks: Mapping[str, Ask], pictures: Pictures) -> dict[str, dict[str, bench.Summary]]:
    """Milliseconds for a batch of each size; all formats and sizes take turns."""
    sides = {}
    for count in BATCHES:
        batch = np.resize(pictures, (count, *pictures.shape[1:]))
        sides.update({f"{name} {count}": bench.timed(functools.partial(ask, batch)) for name, ask in asks.items()})
    seconds = bench.interleaved(sides)
    return {name: {str(count): bench.summary(seconds[f"{name} {count}"] * 1000) for count in BATCHES} for name in asks}


def _conditions() -> dict[str, Any]:
    """What the comparison was made on and with."""
    packages = (*provenance.PACKAGES, "ai-edge-litert", "onnx", "onnxruntime", "tf2onnx")
    return {"hardware": provenance.hardware(), "versions": provenance.versions(packages)}


def table(found: Mapping[str, Any]) -> list[dict[str, str]]:
    """The comparison as rows of text, for people."""
    rows = []
    for name, row in found["formats"].items():
        rows.append(
            {
                "format": name,
                "MB": f"{row['bytes'] / 1e6:.2f}",
                "largest difference": f"{row['largest_difference']:.1e}",
                "equal answers": f"{row['equal_answers']:.2%}",
                "accuracy": f"{row['accuracy']:.2%}",
                "minus Keras": Interval(**row["against_keras"], n=1).points,
                **{f"ms for {count}": f"{speed['median']:.2f}" for count, speed in row["milliseconds"].items()},
            }
        )
    return rows


def markdown(found: Mapping[str, Any]) -> str:
    """The comparison as a table of Markdown, each accuracy with its interval."""
    columns = ("format", "MB", "largest difference", "accuracy", "minus Keras", *(f"ms for {n}" for n in BATCHES))
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for line in table(found):
        rate = found["formats"][line["format"]]["accuracy"]
        around = evaluation.binomial_interval(round(rate * found["images"]), found["images"])
        row = {**line, "accuracy": f"{rate:.2%} [{around.low:.2%}, {around.high:.2%}]"}
        lines.append(f"| {' | '.join(row[column] for column in columns)} |")
    return "\n".join(lines)
