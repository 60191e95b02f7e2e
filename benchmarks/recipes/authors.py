"""What the paper's own code did, its mistakes included: crops on the validation split, frozen batch norm that drifts."""

ABOUT = (
    "the paper's code: Adam 0.01 with ReduceLROnPlateau, batch 128, unshuffled, crops everywhere, drifting batch norm"
)
SETTINGS = {
    "train": "last-block",
    "learning_rate": 0.01,
    "schedule": "plateau",
    "batch_size": 128,
    "epochs": 2,
    "shuffle": False,
    "augment": "everywhere",
    "frozen_norm": "drift",
    "workers": 0,
}
NOTES = (
    "Recipe authors: as the paper's code, but for the head, which is drawn once for all rows and starts at the class "
    "frequencies.",
)
