"""What others report of the knobs that our grid turns: data."""

from __future__ import annotations

from dataclasses import dataclass

from alexnet_tf import claims


@dataclass(frozen=True)
class Finding:
    """A published figure about one knob, turned about as our variant turns it; networks and data are theirs."""

    who: str
    where: str
    gain: float  # of accuracy, the variant against what it replaces
    against: str = "base"  # the variant of ours that stands for what it replaces


PAPER = "Krizhevsky et al., 2012"
IMAGENET = "AlexNet on ImageNet"
LAB = "Source C", "CIFAR-10 at 227 px, ten epochs of Adam"
# Their tables are at github.com/ducha-aiki/caffenet-benchmark: one training each.
SYSTEMATIC = "Mishkin, Sergievskiy and Matas, 2016"
SMALL = "CaffeNet on ImageNet at 128 px"


def _paper(name: str, where: str = IMAGENET, sign: int = 1, against: str = "base") -> Finding:
    """The gain of a claim of the 2012 paper."""
    (gain,) = (claim.reported for claim in claims.CLAIMS if claim.name == f"paper/{name}" and claim.reported)
    return Finding(PAPER, where, sign * gain, against)


def _scored(who: str, where: str, variant: str, base: str) -> Finding:
    """What a source reports of one recipe minus what it reports of another."""
    found, before = (claims.reported(name, "paper") for name in (variant, base))
    assert found is not None and before is not None, f"{variant} or {base} has no figure"
    return Finding(who, where, round(found - before, 4))


def _lab(name: str, told: str = "") -> Finding:
    return _scored(LAB[0], ", ".join(filter(None, (LAB[1], told))), name, "lab-base")


def _systematic(accuracy: float, against: float, told: str = "") -> Finding:
    return Finding(SYSTEMATIC, ", ".join(filter(None, (SMALL, told))), round(accuracy - against, 4))


# By variant of the grid: single figures without an interval. Only what was read in its source stands here.
FINDINGS: dict[str, tuple[Finding, ...]] = {
    "tanh": (_systematic(0.401, 0.471, "drawn by LSUV, at ReLU's rate"),),
    "leaky": (_systematic(0.469, 0.471, "a slope of a third below zero"), _lab("lab-leaky")),
    "elu": (
        _systematic(0.488, 0.471),
        Finding("Hendrycks and Gimpel, 2016", "nine layers on CIFAR-10, medians of three", 0.0816 - 0.0841),
    ),
    "gelu": (Finding("Hendrycks and Gimpel, 2016", "nine layers on CIFAR-10, medians of three", 0.0816 - 0.0789),),
    "no-norm": (_systematic(0.471, 0.470, "whose LRN divides by nearly 1: small pixels, the paper's alpha"),),
    "lrn-scaled": (
        _paper("lrn", against="no-norm"),
        _paper("lrn-cifar10", "four layers on CIFAR-10", against="no-norm"),
    ),
    "batch-before": (_systematic(0.478, 0.470, "of all seven hidden layers"),),
    "batch-after": (_systematic(0.493, 0.470, "of all seven hidden layers"),),
    "plain-pooling": (
        _paper("overlapping-pooling", sign=-1),
        _systematic(0.484, 0.471, "whose last map it made larger"),
    ),
    "average-pooling": (_systematic(0.435, 0.470),),
    "dropout-0": (_systematic(0.513, 0.499, "where all hidden layers have batch normalization"),),
    "dropout-30": (_systematic(0.497, 0.470),),
    "adam": (
        _scored("Source D", "a small AlexNet on CIFAR-10, Adam and dropout against SGD", "int305-adam", "int305-sgd"),
    ),
    "no-penalty": (_systematic(0.450, 0.470, "a weight decay of 0.00001 against 0.0005"),),
    "l1": (_systematic(0.453, 0.470, "0.00001 times the weights' sizes against a weight decay of 0.0005"),),
    "half-width": (_systematic(0.416, 0.471, "the dense layers, too"),),
    "double-width": (_systematic(0.533, 0.471, "the dense layers, too"),),
    "dense-4096": (_systematic(0.497, 0.470, "against 2,048 units"),),
    "bce": (_lab("lab-bce", "at the same rate"),),
    "smoothing": (Finding("Szegedy et al., 2016", "Inception-v3 on ImageNet, a tenth on all thousand classes", 0.002),),
    "batch-32": (_systematic(0.470, 0.471, "batches of 32 against 256"),),
    "batch-512": (_systematic(0.469, 0.471, "batches of 512 against 256"),),
    "rotation": (_systematic(0.448, 0.471, "turned by up to 5 degrees"),),
    "pca": (_paper("pca-noise", f"{IMAGENET}, where it is over one point"),),
    # The authors' own tables, at github.com/uoguelph-mlrg/Cutout and hongyi-zhang/mixup; CutMix: table 5 of the paper.
    "cutout": (
        Finding(
            "DeVries and Taylor, 2017",
            "ResNet-18 on CIFAR-10, squares of 16 of 32 pixels, five trainings",
            0.0472 - 0.0399,
        ),
    ),
    "mixup": (Finding("Zhang et al., 2018", "CIFAR-10 at our weight decay, alpha 1, one training", 0.0518 - 0.0468),),
    "cutmix": (
        Finding("Yun et al., 2019", "PyramidNet-200 on CIFAR-100, three trainings, best epochs", 0.1645 - 0.1447),
    ),
    **{
        f"without-conv{number}": (_paper(f"depth-conv{number}", f"{IMAGENET}, a middle convolution", sign=-1),)
        for number in (2, 3)
    },
    "without-conv5": (_lab("lab-4conv"),),
    "two-dense": (_lab("lab-2fc"),),
    "one-dense": (_lab("lab-1fc", "a sigmoid on the outputs"),),
    "two-groups": (_paper("two-groups", against="half-tower"),),
}
# Accuracy by the number of training images, of all that ImageNet has down to a sixth; from the same tables.
BY_IMAGES = {200_000: 0.305, 400_000: 0.393, 600_000: 0.425, 800_000: 0.438, 1_200_000: 0.471}
