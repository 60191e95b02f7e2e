"""The card of the fake framework: NumPy alone, so that the whole pipeline is tested in seconds."""

from frameworks.contract import UNCHANGED, ModelCard

NAME = "fake"
ALIASES = ("numpy",)
ABOUT = "a NumPy logistic regression on mean colours (on the demo it stays at the prior), and planted faults: for tests"
MODELS = {
    "logistic": ModelCard(UNCHANGED, pretrained=False, about="one linear layer"),
    "crash": ModelCard(UNCHANGED, pretrained=False, about="fault: raises in the third step"),
    "kill": ModelCard(UNCHANGED, pretrained=False, about="fault: is killed in the third step, as by the kernel"),
    "nan": ModelCard(UNCHANGED, pretrained=False, about="fault: its loss is not a number"),
    "hang": ModelCard(UNCHANGED, pretrained=False, about="fault: stops in the third step and never ends"),
    "lie": ModelCard(UNCHANGED, pretrained=False, about="fault: predicts one row too few"),
    "linger": ModelCard(UNCHANGED, pretrained=False, about="fault: raises in the third step and does not end"),
    "worse": ModelCard(UNCHANGED, pretrained=False, about="gets worse with every epoch: its first weights are kept"),
    "untrue": ModelCard(UNCHANGED, pretrained=False, about="fault: its tuned lane computes something else"),
    "skip": ModelCard(UNCHANGED, pretrained=False, about="fault: trains on one batch too few"),
}
DEFAULT_MODELS = ()
OTHER_MODELS = ""
READS = ()
BARE = ""
PARALLEL = ""
