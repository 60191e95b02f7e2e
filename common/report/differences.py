"""PURE: lines of a table -> in words, everything that the rows do not have in common."""

from common.analysis.grouping import Group
from common.core.results import Row


def differences(lines: list[Group]) -> list[tuple[str, str]]:
    """What those of the lines that finished do not have in common, and in words what each has."""
    described: dict[str, dict[str, str]] = {}
    for group in (g for g in lines if g.rows):
        spec, record = group.spec, group.rows[0].record
        fields = {
            "model": str(spec.model), "weights": spec.weights.source, "learning rate": f"{spec.recipe.learning_rate:g}",
            "balance": spec.feed.balance, "images per epoch": f"{spec.feed.train_images:,}",
            "batch size": str(spec.recipe.batch_size), "image side": str(spec.feed.image_side),
            "loader workers": str(spec.feed.workers), "preprocessing": _preprocessing_words(group.first),
        }  # fmt: skip
        fields |= {"versions" if k == "framework" else k: v for k, v in record.environment.items()}
        fields |= {
            k: f"{v:.3f}" if isinstance(v, float) else f"{v:,}" if isinstance(v, int) else str(v)
            for k, v in record.facts.items()
        }
        fields |= {f"batch of {k}": v for k, v in record.received.items()}
        described[group.label] = fields
    found = []
    for field in dict.fromkeys(k for fields in described.values() for k in fields):
        values: dict[str, list[str]] = {}
        for label, fields in described.items():
            values.setdefault(fields.get(field, "not stated"), []).append(label)
        if len(values) > 1:
            found.append((field, "; ".join(f"{value} ({', '.join(labels)})" for value, labels in values.items())))
    return found


def _preprocessing_words(row: Row) -> str:
    p = row.record.spec.weights.preprocessing
    if p is None:
        return "not stated"
    return f"{p.channels.upper()}, mean {'/'.join(f'{m:g}' for m in p.mean)}, std {'/'.join(f'{s:g}' for s in p.std)}"
