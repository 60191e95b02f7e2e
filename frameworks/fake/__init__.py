"""The fake framework: NumPy alone, so that the whole pipeline is tested in seconds."""

from frameworks.contract import UNCHANGED, ModelInfo

NAME = "fake"
ALIASES = ("numpy",)
ABOUT = "a NumPy logistic regression on mean colours (on the demo it stays at the prior), and planted faults: for tests"
MODELS = {
    name: ModelInfo(UNCHANGED, smallest_side=4, pretrained=False, about=about)
    for name, about in {
        "logistic": "one linear layer",
        "crash": "fault: raises in the third step",
        "kill": "fault: is killed in the third step, as by the kernel",
        "nan": "fault: its loss is not a number",
        "hang": "fault: stops in the third step and never ends",
        "lie": "fault: predicts one row too few",
        "linger": "fault: raises in the third step and does not end",
        "worse": "gets worse with every epoch: its first weights are kept",
        "untrue": "fault: its tuned lane computes something else",
        "skip": "fault: trains on one batch too few",
        "norm": "as with batch norm, a batch of one image is refused before anything is decoded",
    }.items()
}
DEFAULT_MODELS = ()
OTHER_MODELS = ""
READS = ()
BARE = ""
NEEDS = ()
EXTRA = ""
PARALLEL = ""
