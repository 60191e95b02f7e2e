"""What the harness trains with unless told otherwise."""

ABOUT = "Adam, 3e-3 for a head alone and 1e-3 otherwise, shuffled, frozen batch norm in inference mode, 2 epochs"
SETTINGS: dict = {}
NOTES = ()
