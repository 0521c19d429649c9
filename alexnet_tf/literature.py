"""What others report of the knobs that our grid turns: data, no computation."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """A published figure about one knob, turned as our variant turns it; networks and data are theirs."""

    who: str
    where: str
    gain: float  # of accuracy, the variant against what it replaces


# By variant of the grid. All are single figures of a table, without an interval.
FINDINGS = {
    "no-norm": Finding("Simonyan and Zisserman, 2015", "VGG-A on ImageNet, without LRN", 0.001),
    "plain-pooling": Finding("Krizhevsky et al., 2012", "AlexNet on ImageNet", -0.004),
    "leaky": Finding("Xu et al., 2015", "NIN on CIFAR-10, slope 1/100", -0.0021),
    "elu": Finding("Hendrycks and Gimpel, 2016", "a convolutional network on CIFAR-10", -0.0025),
    "gelu": Finding("Hendrycks and Gimpel, 2016", "a convolutional network on CIFAR-10", 0.0027),
    "dropout-0": Finding("Srivastava et al., 2014", "a convolutional network on CIFAR-10, its dense part", -0.0128),
    "global-average": Finding("Lin et al., 2014", "NIN on CIFAR-10, against a dense layer with dropout", 0.0047),
    "smoothing": Finding("Müller et al., 2019", "AlexNet on CIFAR-10", -0.001),
    "batch-512": Finding("Goyal et al., 2017", "ResNet-50 on ImageNet, 8,192 against 256", -0.0014),
    "pca": Finding("Krizhevsky et al., 2012", "AlexNet on ImageNet", 0.01),
    "mixup": Finding("Zhang et al., 2018", "PreAct ResNet-18 on CIFAR-10", 0.014),
    "cutout": Finding("DeVries and Taylor, 2017", "ResNet-18 on CIFAR-10", 0.0073),
    "cutmix": Finding("Yun et al., 2019", "PyramidNet-200 on CIFAR-10", 0.0097),
    "without-conv2": Finding("Krizhevsky et al., 2012", "AlexNet on ImageNet, a middle convolution", -0.02),
    "without-conv3": Finding("Krizhevsky et al., 2012", "AlexNet on ImageNet, a middle convolution", -0.02),
    "without-conv4": Finding("Krizhevsky et al., 2012", "AlexNet on ImageNet, a middle convolution", -0.02),
}
