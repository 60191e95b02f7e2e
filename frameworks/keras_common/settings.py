"""Keras with its default settings, whatever the user's keras.json asks for: import `keras` from here first."""

import os
from pathlib import Path

from common.core.errors import InputError

for _name in ("KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH"):
    os.environ.pop(_name, None)  # they would end an epoch early
os.environ["KERAS_NNX_ENABLED"] = "false"

try:
    import keras
except (AttributeError, TypeError, ValueError) as error:
    _file = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "keras.json"
    if not _file.exists():
        raise
    raise InputError(f"Keras cannot read its settings in {_file} ({error}); correct that file or remove it") from error

# The networks and the pixels are channels last; an old keras.json may say channels_first.
keras.config.set_image_data_format("channels_last")
keras.config.set_epsilon(1e-7)
keras.config.set_floatx("float32")
keras.config.set_max_epochs(None)
keras.config.set_max_steps_per_epoch(None)

__all__ = ["keras"]
