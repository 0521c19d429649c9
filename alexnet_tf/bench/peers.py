"""The same networks in PyTorch, trained as PyTorch does it best on a processor.

``python -m alexnet_tf.bench.peers NAME JSON`` prints a number for each line on its standard input: seconds
an image, or with ``"count": true`` the network's parameters. PyTorch is the optional extra `peers`; nothing
here needs Keras or TensorFlow, so that an interpreter that has PyTorch alone can run it.
"""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable
from typing import Any

from alexnet_tf import provenance
from alexnet_tf.bench import TURN, in_turns_of

Stack = list[Any]


def _convolutions(nn: Any, channels: list[int], kernels: list[int]) -> list[Stack]:
    """Convolutions that keep the size, each with its ReLU."""
    pairs = zip(itertools.pairwise(channels), kernels, strict=True)
    return [[nn.Conv2d(*pair, kernel, padding=kernel // 2), nn.ReLU()] for pair, kernel in pairs]


def _dense(nn: Any, sizes: list[int], classes: int, dropout: float) -> Stack:
    """Hidden layers, each followed by dropout when there is any, and the logits."""
    found: Stack = [nn.Flatten()]
    for seen, count in itertools.pairwise(sizes):
        found += [nn.Linear(seen, count), nn.ReLU(), *([nn.Dropout(dropout)] if dropout else [])]
    return [*found, nn.Linear(sizes[-1], classes)]


def bn64(nn: Any, classes: int, dropout: float = 0.5) -> Stack:
    """Source B at 64 px, its batch normalization with the constants of Keras."""

    def norm(count: int) -> Any:
        return nn.BatchNorm2d(count, eps=1e-3, momentum=0.01)

    two, three, four, five = _convolutions(nn, [128, 256, 256, 256, 256], [5, 3, 1, 1])
    return [
        *(nn.Conv2d(3, 128, 11, stride=4), nn.ReLU(), norm(128), nn.MaxPool2d(2)),
        *(*two, norm(256), nn.MaxPool2d(3)),
        *(*three, norm(256), *four, norm(256), *five, norm(256), nn.MaxPool2d(2)),
        *_dense(nn, [256, 1024, 1024], classes, dropout),
    ]


def int305(nn: Any, classes: int, dropout: float = 0.5) -> Stack:
    """Source D at 32 px."""
    two, three, four, five = _convolutions(nn, [96, 256, 384, 384, 384], [5, 3, 3, 3])
    return [
        *(nn.Conv2d(3, 96, 5, stride=2, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(*two, nn.MaxPool2d(2), *three, *four, *five, nn.MaxPool2d(2)),
        *_dense(nn, [384 * 2 * 2, 4096, 4096], classes, dropout),
    ]


def alexnet_lrn(nn: Any, classes: int, dropout: float = 0.5) -> Stack:
    """Source A at 224 px. PyTorch divides alpha by the window: TensorFlow's radius 5 and 1e-4 are 11 and 11e-4."""

    def norm() -> Any:
        return nn.LocalResponseNorm(11, alpha=11e-4, beta=0.75, k=1.0)

    two, three, four, five = _convolutions(nn, [96, 256, 384, 384, 256], [5, 3, 3, 3])
    return [
        *(nn.Conv2d(3, 96, 11, stride=4), nn.ReLU(), nn.MaxPool2d(3, 2), norm()),
        *(*two, nn.MaxPool2d(3, 2), norm(), *three, *four, *five, nn.MaxPool2d(3, 2)),
        *_dense(nn, [256 * 5 * 5, 4096, 4096], classes, dropout),
    ]


NETS: dict[str, Callable[..., Stack]] = {"bn64": bn64, "int305": int305, "alexnet-lrn": alexnet_lrn}


def build(name: str, classes: int, dropout: float) -> Any:
    """A network by the name that it has among `models.ARCHITECTURES`."""
    from torch import nn

    return nn.Sequential(*NETS[name](nn, classes, dropout))


def training(
    name: str,
    classes: int,
    image_size: int,
    batch_size: int,
    optimizer: str = "sgd",
    learning_rate: float = 0.01,
    momentum: float = 0.0,
    epsilon: float = 1e-8,
    dropout: float = 0.5,
    precision: str = "float32",
    turn: float = TURN,
) -> Callable[[], float]:
    """Seconds an image of a training step on one batch in memory: channels last, fused updates, autocast to bfloat16.

    Like `model.fit` it keeps count of the loss and of right answers.
    """
    import torch

    torch.set_num_threads(provenance.cores())
    torch.manual_seed(0)
    net = build(name, classes, dropout).to(memory_format=torch.channels_last)
    images = torch.randn(batch_size, 3, image_size, image_size).to(memory_format=torch.channels_last)
    labels = torch.arange(batch_size) % classes
    measure_loss = torch.nn.CrossEntropyLoss()
    update = {
        "sgd": lambda: torch.optim.SGD(net.parameters(), learning_rate, momentum=momentum, fused=True),
        "adam": lambda: torch.optim.Adam(
            net.parameters(), learning_rate, betas=(momentum, 0.999), eps=epsilon, fused=True
        ),
    }[optimizer]()
    sums = torch.zeros(2)

    def step() -> None:
        update.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision != "float32"):
            logits = net(images)
            loss = measure_loss(logits, labels)
        loss.backward()
        update.step()
        right = (logits.detach().argmax(1) == labels).sum()
        sums.add_(torch.stack([loss.detach().float(), right.float()]))

    def train(steps: int) -> None:
        for _ in range(steps):
            step()

    measure = in_turns_of(turn, train)
    return lambda: measure() / batch_size


def counting(name: str, classes: int, dropout: float = 0.5) -> Callable[[], float]:
    """How many parameters a network has."""
    return lambda: sum(parameter.numel() for parameter in build(name, classes, dropout).parameters())


def main() -> None:
    """Measure whenever a line says so, until there are no more."""
    name, options = sys.argv[1], json.loads(sys.argv[2])
    measure = (counting if options.pop("count", False) else training)(name, **options)
    for _ in sys.stdin:
        print(measure(), flush=True)


if __name__ == "__main__":
    main()
