"""What the sources report, and where they disagree with themselves: data, no computation.

A claim fixes, before its first run, what is compared, at which protocol and budget, the margin,
the number of seeds and the rule. Some of the 2012 paper's were changed later, and `04_paper_claims`
says which. Line numbers are lines of the sources' text as this project received it; the summaries
are ours.
"""

from __future__ import annotations

from dataclasses import dataclass

SOURCES = {  # the documents that report figures, by title
    "A": "Replicating and Extending AlexNet for Image Classification",
    "B": "AlexNet (on CIFAR-10 with Keras)",
    "C": "Lab 3: Training AlexNet on CIFAR-10",
    "D": "INT305 Assignment 2: AlexNet on CIFAR-10",
    "E": "Enhancing Image Classification Accuracy Based on AlexNet",
    "F": "ImageNet Classification with Deep Convolutional Neural Networks",
    "ours": "Recipes of this laboratory",
}


@dataclass(frozen=True)
class Claim:
    """One figure of a source, and how it will be judged."""

    name: str
    source: str
    lines: str
    says: str
    recipe: str | None  # None: no experiment of ours answers it yet; `needs` says what one takes
    reported: float | None  # a fraction, or a difference of fractions; None: a direction without a figure
    # "level": the recipe scores it; "difference": recipe minus `versus` is it; "race": `versus` takes so
    # many times its epochs to a training error, judged as a level; "ten crops": what they are worth to the recipe;
    # "overfitting": by how much farther its training accuracy lies above its test accuracy than that of `versus`
    rule: str = "level"
    versus: str | None = None
    sign: int = 1  # of a difference: the direction that the source claims
    protocol: str = "source"
    budget: str = "paper"  # the budget that settles it; smaller ones are shown with their name
    seeds: int = 3
    margin: float = 0.01  # 1 point on 10,000 test images
    best: bool = False  # of a level: the best epoch of the test curve, not the weights kept
    needs: str = ""

    @property
    def is_difference(self) -> bool:
        """Whether it is judged by the side of zero that its interval lies on."""
        return self.rule in ("difference", "ten crops", "overfitting")


@dataclass(frozen=True)
class Disagreement:
    """Two places of one source that don't fit together, or of which one misleads; a recipe follows the code."""

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


def _half(reported: float) -> float:
    """A gain below half of what is claimed is as good as none: a whole point would hide claims of less."""
    return round(reported / 2, 4)


IMAGENET = "ImageNet's 1.2 million images and days on a GPU"


def _imagenet(name: str, says: str, reported: float, needs: str = IMAGENET) -> Claim:
    return Claim(f"paper/{name}", "F", "section 6", says, None, reported, needs=needs)


def _on_cifar(name: str, section: str, says: str, ours: str, theirs: str, reported: float | None) -> Claim:
    """A claim about ImageNet, tried on CIFAR-10 between two recipes of the grid."""
    says += ", on ImageNet; ours on CIFAR-10"
    rule, margin = ("difference", _half(reported)) if reported else ("overfitting", 0.01)
    where = f"section {section}"
    return Claim(f"paper/{name}", "F", where, says, ours, reported, rule, theirs, budget="laptop", margin=margin)


def _few(trunk: str, percent: int, scratch: str = "scratch") -> Claim:
    """Source B recalls an expectation of the 2012 paper, which tried nothing of it."""
    name = f"few-labels/{trunk}-{percent}-percent"
    cost = "the same computation in all, of which it leaves them a fifth"
    if scratch == "scratch-short":
        name, cost = f"{name}-found", "the same computation on them, to whoever finds a trunk that was trained before"
    says = f"pre-training without labels helps, here with {percent} % of the labels and {cost}"
    ours, theirs = f"few-{trunk}-tuned-{percent}", f"few-{scratch}-{percent}"
    return Claim(name, "B", "565-567", says, ours, None, "difference", theirs, budget="laptop")


def _transfer(trunk: str, a_class: int) -> Claim:
    recommended = "networks trained on larger sets are recommended for CIFAR-10"
    helps = f"{recommended}: one of CIFAR-10's labels helps elsewhere"
    if trunk == "imagenet":
        helps = f"{recommended}: one of 2018, taught by ImageNet, beats a small AlexNet from scratch elsewhere"
    says = f"{helps}, here with {5 * a_class:,} photographs of five flowers"
    ours, theirs = f"few-flowers-{trunk}-{a_class}", f"few-flowers-scratch-{a_class}"
    return Claim(
        f"few-labels/{trunk}-flowers-{a_class}",
        "A",
        "400-401",
        says,
        ours,
        None,
        "difference",
        theirs,
        budget="laptop",
        margin=0.02,
        needs="Keras' ImageNet weights (9 MB), " if trunk == "imagenet" else "",
    )


def _depth(number: int, lacking: str) -> Claim:
    says = f"without {lacking}, top-1 is 2 points worse"
    return _on_cifar(f"depth-conv{number}", "7", says, "grid-base", f"grid-without-conv{number}", 0.02)


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
        "cifar10-simple/accuracy", "A", "535", "79.13 % of the test images after 10 epochs",
        "cifar10-simple", 0.7913,
    ),
    Claim(
        "cifar10-resnet18-untrained/accuracy", "A", "364, 540-541", "10 % of the test images, called a trained model's",
        "cifar10-resnet18-untrained", 0.10, seeds=10,
    ),
    Claim(
        "fashion-bn64/accuracy", "A", "11, 56", "asks whether AlexNet carries over to Fashion-MNIST; no figure",
        "fashion-bn64", None,
    ),
    *(_transfer(trunk, a_class) for trunk in ("labels", "imagenet") for a_class in (20, 660)),
    Claim(
        "cifar10-bn64/accuracy", "B", "413", "61.50 % of the test images after 20 epochs",
        "cifar10-bn64", 0.6150,
    ),
    Claim(
        "cifar10-bn64/best-epoch", "B", "387, 465", "61.79 % at the best of 20 epochs",
        "cifar10-bn64", 0.6179, best=True,
    ),
    Claim(
        "cifar10-bn64-tf24/accuracy", "B", "159, 413", "the same figure, if its TensorFlow was 2.4 or older",
        "cifar10-bn64-tf24", 0.6150,
    ),
    *(_few(trunk, percent) for trunk in ("turned", "rebuilt") for percent in (1, 100)),
    *(_few(trunk, percent, "scratch-short") for trunk in ("turned", "rebuilt") for percent in (1, 100)),
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
    Claim("int305-cnn/accuracy", "D", "58", "the baseline scores 67 %", "int305-cnn", 0.67),
    Claim("int305-sgd/accuracy", "D", "109", "AlexNet with SGD scores 71.99 %", "int305-sgd", 0.7199),
    Claim("int305-adam/accuracy", "D", "160", "AlexNet with Adam and dropout scores 74.30 %", "int305-adam", 0.7430),
    Claim(
        "int305-adam/against-sgd", "D", "109, 160, 186", "Adam and dropout beat SGD without",
        "int305-adam", 0.0231, "difference", "int305-sgd", 1,
    ),
    Claim(
        "int305-sgd/against-cnn", "D", "58, 109", "AlexNet beats the baseline (67 %, probably cut: by 4 to 5 points)",
        "int305-sgd", 0.0499, "difference", "int305-cnn", 1,
    ),
    Claim("zeng-aug/accuracy", "E", "86, 88", "75.39 % and 74.85 % in its two matrices", "zeng-aug", 0.7512),
    Claim(
        "paper/relu-against-tanh", "F", "section 3.1",
        "ReLUs reach 25 % training error on CIFAR-10 six times faster than tanh",
        "paper-relu", 6.0, "race", "paper-tanh", budget="laptop",
        margin=1.0,  # "six times" is a round number
    ),
    Claim(
        "paper/lrn-cifar10", "F", "section 3.3",
        "LRN lowers a four-layer network's error on CIFAR-10 from 13 % to 11 %; ours is a plainer network",
        "paper-lrn-scaled", 0.02, "difference", "paper-no-lrn", budget="laptop", margin=_half(0.02),
    ),
    _on_cifar("lrn", "3.3", "LRN lowers top-1 error by 1.4 points", "grid-lrn-scaled", "grid-no-norm", 0.014),
    _on_cifar(
        "overlapping-pooling", "3.4", "pooling 3/2 lowers top-1 error by 0.4 points against 2/2",
        "grid-base", "grid-plain-pooling", 0.004,
    ),
    _on_cifar(
        "two-groups", "3.2", "two groups lower top-1 error by 1.7 points against half the kernels in one tower",
        "grid-two-groups", "grid-half-tower", 0.017,
    ),
    _on_cifar("pca-noise", "4.1", "colour noise lowers top-1 error by over 1 point", "grid-pca", "grid-base", 0.01),
    _on_cifar(
        "dropout", "4.2", "without dropout the network overfits substantially", "grid-dropout-0", "grid-base", None,
    ),
    _depth(2, "its convolution 2, a middle one"),
    _depth(3, "its convolution 3 or 4, middle ones and in one tower alike"),
    Claim(
        "paper/ten-crops-top1", "F", "section 6",
        "ten crops lower top-1 error on ILSVRC-2010 from 39.0 to 37.5 %; ours on CIFAR-10",
        "paper-lrn", 0.015, "ten crops", budget="laptop", margin=_half(0.015),
    ),
    _imagenet("imagenet-top5", "one network has a top-5 error of 18.2 % on ILSVRC-2012's validation images", 0.818),
    _imagenet("imagenet-five", "five such networks together have a top-5 error of 16.4 %", 0.836),
    _imagenet(
        "imagenet-ensemble", "seven, two of them trained before on all of ImageNet, have 15.3 % on its test images",
        0.847, "ImageNet of fall 2011, 15 million images of 22,000 kinds, and weeks on a GPU",
    ),
)  # fmt: skip

DIFFERENCES = frozenset(claim.name for claim in CLAIMS if claim.is_difference)

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
        "A", "ImageNet error", "the error (line 48: top-5) fell by 16 % against the second best", "11, 48",
        "was 15.3 %, more than 10 % less than others' (the 2012 paper has 26.2 % for the second best)", "99",
    ),
    Disagreement(
        "A", "ResNet-18", "calls it a model that has been trained", "360",
        "replaces its last layer and never trains it; the training below it is of the other network", "540-541, 672",
    ),
    Disagreement(
        "A", "evaluation", "puts the first network into evaluation mode before it is measured", "522",
        "measures the ResNet-18 in training mode, as it was built, with each batch's own statistics", "540, 576-581",
    ),
    Disagreement(
        "A", "class imbalance", "offers class imbalance, or easier features, for the recall of a class", "378",
        "torchvision's CIFAR-10 test set, which it loads, has 1,000 images of each class", "472",
    ),
    Disagreement(
        "A", "saved weights", "saves and reloads a model called alexnet_model", "592, 595",
        "at that point the model is the ResNet-18", "540",
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
        "B", "sample pictures", "shows a sample of the test images", "471",
        "shows what its input function puts out, cast to uint8: standardized values, not photographs", "159, 511",
    ),
    Disagreement(
        "C", "fewer convolutions", "fewer convolutions raised the accuracy", "67",
        "four score 73 %, but three 67 %, against 70 % for five", "29, 57, 65",
    ),
    Disagreement(
        "C", "LeakyReLU", "a slight loss against the first model", "94", "62.82 % against 70 %", "29, 94",
    ),
    Disagreement(
        "C", "large and small", "three points more are much better", "57", "seven points fewer are a slight loss", "94",
    ),
    Disagreement(
        "C", "the 2012 paper", "the original paper used batch normalization", "35",
        "the paper has local response normalization; batch normalization is of 2015", "35",
    ),
    Disagreement(
        "C", "best accuracy", "81.36 %", "118", "81.369995, which rounds to 81.37 %", "122",
    ),
    Disagreement(
        "D", "class by class", "names cat, bird and deer as gaining with Adam", "188, 196",
        "'horse' loses 8 points and is not mentioned", "106, 156",
    ),
    Disagreement(
        "D", "high and moderate", "calls truck's 78 % high", "130", "calls frog's 80 % and ship's 79 % moderate", "131",
    ),
    Disagreement(
        "D", "the gain", "Adam and dropout gain 3 %", "186",
        "7,430 and 7,199 right are 2.31 points; 3 is the difference of 74 and 71, both cut", "109, 160",
    ),
    Disagreement(
        "D", "percentages", "prints 61 % for a class", "101", "for 619 of 1,000: cut, not rounded", "101",
    ),
    Disagreement(
        "E", "precision", "precision lies between 60 % and 80 % in both runs", "86",
        "its own reports run from 0.55 to 0.96", "88",
    ),
    Disagreement(
        "E", "report and matrix", "prints precision 0.96 for class 1 of its first run", "88",
        "its matrix gives 876 of 1,013, which is 0.865", "88",
    ),
    Disagreement(
        "F", "input", "224 × 224 pixels, of which an 11 × 11 kernel with stride 4 makes 55 × 55",
        "section 3.5, figure 2",
        "55 × 55 need 227 pixels, or a padding of which the text says nothing", "section 3.5",
    ),
    Disagreement(
        "F", "neurons of conv1", "253,440 in the caption", "figure 2",
        "55 × 55 × 96, its own sizes, are 290,400", "figure 2",
    ),
    Disagreement(
        "F", "parameters of a convolution", "no convolution holds more than 1 % of the parameters", "section 1",
        "by its own sizes conv3 holds 1.45 % and conv4 1.09 %", "section 3.5",
    ),
)  # fmt: skip


def reported(recipe: str, budget: str) -> float | None:
    """The accuracy that a source reports for a recipe; None at quick, whose drawn images compare with no paper."""
    if budget == "quick":
        return None
    levels = [claim.reported for claim in CLAIMS if claim.recipe == recipe and claim.rule == "level" and not claim.best]
    return levels[0] if levels else None
