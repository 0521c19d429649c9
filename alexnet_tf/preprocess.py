"""The preprocessing of a recipe as one layer, defined once.

Streams call it, evaluation calls it, and it is the head of every exported model.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from alexnet_tf.errors import choose
from alexnet_tf.quiet import keras
from alexnet_tf.recipe import CHOICES

ops = keras.ops

IMAGENET_COLOR = np.array([123.68, 116.779, 103.939], "float32")  # the mean as Simonyan and Zisserman published it


@keras.saving.register_keras_serializable("alexnet_tf")
class Preprocess(keras.layers.Layer):
    """uint8 images of any size in, standardized float32 images of `size` out.

    `standardize`:

    - "rescale" is x/255, "symmetric" is x/127.5 - 1, "mean_color" subtracts ImageNet's mean colour;
    - "per_image" gives each image zero mean and unit deviation, as `tf.image.per_image_standardization`
      does since TensorFlow 2.5;
    - "per_image_uint8" is what that function returned for uint8 images from TensorFlow 1.15 to 2.4:
      the same times 255.5, cut to 0-255, so that all that is darker than its image's mean is black
      and all that lies a deviation above it white.

    With `resize_first` the image is resized before augmentation and standardization, else after
    both, as source B does. With `crop_from` its shorter side is resized to that, and the middle
    `size` pixels remain after augmentation: a "crop" by half the difference then draws a window
    anywhere, as the 2012 paper's, and a "resized_crop" fills them with any part of the whole.
    """

    def __init__(
        self,
        size: int,
        standardize: str = "rescale",
        resize_first: bool = True,
        interpolation: str = "bilinear",
        crop_from: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"dtype": "float32", "trainable": False, **kwargs})
        choose("standardize", standardize, CHOICES["standardize"])
        choose("interpolation", interpolation, CHOICES["interpolation"])
        self.size = size
        self.standardize = standardize
        self.resize_first = resize_first
        self.interpolation = interpolation
        self.crop_from = crop_from

    @property
    def side(self) -> int:
        """Of an image before augmentation, in pixels."""
        return self.crop_from or self.size

    @property
    def remains(self) -> float:
        """The share of its side that is left after augmentation."""
        return self.size / self.side

    def window(self, height: int, width: int) -> tuple[int, int, int, int]:
        """The part of a raw image that `resize` looks at: top, left, height, width. The rest need not be decoded."""
        if not (self.crop_from and self.resize_first):
            return 0, 0, height, width
        side = min(height, width)
        return (height - side) // 2, (width - side) // 2, side, side

    def resize(self, images: Any) -> Any:
        shape = (self.side, self.side)
        if tuple(images.shape[1:3]) == shape:
            return images
        crop = self.crop_from is not None
        return ops.image.resize(images, shape, interpolation=self.interpolation, crop_to_aspect_ratio=crop)

    def before_augmentation(self, images: Any) -> Any:
        images = ops.cast(images, "float32")
        return self.resize(images) if self.resize_first else images

    def middle(self, images: Any) -> Any:
        """Of augmented images what remains."""
        if not self.crop_from:
            return images
        edge = (self.crop_from - self.size) // 2
        return images[:, edge : edge + self.size, edge : edge + self.size]

    def after_augmentation(self, images: Any) -> Any:
        return self.standardized(self.middle(images))

    def standardized(self, images: Any) -> Any:
        images = images - IMAGENET_COLOR if self.standardize == "mean_color" else images / 255.0
        if self.standardize == "symmetric":
            images = images * 2.0 - 1.0
        elif self.standardize.startswith("per_image"):  # as TensorFlow's: a flat image must not divide by zero
            mean = ops.mean(images, axis=(1, 2, 3), keepdims=True)
            deviation = ops.std(images, axis=(1, 2, 3), keepdims=True)
            pixels = ops.cast(ops.prod(ops.shape(images)[1:]), "float32")
            images = (images - mean) / ops.maximum(deviation, 1.0 / ops.sqrt(pixels))
        if self.standardize == "per_image_uint8":
            images = ops.floor(ops.clip(images * 255.5, 0.0, 255.0))
        return images if self.resize_first else self.resize(images)

    def ten_crops(self, images: Any) -> Any:
        """The 2012 paper's look at test images: corners, middle, and the mirror images of these: (10, images, ...)."""
        assert self.crop_from is not None
        images, far = self.before_augmentation(images), self.crop_from - self.size
        places = [(0, 0), (0, far), (far, 0), (far, far), (far // 2, far // 2)]
        crops = [images[:, top : top + self.size, left : left + self.size] for top, left in places]
        return ops.stack([self.standardized(crop) for crop in (*crops, *(ops.flip(crop, axis=2) for crop in crops))])

    def call(self, images: Any) -> Any:
        return self.after_augmentation(self.before_augmentation(images))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (input_shape[0], self.size, self.size, input_shape[3])

    def get_config(self) -> dict[str, Any]:
        own = {
            "size": self.size,
            "standardize": self.standardize,
            "resize_first": self.resize_first,
            "interpolation": self.interpolation,
            "crop_from": self.crop_from,
        }
        return {**super().get_config(), **own}
