"""The parity gate: every model's frameworks traced one after another, each compared with the first."""

import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from common import device, parity, prepare, select
from common.child import ask
from common.errors import InputError
from common.feed import Decoded, Stored
from common.files import cache_folder, need_space, write_arrays, write_json
from common.machine import cores
from common.trace import RATE, STEPS
from common.types import (
    BuildSpec,
    Gate,
    ModelSpec,
    Recipe,
    Settings,
    Train,
    TrialSpec,
    Value,
    WeightsSpec,
    trained_part,
)

SIDE, IMAGES = 64, 6  # pixels; images a step
FILE = "parity.json"
TRACE_BYTES = 3 * 2**30  # what two traces of the largest model need on disk, for a minute


class Candidate(Value):
    """One model whose frameworks are to be compared, and what they start from."""

    model: ModelSpec
    train: Train
    frameworks: tuple[str, ...]
    weights: WeightsSpec  # its path absolute


def batch(pixels: np.ndarray) -> np.ndarray:
    """uint8 [n, SIDE, SIDE, 3] of larger or smaller images."""
    small = [np.asarray(Image.fromarray(p).resize((SIDE, SIDE), Image.BILINEAR)) for p in pixels[: STEPS * IMAGES]]
    return np.stack(small)


def gate(
    candidate: Candidate, pixels: np.ndarray, labels: np.ndarray, threads: int, on: str, say: Callable[[str], None]
) -> list[Gate]:
    """One finding for each framework but the first. pixels: uint8 [30, SIDE, SIDE, 3]; labels: 0/1 [30, classes]."""
    reference, *others = candidate.frameworks
    assert candidate.weights.preprocessing is not None
    spec = BuildSpec(
        model=candidate.model, classes=labels.shape[1], side=SIDE, preprocessing=candidate.weights.preprocessing,
        train=candidate.train, learning_rate=RATE, formulas="matched",
    )  # fmt: skip
    cache = cache_folder() / "parity"
    need_space(cache, TRACE_BYTES, "the parity gate")
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        place = Path(folder)
        write_arrays(place / "batch.npz", pixels=pixels, labels=labels)
        facts, seconds, found = {}, {}, []

        def trace(framework: str, recorded: str) -> Path:
            target = place / f"{framework}.npz"
            said = ask(
                framework, "trace", threads, on, spec=spec.model_dump(), weights=candidate.weights.model_dump(),
                batch=str(place / "batch.npz"), recorded=recorded, target=str(target),
            )  # fmt: skip
            facts[framework], seconds[framework] = said["facts"], said["step_s"]
            return target

        common = {
            "model": candidate.model,
            "train": candidate.train,
            "reference": reference,
            "side": SIDE,
            "images": IMAGES,
        }
        first = Path()
        for other in others:
            try:
                say(f"parity of {candidate.model} ({candidate.train} trains): {reference} and {other}")
                first = first if reference in facts else trace(reference, "")
                mine = trace(other, str(first))
            except InputError as error:
                found.append(Gate(**common, other=other, passed=False, failure=str(error)))
                say(f"  failed: {error}")
                continue
            with np.load(first) as a, np.load(mine) as b:
                stages, stage, tensor = parity.compare(a, b)
            both = {name: facts[name] for name in (reference, other)}
            failure = parity.described(stage, tensor, stages[-1], both) if stage else ""
            step_s = {name: seconds[name] for name in both}
            found.append(
                Gate(**common, other=other, passed=not stage, stages=tuple(stages), failure=failure, step_s=step_s)
            )
            say(f"  {'failed: ' + failure if stage else 'passed'}")
            mine.unlink()
    return found


def before(folder: Path, specs: list[TrialSpec], say: Callable[[str], None]) -> None:
    """Gate every model of a matched run on a real batch of it, with its own initial weights; kept in parity.json, and
    not done again where the run is taken up. Other runs have nothing to prove."""
    matched = [s for s in specs if s.recipe.formulas == "matched" and s.repeat == 0]
    if not matched or (folder / FILE).exists():
        return
    pixels, labels = _first_images(folder, matched[0])
    trials = [(spec.framework, spec.model, spec.recipe, spec.weights) for spec in matched]
    found = _all(_candidates(trials, folder), pixels, labels, matched[0].process.device, say)
    write_json(folder / FILE, [finding.model_dump() for finding in found])


def _candidates(trials: Iterable[tuple[str, ModelSpec, Recipe, WeightsSpec]], base: Path) -> list[Candidate]:
    """The models that several frameworks have, each with its first framework as the reference."""
    kinds: dict[tuple, Candidate] = {}
    for framework, model, recipe, weights in trials:
        key = model, trained_part(recipe, weights)
        path = str((base / weights.path).resolve()) if weights.path else ""
        found = kinds.setdefault(key, Candidate(
            model=model, train=key[1], frameworks=(), weights=weights.model_copy(update={"path": path}),
        ))  # fmt: skip
        names = tuple(dict.fromkeys((*found.frameworks, framework)))
        kinds[key] = found.model_copy(update={"frameworks": names})
    return [found for found in kinds.values() if len(found.frameworks) > 1]


def _all(
    candidates: list[Candidate], pixels: np.ndarray, labels: np.ndarray, on: str, say: Callable[[str], None]
) -> list[Gate]:
    found = []
    for candidate in candidates:
        found += gate(candidate, pixels, labels, cores(), on, say)
    return found


def asked(settings: Settings, say: Callable[[str], None]) -> list[Gate]:
    """Without a run: the models that the settings name on every framework that has them, on the data's first images."""
    jobs, notes = select.jobs(settings)
    for note in notes:
        say(note)
    dataset = prepare.read_data(settings)
    on, _ = device.choose(settings.device, [job.framework for job in jobs])
    initial = prepare.find_weights(settings, jobs, {}, dataset, say)
    recipes = [(job, initial[settings.seed, job]) for job in jobs]
    trials = [(job.framework, job.model, prepare.recipe(settings, job, found), found) for job, found in recipes]
    candidates = _candidates(trials, Path())
    if not candidates:
        raise InputError("no model is on two of the frameworks; name others, or leave --frameworks out")
    rows = np.resize(np.arange(len(dataset)), STEPS * IMAGES)
    return _all(candidates, Decoded(dataset.paths, SIDE).read(rows, None), dataset.labels[rows], on, say)


def _first_images(folder: Path, spec: TrialSpec) -> tuple[np.ndarray, np.ndarray]:
    """Pixels and labels of the first images that the first epoch trains on."""
    feed = spec.feed
    with np.load(folder / feed.plan) as plan, np.load(folder / feed.labels) as arrays:
        rows = np.resize(plan["orders"][0], STEPS * IMAGES)  # a tiny data set: from its beginning again
        labels = arrays["labels"][rows]
    if feed.pixels:
        return batch(Stored(folder / feed.pixels).read(rows, None)), labels
    with np.load(folder / feed.files) as arrays:
        paths = np.array([str(folder / path) for path in arrays["paths"]])
    return Decoded(paths, SIDE).read(rows, None), labels
