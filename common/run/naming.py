"""The names of runs and trials, and the folder of a new run."""

import itertools
import re
import time
from pathlib import Path

from common.core.dataset import Dataset
from common.core.errors import InputError
from common.core.settings import Settings
from common.core.specs import Job, Lane


def new_folder(parent: Path, name: str, otherwise: str) -> Path:
    """A folder that was not there before: no run overwrites another. Without a name: the other one, numbered where two
    runs begin in the same second."""
    for number in itertools.count(1):
        folder = parent / (name or otherwise + (f"-{number}" if number > 1 else ""))
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            if name:
                check_free(folder)
        except OSError as error:
            raise InputError(f"--results-dir {parent}: {error.strerror}; name a folder that can be written") from None
    raise AssertionError


def check_free(folder: Path) -> None:
    """InputError where there is a run of that name."""
    if folder.exists():
        raise InputError(f"the run '{folder}' exists; take another --name, or remove it")


def run_name(settings: Settings, jobs: list[Job], dataset: Dataset) -> str:
    what = settings.suite or "-".join(dict.fromkeys(job.framework for job in jobs))
    return f"{time.strftime('%Y-%m-%d-%H%M%S')}-{what}-{dataset.name}"


def trial_name(number: int, job: Job, lane: Lane, devices: int, seed: int) -> str:
    words = [f"{number:02}", job.framework, str(job.model), job.train]
    words += [job.balance] if job.balance != "none" else []
    words += [lane] if lane != "default" else []
    words += [f"{devices}devices"] if devices > 1 else []
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", "-".join([*words, f"seed{seed}"]))
