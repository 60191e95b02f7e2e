"""What the harness knows of a framework and its models without importing the framework."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from common.core.specs import Preprocessing


@dataclass(frozen=True)
class ModelInfo:
    """One model of a framework."""

    preprocessing: Preprocessing  # where the weights name none
    variants: tuple[str, ...] = ()  # the first is the default
    own_variant: str = ""  # the one that the library's own weights files hold, where it is always the same
    packaged: tuple[str, str] | None = None  # a Python package that carries weights, and the file in it
    smallest_side: int = 1  # pixels of an image that it takes on this framework
    pretrained: bool = True  # whether the library offers ImageNet weights to download
    about: str = ""


class FrameworkInfo(Protocol):
    """The module `frameworks/<folder>/__init__.py`. It is light: it imports no framework."""

    __name__: str  # frameworks.<folder>
    NAME: str  # on the command line
    ALIASES: tuple[str, ...]
    ABOUT: str
    MODELS: Mapping[str, ModelInfo]
    DEFAULT_MODELS: tuple[
        str, ...
    ]  # those of a run that names no model; empty: the framework runs only where it is named
    OTHER_MODELS: str  # what else `Adapter.models` lists, as text; empty: nothing
    READS: tuple[str, ...]  # suffixes of files that `Adapter.export` turns into canonical tensors
    # The model that `bare.py`, a loop without the harness, trains for `self overhead`; empty: there is no such loop.
    BARE: str
    NEEDS: tuple[str, ...]  # packages that the adapter imports
    EXTRA: str  # the extra of pyproject.toml that installs them; empty: none
    # How a trial uses several devices. "ranks": a process for each, see common/process/ranks.py. Each takes its part of
    # every batch, and all end with the same weights and logits. "devices": one process that spreads every batch itself.
    # Empty: not at all.
    PARALLEL: str
