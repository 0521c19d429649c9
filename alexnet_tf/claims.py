"""What the sources report, and where they disagree with themselves: data, no computation.

A claim fixes, before its first run, what is compared, at which protocol and budget, the margin,
the number of seeds and the rule. Line numbers are lines of the sources' text as this project
received it; the summaries are ours.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """A document that reports figures."""

    title: str
    authors: str
    year: int | None


SOURCES = {
    "A": Source("Replicating and Extending AlexNet for Image Classification", "Nammi et al.", 2024),
    "B": Source("AlexNet (on CIFAR-10 with Keras)", "not named", None),
    "C": Source("Lab 3: Training AlexNet on CIFAR-10", "not named", None),
    "ours": Source("Recipes of this laboratory", "this project", 2026),
}


@dataclass(frozen=True)
class Claim:
    """One figure of a source, and how it will be judged."""

    name: str
    source: str
    lines: str
    says: str
    recipe: str
    reported: float | None  # a fraction, or a difference of fractions; None: a direction without a figure
    rule: str = "level"  # "level": recipe scores it; "difference": recipe minus `versus` is it
    versus: str | None = None
    sign: int = 1  # of a difference: the direction that the source claims
    protocol: str = "source"
    budget: str = "paper"  # the budget that settles it; smaller ones are shown with their name
    seeds: int = 3
    margin: float = 0.01  # 1 point on 10,000 test images


@dataclass(frozen=True)
class Disagreement:
    """Two places of one source that can't both be right; a recipe follows the code."""

    source: str
    subject: str
    one: str
    one_lines: str
    other: str
    other_lines: str


def _lab(name: str, lines: str, says: str, reported: float, **judged: object) -> Claim:
    return Claim(f"{name}/accuracy", "C", lines, says, name, reported, **judged)  # type: ignore[arg-type]


def _lab_against_base(name: str, lines: str, says: str, reported: float | None, sign: int) -> Claim:
    return Claim(f"{name}/against-base", "C", lines, says, name, reported, "difference", "lab-base", sign)


CLAIMS = (
    Claim(
        "flowers-lrn/accuracy", "A", "161", "77.47 % of the validation photographs after 90 epochs",
        "flowers-lrn", 0.7747, seeds=1, margin=0.02,
    ),
    Claim(
        "flowers-lrn-decay/accuracy", "A", "161, 313", "the same figure, if `decay=0.0005` took effect",
        "flowers-lrn-decay", 0.7747, seeds=1, margin=0.02,
    ),
    Claim(
        "cifar10-bn64/accuracy", "B", "413", "61.50 % of the test images after 20 epochs",
        "cifar10-bn64", 0.6150,
    ),
    _lab("lab-base", "29", "the standard architecture", 0.70),
    _lab("lab-4conv", "57", "four convolutions", 0.73),
    _lab("lab-3conv", "65", "three convolutions", 0.67),
    _lab("lab-2fc", "78", "two dense layers", 0.6173),
    _lab("lab-1fc", "84", "one dense layer with sigmoid", 0.5659),
    _lab("lab-leaky", "94", "LeakyReLU everywhere", 0.6282),
    _lab("lab-bce", "110", "binary cross-entropy", 0.80),
    _lab("lab-best", "118", "three convolutions and binary cross-entropy", 0.8136),
    _lab_against_base("lab-4conv", "29, 57", "a fifth convolution costs accuracy", 0.03, 1),
    _lab_against_base("lab-3conv", "29, 65", "three convolutions score below five", -0.03, -1),
    _lab_against_base("lab-2fc", "29, 78", "fewer dense layers score worse", -0.0827, -1),
    _lab_against_base("lab-4fc", "89", "one more dense layer scores worse", None, -1),
    _lab_against_base("lab-leaky", "29, 94", "LeakyReLU scores below ReLU", -0.0718, -1),
    _lab_against_base("lab-bce", "29, 110", "binary cross-entropy beats cross-entropy", 0.10, 1),
)  # fmt: skip

DISAGREEMENTS = (
    Disagreement(
        "A", "weight decay", "lists a weight decay of 0.0005", "145",
        "passes 0.0005 as `decay`, which older Keras read as a decay of the learning rate", "313",
    ),
    Disagreement(
        "A", "random cropping", "lists random cropping among the augmentations", "140",
        "the generator has shear, zoom, flip, rotation and shifts, and no crop", "285-293",
    ),
    Disagreement(
        "A", "dropout", "says that each of three dense layers has dropout", "131",
        "two dropout layers", "255-258",
    ),
    Disagreement(
        "A", "faithfulness", "says the network is built as in the original paper", "127",
        "normalizes after pooling, with a window of eleven channels, and pads no input", "214, 234-241",
    ),
    Disagreement(
        "A", "ImageNet error", "the top-5 error fell by 16 %", "11, 48", "by more than 10 %", "99",
    ),
    Disagreement(
        "B", "augmentation", "promises data augmentation", "10",
        "the input function standardizes and resizes, and augments nothing", "158-162",
    ),
    Disagreement(
        "B", "max pooling", "takes the maximum", "221", "puts out an average, in the same paragraph", "221",
    ),
    Disagreement(
        "B", "validation set", "describes 10,000 test images", "41",
        "validates on the test set while training, 9,984 of its images an epoch (312 whole batches of 32)",
        "197-199, 333",
    ),
    Disagreement(
        "B", "sample pictures", "shows a sample of the test images", "511",
        "shows standardized values cast to uint8, which are no photographs", "159, 511",
    ),
    Disagreement(
        "C", "fewer convolutions", "fewer convolutions raised the accuracy", "67",
        "three convolutions score 67 % against 70 % for five", "29, 65",
    ),
    Disagreement(
        "C", "LeakyReLU", "a slight loss against the first model", "94", "62.82 % against 70 %", "29, 94",
    ),
    Disagreement(
        "C", "best accuracy", "81.36 %", "118", "81.369995, which rounds to 81.37 %", "122",
    ),
)  # fmt: skip

# Source B, lines 337-413: (loss, accuracy, test loss, test accuracy) of its 20 epochs.
SOURCE_B_LOG = (
    (2.1899, 0.2356, 1.6931, 0.3973), (1.7993, 0.3480, 1.5406, 0.4507), (1.6458, 0.4035, 1.4642, 0.4761),
    (1.5332, 0.4439, 1.3974, 0.4984), (1.4441, 0.4799, 1.3233, 0.5252), (1.3631, 0.5107, 1.2884, 0.5455),
    (1.2913, 0.5391, 1.3037, 0.5391), (1.2293, 0.5649, 1.2008, 0.5783), (1.1664, 0.5842, 1.1956, 0.5813),
    (1.1110, 0.6050, 1.1721, 0.5940), (1.0571, 0.6265, 1.1659, 0.5910), (0.9977, 0.6469, 1.1876, 0.5956),
    (0.9431, 0.6690, 1.2044, 0.5878), (0.8930, 0.6874, 1.1431, 0.6082), (0.8378, 0.7046, 1.1847, 0.6060),
    (0.7839, 0.7259, 1.1579, 0.6179), (0.7323, 0.7432, 1.1991, 0.6015), (0.6860, 0.7604, 1.2607, 0.6057),
    (0.6371, 0.7738, 1.2155, 0.6103), (0.5886, 0.7926, 1.2519, 0.6150),
)  # fmt: skip


def reported(recipe: str, budget: str) -> float | None:
    """The accuracy that a source reports for a recipe; None at quick, whose drawn images compare with no paper."""
    if budget == "quick":
        return None
    levels = [claim.reported for claim in CLAIMS if claim.recipe == recipe and claim.rule == "level"]
    return levels[0] if levels else None
