"""What pydantic found wrong with a table, told in the words of whoever wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from sync_engine.configuration.lines import KeyPath
from sync_engine.configuration.problems import closest, suggestion

_KINDS = {
    "string": "must be text in quotes",
    "int": "must be a whole number",
    "float": "must be a number",
    "bool": "must be true or false",
    "tuple": 'must be a list such as ["a", "b"]',
    "list": 'must be a list such as ["a", "b"]',
    "set": 'must be a list such as ["a", "b"]',
    "dict": "must be a table",
    "model": "must be a table",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One mistake inside a table: where, of which sort, and in words. ``path`` starts at the table."""

    path: KeyPath
    sort: str
    message: str
    fix: str = ""


def read_faults(model: type[BaseModel], errors: list[ErrorDetails], where: Mapping[str, str]) -> list[Fault]:
    """Translate what pydantic reports; ``where`` says for a key where its value is found.

    A missing key is left out where an unknown one looks like it: that is one mistake, with one fix.
    """
    faults = [_fault(model, error, where) for error in errors]
    renamed = {
        (*fault.path[:-1], close)
        for fault in faults
        if fault.sort == "unknown" and (close := _known_key(model, fault.path))
    }
    return [fault for fault in faults if fault.sort != "missing" or fault.path not in renamed]


def _known_key(model: type[BaseModel], path: KeyPath) -> str | None:
    return closest(path[-1], _model_at(model, path[:-1]).model_fields)


def _fault(model: type[BaseModel], error: ErrorDetails, where: Mapping[str, str]) -> Fault:
    sort = error["type"]
    path = tuple(part for part in error["loc"] if part != "[key]")
    if sort == "extra_forbidden":
        known = _model_at(model, path[:-1]).model_fields
        return Fault(path, "unknown", "is not a known key", suggestion(path[-1], known))
    if sort == "missing":
        return Fault(path, "missing", "is missing", where.get(str(path[-1]), "") if path else "")
    if sort in {"literal_error", "enum"}:
        return _one_of(path, error)
    if sort == "value_error":
        # Our validators say what is wrong and, after a semicolon, what to write.
        message, _, fix = str(error.get("ctx", {}).get("error", error["msg"])).partition("; ")
        return Fault(path, "value", message, fix)
    kind = sort.removesuffix("_type").partition("_")[0]
    if sort.endswith(("_type", "_parsing", "_from_float", "_attributes_type")) and kind in _KINDS:
        return Fault(path, "text" if kind == "string" else "kind", _KINDS[kind])
    return Fault(path, "value", error["msg"].replace("Input should", "must", 1))


def _one_of(path: KeyPath, error: ErrorDetails) -> Fault:
    expected = str(error.get("ctx", {}).get("expected", ""))
    known = [name.strip().strip("'") for name in expected.replace(" or ", ", ").split(",")]
    close = closest(error["input"], known) if isinstance(error["input"], str) else None
    return Fault(
        path, "value", f"must be one of {', '.join(known)}", f'did you mean "{close}"?' if close else ""
    )


def _model_at(model: type[BaseModel], path: KeyPath) -> type[BaseModel]:
    """Find the model of an inner table; the outer one where the way leads through something else."""
    for part in path:
        field = model.model_fields.get(str(part))
        inner = _model_in(field.annotation) if field else None
        if inner is None:
            return model
        model = inner
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for part in get_args(annotation):
        if (found := _model_in(part)) is not None:
            return found
    return None
