"""The child's initial weights: the same file and the same head for every framework, or a refusal."""

import zlib
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from common.core.errors import InputError, listed
from common.core.files import replacing
from common.core.hashing import hash_weights
from common.core.specs import ModelSpec, Preprocessing, WeightsSpec
from common.core.tensor_files import check_finite, read_tensors, under_model_names
from common.trial.contract import Adapter

HEAD_STD = 0.01


def smoothed_odds(positives: np.ndarray, images: int, weights: np.ndarray | None) -> np.ndarray:
    """Odds of the smoothed class frequency (n + 1/2) / (N + 1), times what a positive weighs in the loss."""
    frequency = (positives + 0.5) / (images + 1)
    return frequency / (1 - frequency) * (1 if weights is None else weights)


def head_tensors(features: int, odds: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The new head: weight [classes, features] drawn once with NumPy (normal, standard deviation .01), bias at
    the log of the odds, so that training starts at the prior."""
    weight = np.random.default_rng([seed, 2]).normal(0, HEAD_STD, (len(odds), features)).astype(np.float32)
    return weight, np.log(odds).astype(np.float32)


def drawn(wanted: dict[str, np.ndarray], seed: int) -> dict[str, np.ndarray]:
    """Random initial weights that every framework is given alike: normal with He's variance 2 / fan-out for kernels (He
    et al. 2015, as torchvision's networks have it), 1 for scales and running variances, 0 for the rest."""
    found = {}
    for name, array in wanted.items():
        if array.ndim > 1:
            fan_out = array.shape[0] * int(np.prod(array.shape[2:]))
            rng = np.random.default_rng([seed, 3, zlib.crc32(name.encode())])
            found[name] = rng.normal(0, np.sqrt(2 / fan_out), array.shape).astype(np.float32)
        else:
            one = name.endswith((".weight", ".running_var"))
            found[name] = np.full(array.shape, float(one), np.float32)
    return found


def initialise(
    adapter: Adapter, model: Any, weights: WeightsSpec, base: Path, odds: np.ndarray, seed: int, matched: bool = False
) -> dict[str, list[str]]:
    """Load the weights file (if there is one) and the drawn head. Returns the names of the tensors that were loaded,
    missing and unexpected. InputError where a tensor that training will not change is missing, or one has another shape.

    matched: random weights are drawn here for every framework, and a file must fit the network tensor by tensor.
    """
    wanted = adapter.dump(model)
    head = adapter.head(model)
    features = wanted[head[0]].shape[1]
    new_head = dict(zip(head, head_tensors(features, odds, seed)))
    if weights.random:
        adapter.load(model, (drawn(wanted, seed) if matched else {}) | new_head)
        return {}
    path = base / weights.path
    if hash_weights(path) != weights.sha256:
        raise InputError(f"{path.name} changed since the run was planned; start the run anew")
    file = under_model_names(read_tensors(path), wanted, path.name).tensors
    body = {name: array for name, array in wanted.items() if weights.head or name not in head}
    found = {name: file[name] for name in body if name in file}
    for name, array in found.items():
        if array.shape != body[name].shape:
            raise InputError(
                f"{path.name}: {name} has shape {list(array.shape)}, the model needs {list(body[name].shape)}"
            )
    check_finite(found, path.name)
    missing, unexpected = sorted(body.keys() - file.keys()), sorted(file.keys() - wanted.keys())
    if matched and found and (missing or unexpected):
        raise InputError(
            f"{path.name} does not fit the network tensor by tensor, as matched trials need it: "
            f"missing {listed(missing) or 'none'}; left over {listed(unexpected) or 'none'}; take a complete file"
        )
    if not found:
        theirs, ours = sorted(file)[:3], sorted(body)[:3]
        raise InputError(f"no tensor of {path.name} is the model's: it has {theirs} ..., the model {ours} ...")
    frozen = sorted(set(missing) - adapter.trainable(model) - _buffers_of_trained(adapter, model, missing))
    if frozen:
        raise InputError(
            f"{path.name} lacks {len(missing)} of the model's {len(body)} tensors, {len(frozen)} of them in frozen layers "
            f"({', '.join(frozen[:5])}{' ...' if len(frozen) > 5 else ''}): features of random layers mean nothing; "
            "take --train all, or a complete file"
        )
    adapter.load(model, found if weights.head else found | new_head)
    return {"loaded": sorted(found), "missing": missing, "unexpected": unexpected}


def save_weights(
    path: Path, tensors: dict[str, np.ndarray], model: ModelSpec, preprocessing: Preprocessing | None, note: str = ""
) -> None:
    """Canonical tensors with the metadata that a trial which starts from the file checks, as far as it is known. note: what
    was chosen when the tensors were read from another file."""
    known = preprocessing.model_dump_json() if preprocessing else ""
    metadata = {"architecture": model.name, "variant": model.variant, "preprocessing": known} | (
        {"note": note} if note else {}
    )
    with replacing(path) as temporary:
        save_file({name: np.ascontiguousarray(array) for name, array in tensors.items()}, temporary, metadata)


def _buffers_of_trained(adapter: Adapter, model: Any, names: list[str]) -> set[str]:
    """Running statistics of layers that train: they are learned too, though not by gradient."""
    layers = {name.rpartition(".")[0] for name in adapter.trainable(model)}
    parts = {name: name.rpartition(".") for name in names}  # a ViT's cls_token has no dot
    return {name for name, (layer, _, what) in parts.items() if what.startswith("running_") and layer in layers}
