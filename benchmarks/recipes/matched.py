"""One form of every formula on all frameworks, so that the parity gate can prove that they do the same work."""

ABOUT = "the default recipe with one batch norm, Adam and padding for all (torch's forms), no dropout, one weights file"
SETTINGS = {"formulas": "matched"}
NOTES = (
    "Recipe matched: batch norm, Adam and padding have torch's form on every framework, there is no dropout, and initial "
    "weights are one file, or drawn once for all.",
)
