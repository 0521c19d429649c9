"""An interactive look at one image and one layer, for JupyterLab; a still picture where nobody can click."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from alexnet_tf import interpret, plots
from alexnet_tf.errors import LabError
from alexnet_tf.models import transfer
from alexnet_tf.quiet import keras
from alexnet_tf.splits import read_image


def still(model: Any, image: np.ndarray, names: Sequence[str], layer: str | None = None) -> Any:
    """The image, its Grad-CAM at a layer, and the three most probable classes."""
    belief = keras.ops.convert_to_numpy(model(image[None], training=False))[0]
    best = np.argsort(belief)[::-1][:3]
    prepare, network = transfer.parts(model)
    square = image[None]
    if image.shape[0] != image.shape[1]:  # maps are square, as what the network sees: the middle, or all, squeezed
        seen = keras.ops.convert_to_numpy(prepare.resize(square.astype("float32")))
        square = np.rint(seen).clip(0, 255).astype("uint8")
    layer = layer or interpret.last_large(network)
    found = interpret.gradcam(model, square, best[:1], layer)
    said = ", ".join(f"{names[i]} {belief[i]:.0%}" for i in best)
    return plots.heat(list(square), {f"Grad-CAM at {layer}": list(found)}, said)


def explore(model: Any, images: Sequence[np.ndarray], names: Sequence[str]) -> Any:
    """Choose or upload an image, choose a convolution, and see the answer at once.

    Where ALEXNET_HEADLESS is set, as `make reports` and `make test` do, a still example is drawn instead.
    """
    if os.environ.get("ALEXNET_HEADLESS"):
        return still(model, images[0], names)
    import ipywidgets
    from IPython.display import display

    network = transfer.parts(model)[1]
    which = ipywidgets.Dropdown(options=[(f"image {i}", i) for i in range(len(images))], description="image")
    own = ipywidgets.FileUpload(accept="image/*", description="or your own")
    where = ipywidgets.Dropdown(options=interpret.convolutions(network), value=interpret.last_large(network))
    where.description = "layer"
    output = ipywidgets.Output()

    def draw(_: Any = None) -> None:
        files = [*own.value.values()] if isinstance(own.value, dict) else own.value  # a dict in ipywidgets 7: Colab's
        with output:
            output.clear_output(wait=True)
            try:
                image = read_image(io.BytesIO(files[0]["content"])) if files else images[which.value]
            except (LabError, OSError) as error:
                print(error)
                return
            display(still(model, image, names, where.value))
            plots.plt.close("all")

    def choose_again(_: Any) -> None:
        own.set_trait("value", type(own.value)())  # in ipywidgets 7 it may not be assigned
        draw()

    which.observe(choose_again, "value")
    own.observe(draw, "value")
    where.observe(draw, "value")
    draw()
    return ipywidgets.VBox([ipywidgets.HBox([which, own, where]), output])
