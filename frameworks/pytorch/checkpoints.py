"""Weights files that people save with torch: which of their tensors are the model's, and nothing of them is run as code."""

import pickle
from pathlib import Path
from typing import Any, NamedTuple

import timm
import torch

from common.core.errors import InputError
from common.core.specs import ModelSpec
from common.core.tensor_files import is_averaged, refused_forms
from frameworks.pytorch.models import vgg19_names

KEYS = ("state_dict", "model_state_dict", "model")  # of a checkpoint's weights, the usual ones first
WRAPPERS = ("module.", "_orig_mod.", "model.")  # prefixes of DataParallel, torch.compile and Lightning
FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
BYTES = (torch.int8, torch.uint8)
DEEPEST = 3  # dictionaries inside each other
SAFE = "torch.save(model.state_dict(), 'weights.pth')"


class Choice(NamedTuple):
    """The tensors that were taken from a file, and a sentence on what was not."""

    tensors: dict[str, torch.Tensor]
    note: str


def from_file(model: ModelSpec, path: str) -> Choice:
    """The model's tensors of a file of torch.save. InputError where it holds none, several networks, or objects."""
    tensors, note = chosen(_loaded(path), Path(path).name)
    unread = {n: str(t.dtype).removeprefix("torch.") for n, t in tensors.items() if not _is_read(t)}
    if unread:
        raise InputError(refused_forms(Path(path), unread))
    for prefix in WRAPPERS * 2:  # one may lie in another
        if tensors and all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    if model.name == "efficientnet_lite0":
        ours = timm.create_model("tf_efficientnet_lite0").state_dict()
        # The package has another project's names, but timm's order, tensor by tensor.
        if not tensors.keys() & ours.keys() and [t.shape for t in tensors.values()] == [t.shape for t in ours.values()]:
            return Choice(dict(zip(ours, tensors.values())), note)
    return Choice(vgg19_names(tensors) if model.name == "vgg19" else tensors, note)


def _loaded(path: str) -> Any:
    """What the file holds, by torch's weights_only reader alone: a pickle may hold code, which is not run."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError, AttributeError) as error:
        objects = _objects(path)
        if not objects:
            said = (str(error) or type(error).__name__).splitlines()[0].partition(". ")[0][:160]
            raise InputError(
                f"{path} is not a file of tensors alone: {said}; save the model's state_dict() anew"
            ) from None
    whole = any(name.startswith(("torch.nn.", "timm.", "torchvision.")) for name in objects)
    what, rest = ("a whole model", ".state_dict()") if whole else ("Python objects beside its tensors", "['model']")
    raise InputError(
        f"{path} holds {what} ({', '.join(objects[:3])}{', ...' if len(objects) > 3 else ''}), and loading those would run code "
        f"from the file; where you trust it, save its tensors alone: tensors = torch.load(file, weights_only=False){rest}, "
        "then torch.save(tensors, 'weights.pth')"
    )


def _objects(path: str) -> list[str]:
    """The classes that the file's pickle asks for beside tensors; none where that cannot be told."""
    try:
        return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path))
    except Exception:  # no zip file, or a damaged one
        return []


def chosen(file: Any, source: str) -> Choice:
    """The network of a checkpoint. Averaged copies (EMA) are left, and named; among several others nothing is guessed."""
    if _is_state(file):
        return Choice(dict(file), "")
    found = _states(file)
    if not found:
        raise InputError(f"{source} holds no state_dict (names and tensors); save the model's alone: {SAFE}")
    rivals = [place for place in found if not is_averaged(place)] or list(found)
    rivals = [place for place in rivals if _rank(place) == min(map(_rank, rivals))]
    if len(rivals) > 1:
        raise InputError(
            f"{source} holds several networks, {' and '.join(rivals)}; save the tensors of one of them alone"
        )
    (taken,) = rivals
    left = [_place_words(place) for place in found if place != taken]
    if not left and not is_averaged(taken):
        return Choice(found[taken], "")
    note = f"{source}: the tensors of {_place_words(taken)} were taken"
    note += f", not those of {' and '.join(left)}; to start from others, save them alone" if left else ""
    return Choice(found[taken], note)


def _rank(place: str) -> tuple[int, int]:
    """Which of several networks is the checkpoint's: the outermost one, of the usual names the first."""
    key = place.rpartition("/")[2]
    return place.count("/"), KEYS.index(key) if key in KEYS else len(KEYS)


def _place_words(place: str) -> str:
    return f"'{place}'" + (" (averaged weights, EMA)" if is_averaged(place) else "")


def _is_state(value: Any) -> bool:
    return isinstance(value, dict) and bool(value) and all(isinstance(t, torch.Tensor) for t in value.values())


def _states(file: Any, place: str = "", depth: int = 1) -> dict[str, dict[str, torch.Tensor]]:
    """Every dictionary of names and tensors in a checkpoint, by its keys; an optimiser's is of numbers and tensors."""
    found = {}
    for key, value in file.items() if isinstance(file, dict) and depth <= DEEPEST else ():
        here = f"{place}{key}"
        if _is_state(value) and all(isinstance(name, str) for name in value):
            found[here] = dict(value)
        elif "optim" not in str(key):
            found |= _states(value, f"{here}/", depth + 1)
    return found


def _is_read(tensor: torch.Tensor) -> bool:
    if tensor.is_floating_point():
        return tensor.dtype in FLOATS
    return not (tensor.is_quantized or tensor.is_complex() or (tensor.dtype in BYTES and tensor.dim() > 1))
