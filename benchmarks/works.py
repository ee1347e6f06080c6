"""What is measured: nets, batch sizes, and what each must reach."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

MODELS = Path(__file__).resolve().parents[1] / "models"


@dataclass(frozen=True)
class Work:
    """One measurement.

    Attributes:
        name: short, for the command line. file: the net's prototxt below models/.
        batch: images. train: forward, backward and update, not forward alone.
        image: the shape of one image.
    """

    name: str
    file: str
    batch: int
    train: bool
    image: tuple[int, int, int]

    @property
    def prototxt(self) -> Path:
        """The net's file."""
        return MODELS / self.file

    @property
    def title(self) -> str:
        """For tables: `LeNet, batch 64, train step`."""
        kind = "train step" if self.train else "forward"
        return f"{NAMES[self.file.partition('/')[0]]}, batch {self.batch}, {kind}"


NAMES = {
    "lenet": "LeNet",
    "cifar10_quick": "CIFAR10-quick",
    "caffenet": "CaffeNet",
    "googlenet": "GoogLeNet",
    "squeezenet": "SqueezeNet v1.1",
    "resnet50": "ResNet-50",
    "mobilenet": "MobileNet v1",
}

_TRAIN = [
    Work("lenet-train", "lenet/lenet_train_test.prototxt", 64, True, (1, 28, 28)),
    Work("cifar-train", "cifar10_quick/cifar10_quick_train_test.prototxt", 100, True, (3, 32, 32)),
    Work("caffenet-train", "caffenet/caffenet_train_val.prototxt", 16, True, (3, 227, 227)),
]
_DEPLOY = [
    ("lenet", "lenet/lenet.prototxt", (1, 28, 28)),
    ("caffenet", "caffenet/caffenet.prototxt", (3, 227, 227)),
    ("googlenet", "googlenet/googlenet.prototxt", (3, 224, 224)),
    ("squeezenet", "squeezenet/squeezenet_v1.1.prototxt", (3, 227, 227)),
    ("resnet50", "resnet50/resnet50.prototxt", (3, 224, 224)),
    ("mobilenet", "mobilenet/mobilenet_v1.prototxt", (3, 224, 224)),
]
WORKS = _TRAIN + [
    Work(f"{name}-{batch}", file, batch, False, image) for batch in (1, 8) for name, file, image in _DEPLOY
]
BY_NAME = {work.name: work for work in WORKS}
