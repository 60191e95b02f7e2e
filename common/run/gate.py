"""The parity gate: every model's frameworks traced one after another, each compared with the first."""

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from common.analysis import parity
from common.core.callbacks import Say
from common.core.errors import InputError, readable
from common.core.files import cache_folder, need_space, read_json, write_arrays, write_json
from common.core.locks import use_cache
from common.core.machine import cores
from common.core.parity_stages import STEPS
from common.core.results import GATES, Gate
from common.core.settings import Settings
from common.core.specs import (
    Balance,
    BuildSpec,
    ModelSpec,
    ProcessSpec,
    Recipe,
    Train,
    TrialSpec,
    Value,
    WeightsSpec,
    trained_part,
)
from common.data.chunk_store import ChunkStore
from common.data.decode import ImageError
from common.data.feed import Decoded, image_paths
from common.process.question import ask
from common.process.questions import TRACE, Trace
from common.run import device, prepare, run_folder
from common.run.jobs import list_jobs
from common.run.weights import find_weights
from common.trial.trace import RATE

SIDE, IMAGES = 64, 6  # pixels; images a step
TRACE_BYTES = 3 * 2**30  # what two traces of the largest model need on disk, for a minute


class Candidate(Value):
    """One model whose frameworks are to be compared, and what they start from."""

    model: ModelSpec
    train: Train
    weighted: bool  # positives weigh more in the loss
    frameworks: tuple[str, ...]
    weights: WeightsSpec  # its path absolute


def batch(pixels: np.ndarray) -> np.ndarray:
    """uint8 [n, SIDE, SIDE, 3] of larger or smaller images."""
    small = [
        np.asarray(Image.fromarray(p).resize((SIDE, SIDE), Image.Resampling.BILINEAR)) for p in pixels[: STEPS * IMAGES]
    ]
    return np.stack(small)


def gate(candidate: Candidate, pixels: np.ndarray, labels: np.ndarray, process: ProcessSpec, say: Say) -> list[Gate]:
    """One finding for each framework but the first. pixels: uint8 [30, SIDE, SIDE, 3]; labels: 0/1 [30, classes]."""
    assert candidate.weights.preprocessing is not None
    classes = labels.shape[1]
    spec = BuildSpec(
        model=candidate.model, classes=classes, side=SIDE, preprocessing=candidate.weights.preprocessing,
        train=candidate.train, learning_rate=RATE, formulas="matched",
        positive_weights=tuple(np.linspace(1, 4, classes).tolist()) if candidate.weighted else (),
    )  # fmt: skip
    cache = cache_folder() / "parity"
    need_space(cache, TRACE_BYTES, "the parity gate")
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        write_arrays(Path(folder) / "batch.npz", pixels=pixels, labels=labels)

        def trace(framework: str, recorded: str = "") -> Traced:
            file, how = f"{folder}/{framework}.npz", (process.threads, process.device, process.deterministic)
            found = ask(
                framework, TRACE, *how, recorded=recorded, target=file, spec=spec, weights=candidate.weights,
                batch=f"{folder}/batch.npz",
            )  # fmt: skip
            return Traced(framework=framework, file=file, trace=found)

        reference, *others = candidate.frameworks
        found, first = [], None
        for other in others:
            say(f"  {candidate.model} ({candidate.train} trains), {reference} and {other}: minutes at the most")
            finding = Gate(model=candidate.model, train=candidate.train, weighted=candidate.weighted, reference=reference,
                           other=other, passed=False, side=SIDE, images=IMAGES)  # fmt: skip
            try:
                first = first or trace(reference)
                mine = trace(other, first.file)
                finding = compared(finding, first, mine)
                Path(mine.file).unlink()
            except InputError as error:
                finding = finding.model_copy(update={"failure": str(error)})
            say("  passed" if finding.passed else f"  failed: {finding.failure}")
            found.append(finding)
    return found


class Traced(Value):
    """What one framework answered, and the file that it wrote: see common/trial/trace.py."""

    framework: str
    file: str
    trace: Trace


def compared(finding: Gate, a: Traced, b: Traced) -> Gate:
    """The finding, with the outcome of the comparison."""
    with np.load(a.file) as here, np.load(b.file) as there:
        stages, stage, tensor = parity.compare(here, there)
    facts = {side.framework: side.trace.facts for side in (a, b)}
    outcome = {
        "passed": not stage, "stages": tuple(stages), "step_s": {side.framework: side.trace.step_s for side in (a, b)},
        "failure": parity.described(stage, tensor, stages[-1], facts) if stage else "",
    }  # fmt: skip
    return finding.model_copy(update=outcome)


def before(folder: Path, specs: list[TrialSpec], say: Say) -> None:
    """Gate every model of a matched run on a real batch of it, with its own initial weights; kept in parity.json, and
    not done again where the run is taken up. Other runs have nothing to prove."""
    matched = [s for s in specs if s.recipe.formulas == "matched" and s.repeat == 0]
    trials = [(s.framework, s.model, s.recipe, s.feed.balance, s.weights) for s in matched]
    with readable(f"'{folder / GATES}'"):
        kept = list(read_json(folder / GATES)) if (folder / GATES).exists() else []
        kept = [found for found in kept if found["stages"]]  # what could not be computed then may be now
        done = {(gated.model, gated.train, gated.weighted) for gated in map(Gate.model_validate, kept)}
    left = [c for c in _candidates(trials, folder) if (c.model, c.train, c.weighted) not in done]
    if not left:
        return
    pixels, labels = _first_images(folder, matched[0])
    for found in _each(left, pixels, labels, matched[0].process, say):
        kept += [finding.model_dump() for finding in found]
        write_json(folder / GATES, kept)


def _candidates(trials: Iterable[tuple[str, ModelSpec, Recipe, Balance, WeightsSpec]], base: Path) -> list[Candidate]:
    """The models that several frameworks have, each with its first framework as the reference."""
    kinds: dict[tuple, Candidate] = {}
    for framework, model, recipe, balance, weights in trials:
        key = model, trained_part(recipe, weights), balance == "weighted"
        path = str((base / weights.path).resolve()) if weights.path else ""
        found = kinds.setdefault(key, Candidate(
            model=model, train=key[1], weighted=key[2], frameworks=(), weights=weights.model_copy(update={"path": path}),
        ))  # fmt: skip
        names = tuple(dict.fromkeys((*found.frameworks, framework)))
        kinds[key] = found.model_copy(update={"frameworks": names})
    return [found for found in kinds.values() if len(found.frameworks) > 1]


def _each(
    candidates: list[Candidate],
    pixels: np.ndarray,
    labels: np.ndarray,
    process: ProcessSpec,
    say: Say,
) -> Iterator[list[Gate]]:
    for i, candidate in enumerate(candidates, 1):
        say(f"parity gate {i} of {len(candidates)}")
        yield gate(candidate, pixels, labels, process, say)


def asked(settings: Settings, say: Say) -> list[Gate]:
    """Without a run: the models that the settings name on every framework that has them, on the data's first images."""
    use_cache()
    jobs, notes = list_jobs(settings)
    for note in notes:
        say(note)
    dataset = prepare.read_data(settings)
    on, _ = device.choose(settings.device, [job.framework for job in jobs])
    initial = find_weights(settings, jobs, say)
    recipes = [(job, initial[settings.seed, job]) for job in jobs]
    trials = [
        (job.framework, job.model, run_folder.recipe(settings, job, found), job.balance, found)
        for job, found in recipes
    ]
    candidates = _candidates(trials, Path())
    if not candidates:
        raise InputError("no model is on two of the frameworks; name others, or leave --frameworks out")
    rows = np.resize(np.arange(len(dataset)), STEPS * IMAGES)
    process = ProcessSpec(device=on, deterministic=settings.deterministic, threads=cores(), timeout_s=0)
    each = _each(candidates, _decoded(dataset.paths, rows), dataset.labels[rows], process, say)
    return [finding for found in each for finding in found]


def _first_images(folder: Path, spec: TrialSpec) -> tuple[np.ndarray, np.ndarray]:
    """Pixels and labels of the first images that the first epoch trains on."""
    feed = spec.feed
    with np.load(folder / feed.plan) as plan, np.load(folder / feed.labels) as arrays:
        rows = np.resize(plan["orders"][0], STEPS * IMAGES)  # a tiny data set: from its beginning again
        labels = arrays["labels"][rows]
    if feed.pixels:
        return batch(ChunkStore(folder / feed.pixels).read(rows)), labels
    return _decoded(image_paths(folder / feed.files), rows), labels


def _decoded(paths: np.ndarray, rows: np.ndarray) -> np.ndarray:
    try:
        return Decoded(paths, SIDE).read(rows, None)
    except ImageError as error:
        raise InputError(f"the parity gate takes the first images of the data, and {error}") from None
