"""Tensors of a safetensors file: which number formats are read, and how the file's names become the model's."""

import json
import re
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors import SafetensorError, safe_open

from common.core.errors import InputError, listed

BFLOAT16 = "BF16"
FLOATS = {"F64", "F32", "F16", BFLOAT16}
COUNTS = {"I64", "I32", "I16", "U64", "U32", "U16", "BOOL"}  # of counters, indices and masks
BYTES = {"I8", "U8"}  # the same; as a matrix: quantised weights, which mean nothing without their scales
AVERAGED = re.compile(r"(?<![A-Za-z])(?i:ema|swa|averaged?|shadow)(?![A-Za-z])|(?<=[a-z])E(MA|ma)(?![a-z])")
DEEPEST = 4  # parts of a name that may be a prefix


def is_averaged(name: str) -> bool:
    """Whether a copy of the weights of this name is an average over training steps, as its users name it."""
    return bool(AVERAGED.search(name))


def check_forms(path: Path) -> dict[str, str]:
    """The file's metadata. InputError where it is no safetensors file, or where its tensors are in a form that cannot be
    trained from: read as numbers they would be other weights."""
    try:
        with safe_open(path, "np") as stream:
            kinds = {name: stream.get_slice(name) for name in stream.keys()}  # noqa: SIM118 (no dict: it has no iterator)
            forms = {name: (tensor.get_dtype(), len(tensor.get_shape())) for name, tensor in kinds.items()}
            said = stream.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} is not a safetensors file ({error}); give it its own ending") from error
    unread = {name: form for name, (form, ranks) in forms.items() if not _is_read(form, ranks)}
    if unread:
        raise InputError(refused_forms(path, unread))
    return said


def _is_read(form: str, ranks: int) -> bool:
    return form in FLOATS | COUNTS or (form in BYTES and ranks < 2)


def refused_forms(path: Path, forms: dict[str, str]) -> str:
    """The message for tensors of these forms, by name."""
    name = next(iter(forms))
    return (
        f"{path} holds {len(forms)} tensors as {' and '.join(sorted(set(forms.values())))} (e.g. {name}): quantised weights, "
        "from which nothing is trained here; convert them to float32, float16 or bfloat16 with the library that wrote them, "
        "and save that"
    )


def read_tensors(path: Path) -> dict[str, np.ndarray]:
    """float32 arrays of a safetensors file. NumPy has no bfloat16 unless a framework brings it: its bits are a float32's
    upper half."""
    with safe_open(path, "np") as stream:
        forms = {name: stream.get_slice(name).get_dtype() for name in stream.keys()}  # noqa: SIM118
        found = {n: stream.get_tensor(n).astype(np.float32) for n, form in forms.items() if form != BFLOAT16}
    with open(path, "rb") as raw:
        header = json.loads(raw.read(int.from_bytes(raw.read(8), "little")))
        data = raw.tell()
        for name in (name for name, form in forms.items() if form == BFLOAT16):
            begin, end = header[name]["data_offsets"]
            raw.seek(data + begin)
            upper = np.frombuffer(raw.read(end - begin), "<u2").astype(np.uint32)
            found[name] = (upper << 16).view(np.float32).reshape(header[name]["shape"])
    return found


class Named(NamedTuple):
    """A file's tensors under the model's names, and a sentence on what was left out or chosen to get there."""

    tensors: dict[str, np.ndarray]
    note: str


def under_model_names(file: dict[str, np.ndarray], wanted: Collection[str], source: str) -> Named:
    """Leave out the prefix under which the file has most of the model's names, e.g. `model.` or `backbone.`, and name every
    other one that has more than half as many.

    InputError where it is not known which is meant: two have equally many, or one has names that the largest lacks. An
    average over training steps is no rival of what it is an average of.
    """
    found = _by_prefix(file, set(wanted))
    most = max(map(len, found.values()))
    full = [prefix for prefix, names in found.items() if len(names) == most] if most else [""]
    plain = [prefix for prefix in full if not is_averaged(prefix)] or full
    taken = plain[0]
    others = sorted(prefix for prefix, names in found.items() if prefix != taken and len(names) > most / 2)
    rivals = [p for p in others if is_averaged(p) == is_averaged(taken) and not found[p] < found[taken]]
    if rivals:
        shown = " and ".join(f"{prefix or 'no prefix'}" for prefix in sorted([taken, *rivals]))
        raise InputError(
            f"{source} holds several networks with the model's names, under {shown}; save the tensors of one of them alone"
        )
    words = [f"the prefix '{taken}' of its tensors' names was left out"] if taken else []
    words += ["these are averaged weights (EMA)"] if is_averaged(taken) else []
    words += [_left(prefix, len(found[prefix]), most) for prefix in others]
    note = f"{source}: {', '.join(words)}" if words else ""
    return Named({n.removeprefix(taken): array for n, array in file.items() if n.startswith(taken)}, note)


def _by_prefix(file: Collection[str], wanted: set[str]) -> dict[str, set[str]]:
    """Prefix -> the wanted names that the file has under it."""
    found: dict[str, set[str]] = {"": set()}
    for name in file:
        parts = name.split(".")
        for i in range(min(DEEPEST, len(parts))):
            if (rest := ".".join(parts[i:])) in wanted:
                found.setdefault("".join(f"{part}." for part in parts[:i]), set()).add(rest)
    return found


def _left(prefix: str, names: int, most: int) -> str:
    """A copy of the network that was not taken, in words."""
    where = f"under '{prefix}'" if prefix else "without a prefix"
    few = f", which has {names} of its {most} names," if names < most else ""
    if is_averaged(prefix):
        return f"the averaged copy {where} (EMA){few} was not taken"
    return f"the copy {where}{few} was not taken"


def check_finite(tensors: dict[str, np.ndarray], source: str) -> None:
    """InputError where a value is not a number, or infinite: every prediction would be."""
    if bad := sorted(name for name, array in tensors.items() if not np.isfinite(array).all()):
        raise InputError(
            f"{source} holds values that are not finite (NaN or infinite) in {listed(bad)}; the training that wrote it "
            "diverged: take an earlier checkpoint"
        )
