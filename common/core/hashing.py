"""Hashes of arrays, files and weights."""

import hashlib
import json
from pathlib import Path

import numpy as np


def hash_arrays(*arrays: np.ndarray) -> str:
    """16 hex digits over dtype, shape and bytes of each array."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data if array.size else b"")
    return digest.hexdigest()[:16]


def hash_file(path: Path) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def hash_weights(path: Path) -> str:
    """SHA-256 over a safetensors file with its header sorted: the format's own writer leaves the order of the metadata
    to chance, so that equal files had other hashes in every clone. Any other file: as `hash_file`."""
    with open(path, "rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        try:
            header = json.dumps(json.loads(stream.read(length)), sort_keys=True)
        except (ValueError, MemoryError, OverflowError):
            return hash_file(path)
        digest = hashlib.sha256(header.encode())
        while block := stream.read(2**22):
            digest.update(block)
    return digest.hexdigest()
