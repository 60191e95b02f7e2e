"""Hugging Face's image folder: metadata.jsonl, a JSON object with file_name and labels on each line."""

import json
from pathlib import Path
from typing import Any

from common.core.dataset import Dataset
from common.core.errors import InputError, listed
from common.core.settings import NO_OPTIONS, ReadOptions
from common.data.formats.csv import dataset_of
from common.data.tables.files import check_unused, tables_of
from common.data.tables.raw import from_json, read_text
from common.data.tables.text import SHOWN, Table

LOOKS_LIKE = (
    "a folder with metadata.jsonl (also in train/), or such a file: on each line an object with file_name and labels"
)


def is_table(file: Path) -> bool:
    return file.suffix.lower() in (".jsonl", ".ndjson")


def recognises(path: Path) -> bool:
    return tables_of(path, is_table) is not None


def read(path: Path, options: ReadOptions = NO_OPTIONS) -> Dataset:
    """Every line, as a row of a table whose columns are the objects' keys. InputError that lists the lines that are none."""
    check_unused("jsonl", options, "delimiter")
    found = tables_of(path, is_table)
    if found is None:
        raise InputError(f"no metadata.jsonl at '{path}'; looked for: {LOOKS_LIKE}")
    return dataset_of(found, path, options, read_lines, "jsonl")


def read_lines(path: Path, options: ReadOptions) -> Table:
    text, encoding = read_text(path, options.encoding)
    if text.lstrip()[:1] == "[":
        raise InputError(
            f"{path} is one JSON list; write each of its objects on a line of its own "
            "(pandas.read_json(FILE).to_json(NEW, orient='records', lines=True))"
        )
    objects: list[dict[str, Any]] = []
    numbers, wrong = [], []
    for number, line in enumerate(text.splitlines() if "\n" not in text else text.split("\n"), start=1):
        if not line.strip():
            continue
        why = ""
        try:
            found = from_json(line)
        except (ValueError, RecursionError) as error:
            found, why = None, "" if isinstance(error, json.JSONDecodeError) else f" ({error})"
        keyed = {str(key).strip(): value for key, value in found.items()} if isinstance(found, dict) else {}
        if isinstance(found, dict) and len(keyed) == len(found):
            objects.append(keyed)
            numbers.append(number)
        else:
            wrong.append(f"line {number}: '{line[:SHOWN]}'{why}")
    if wrong:
        raise InputError(
            f'{path} has lines that are no JSON object: {listed(wrong)}; expected {{"file_name": ..., "labels": [...]}}'
        )
    names = list(dict.fromkeys(key for item in objects for key in item))
    if not objects or not names:
        raise InputError(f"{path} has no objects; expected one for each image on a line of its own")
    cells = tuple(tuple(_cell(item.get(name)) for item in objects) for name in names)
    return Table(path, tuple(names), cells, tuple(numbers), encoding, "")


def _cell(value: Any) -> str:
    """A value as a cell of a table has it: lists stay JSON, what is absent is empty."""
    if value is None:
        return ""
    return value.strip() if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
