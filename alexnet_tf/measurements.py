"""What needs a run's weights is measured while they exist and kept beside the run as small arrays."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from alexnet_tf import datasets, evaluation, predict
from alexnet_tf.errors import LabError
from alexnet_tf.files import read_object, write_atomically
from alexnet_tf.runs import Run
from alexnet_tf.splits import Splits, stratified

if TYPE_CHECKING:
    from alexnet_tf.corruptions import Spoilt

Arrays = dict[str, np.ndarray]
IMAGES_AT_ONCE = 25  # of which ten crops each: 150 MB at 224 pixels


def measured(run: Run, name: str, compute: Callable[[Any], Arrays], inputs: Any = None) -> Arrays:
    """The arrays of one measurement: read if they were kept for the same inputs, else computed and kept.

    Where the weights are gone, the error says which command makes them again.
    """
    key = hashlib.sha256(json.dumps(inputs).encode()).hexdigest()[:16]
    kept = run.measurement(name)
    if kept and str(kept.pop("inputs", "")) == key:
        return kept
    arrays = compute(predict.load(predict.weights_of(run)))
    content = io.BytesIO()
    np.savez_compressed(content, inputs=np.array(key), **arrays)  # type: ignore[arg-type]
    if read_object(run.path / "record.json") == run.record:  # else it was trained anew while this measured
        write_atomically(run.path / "measurements" / f"{name}.npz", content.getvalue())
    return arrays


def through(run: Run, splits: Splits, image: int = 0, channels: int = 3) -> Arrays:
    """What the liveliest channels of each convolution make of a test image."""
    from alexnet_tf import interpret
    from alexnet_tf.models import transfer

    def compute(model: Any) -> Arrays:
        names = interpret.convolutions(transfer.parts(model)[1])
        found = interpret.activations(model, splits.test.pixels[image : image + 1], names)
        lively = {name: layer[0].std(axis=(0, 1)).argsort()[: -channels - 1 : -1] for name, layer in found.items()}
        return {name: np.moveaxis(found[name][0][..., lively[name]], -1, 0).astype("float16") for name in names}

    return measured(run, "through", compute, [image, channels])


def inside(run: Run, splits: Splits, tested: int = 24, mapped: int = 800) -> Arrays:
    """What `05_inside_alexnet` shows: filters, neighbours, a plane of the test images, maps and their checks."""
    from alexnet_tf import interpret
    from alexnet_tf.models import transfer

    def compute(model: Any) -> Arrays:
        known = splits.train.take(stratified(splits.train.labels, min(2000, len(splits.train))))
        asked = splits.test.take(np.arange(min(mapped, len(splits.test))))
        few = asked.take(np.arange(tested))
        features, theirs = (interpret.embeddings(model, part.pixels) for part in (asked, known))
        pixels, their_pixels = (part.pixels.reshape(len(part), -1) / 255 - 0.5 for part in (asked, known))
        _, network = transfer.parts(model)
        found: Arrays = {
            "filters": interpret.filters(network).astype("float16"),
            "known_ids": known.ids,
            "near_by_features": interpret.neighbours(theirs, features[:8]),
            "near_by_pixels": interpret.neighbours(their_pixels, pixels[:8]),
            "agree_by_features": known.labels[interpret.neighbours(theirs, features)] == asked.labels[:, None],
            "agree_by_pixels": known.labels[interpret.neighbours(their_pixels, pixels)] == asked.labels[:, None],
            "plane": interpret.plane(features),
            "plane_labels": asked.labels,
        }
        strongest = interpret.activations(model, asked.pixels, ["conv5"])["conv5"].max(axis=(1, 2))
        units = np.argsort(-strongest.max(axis=0))[:6]
        found["units"] = units
        found["exciting"] = np.argsort(-strongest[:, units], axis=0)[:8].T
        newborn = interpret.randomized(model)
        chance = np.random.default_rng(0).random(few.pixels.shape[:3]).astype("float32")
        said = np.asarray(model.predict(few.pixels, verbose=0)).argmax(axis=1)  # maps explain answers, right or wrong
        found["deletion random"] = interpret.deletion(model, few.pixels, said, chance)
        for name, method in interpret.METHODS.items():
            maps = method(model, few.pixels, said)
            found[f"map {name}"] = maps[:8].astype("float16")
            found[f"deletion {name}"] = interpret.deletion(model, few.pixels, said, maps)
            found[f"likeness {name}"] = interpret.likeness(maps, method(newborn, few.pixels, said))
        return found

    return measured(run, "inside", compute, [tested, mapped, list(interpret.METHODS), interpret.VERSION])


LEARNED = 10_000  # training images that tell how well a network knows what it was trained on


def training(run: Run) -> Arrays:
    """Which of the first training images the network gets right, as they are: no dropout, nothing augmented."""

    def compute(model: Any) -> Arrays:
        trained = datasets.again(run.record).train
        few = trained.take(np.arange(min(LEARNED, len(trained)) // 8 * 8))  # whole bytes of eight answers
        return {"right": np.packbits(model.predict(few.pixels, verbose=0).argmax(axis=1) == few.labels)}

    return measured(run, "training", compute, LEARNED)


def corrupted(run: Run, spoilt: Spoilt) -> Arrays:
    """The accuracy on the images of a split, as they are and under each corruption at each severity.

    With how many times each image was right, for comparisons in pairs.
    """
    from alexnet_tf import corruptions

    def compute(model: Any) -> Arrays:
        def right(images: NDArray[np.uint8]) -> NDArray[np.bool_]:
            return model.predict(images, verbose=0).argmax(axis=1) == spoilt.split.labels

        kinds, severities = list(corruptions.CORRUPTIONS), corruptions.SEVERITIES
        found = np.array([[right(spoilt.images[kind, severity]) for severity in severities] for kind in kinds])
        clean = np.array(right(spoilt.split.pixels).mean())
        times_right = found.sum(axis=(0, 1)).astype("uint8")
        return {"kinds": np.array(kinds), "rates": found.mean(axis=2), "times_right": times_right, "clean": clean}

    strengths = {kind: strength for kind, (_, strength) in corruptions.CORRUPTIONS.items()}
    return measured(run, "corruptions", compute, [len(spoilt.split), strengths])


def strangers(run: Run, kinds: Mapping[str, NDArray[np.uint8]]) -> Arrays:
    """The network's logits for images of kinds that it was never taught; each kind is kept by itself."""
    from alexnet_tf.models import transfer

    def logits(name: str, images: NDArray[np.uint8]) -> NDArray[np.float16]:
        def compute(model: Any) -> Arrays:
            prepare, network = transfer.parts(model)
            return {"logits": np.asarray(network.predict(np.asarray(prepare(images)), verbose=0), "float16")}

        # Drawn images differ by one in a few bytes from processor to processor: their mean does not.
        seen = [*images.shape, round(float(images.mean()), 2)]
        return measured(run, f"strangers-{name.replace(' ', '-')}", compute, seen)["logits"]

    return {name: logits(name, images) for name, images in kinds.items()}


def normalization(run: Run, images: int = 200) -> Arrays:
    """By what the first normalization multiplies activations of some test images: their 1st, 50th, 99th percentile."""
    from alexnet_tf import interpret

    def compute(model: Any) -> Arrays:
        some = datasets.again(run.record).test.pixels[:images]
        before, after = interpret.activations(model, some, ["act1", "norm1"]).values()
        alive = np.abs(before) > 1e-3
        return {"factors": np.percentile(after[alive] / before[alive], [1, 50, 99])}

    return measured(run, "normalization", compute, images)


def twins(run: Run, splits: Splits) -> Arrays:
    """For each test image its nearest training image: which, how far apart in pixels, and whether seen mirrored.

    Nearest is meant in the last hidden layer; of the image as it is and mirrored, the one that fits better counts.
    """
    from sklearn.preprocessing import normalize

    from alexnet_tf import interpret

    def compute(model: Any) -> Arrays:
        known = normalize(interpret.embeddings(model, splits.train.pixels))
        found = []
        for images in splits.test.pixels, splits.test.pixels[:, :, ::-1]:
            asked = normalize(interpret.embeddings(model, images))
            pieces = [asked[start : start + 500] for start in range(0, len(asked), 500)]  # for memory's sake
            places = np.concatenate([(piece @ known.T).argmax(axis=1) for piece in pieces])
            apart = images.astype("float32") - splits.train.pixels[places]
            found.append((places, np.sqrt((apart**2).mean(axis=(1, 2, 3)))))
        (places, apart), (mirrored_places, mirrored_apart) = found
        mirrored = mirrored_apart < apart
        return {
            "nearest": np.where(mirrored, mirrored_places, places).astype("int32"),
            "pixels_apart": np.where(mirrored, mirrored_apart, apart).astype("float16"),
            "mirrored": mirrored,
        }

    return measured(run, "twins", compute, "mirrored too")


def ten_crops(run: Run) -> Arrays:
    """The rank of each test image's own class by the beliefs averaged over ten crops.

    The average is of probabilities, image by image, as the 2012 paper took it; nothing is counted crop by crop.
    """
    if run.record["recipe"].get("crop_from", {}).get("value") is None:
        raise LabError(f"{run} sees whole images: ten crops need a recipe with crop_from, as imagenet-2012.")
    return _averaged(run, "ten_crops", lambda prepare, images: prepare.ten_crops(images))


def mirrored(run: Run) -> Arrays:
    """The rank of each test image's own class by the beliefs averaged over the image and its mirror image."""

    def both(prepare: Any, images: Any) -> Any:
        return np.stack([prepare(images), prepare(images[:, :, ::-1])])

    return _averaged(run, "mirrored", both)


def _averaged(run: Run, name: str, looks: Callable[[Any, Any], Any]) -> Arrays:
    """The ranks by the average of several looks at each test image; the looks are the first axis."""

    def compute(model: Any) -> Arrays:
        from alexnet_tf.models import transfer

        prepare, network = transfer.parts(model)
        split, loss = datasets.again(run.record).test, run.record["recipe"]["loss"]["value"]
        found = []
        for start in range(0, len(split), IMAGES_AT_ONCE):
            places = range(start, min(start + IMAGES_AT_ONCE, len(split)))
            if split.images is None:
                each = [np.asarray(looks(prepare, split.image(place)[None])) for place in places]
                seen = np.concatenate(each, axis=1)
            else:
                seen = np.asarray(looks(prepare, split.images[places]))
            logits = np.asarray(network.predict_on_batch(seen.reshape(-1, *seen.shape[2:])))
            beliefs = evaluation.probabilities(logits, loss).reshape(len(seen), len(places), -1)
            found.append(evaluation.ranks(split.labels[places], beliefs.mean(axis=0)))
        return {name: np.concatenate(found).astype("uint8" if beliefs.shape[2] <= 256 else "uint16")}

    return measured(run, name, compute)
