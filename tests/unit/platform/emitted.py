"""Which labels the metrics of the code have, and which values: read from the code itself."""

from __future__ import annotations

import ast
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Self

import grpc
from opentelemetry.exporter.prometheus._mapping import sanitize_attribute

from eros_assistant.domain.answers import Engine
from eros_cli import metric_table
from eros_cli.paths import CHECKOUT
from eros_gateway.config import DESCRIPTOR_SET
from eros_gateway.domain.contract import read_contract
from eros_scheduler.core.model import HaltReason, JobKind

_RECORDS = ("add", "record", "set")
_MAKES = ("create_counter", "create_gauge", "create_histogram")
#: Of labels whose values are no constants in the code.
_VALUES: dict[tuple[str, str], set[Any]] = {
    ("", "kind"): {kind.name.lower() for kind in JobKind},
    ("", "reason"): {reason.name.lower() for reason in HaltReason},
    ("", "engine"): {engine.value for engine in Engine},
    ("", "killed"): {True, False},
    ("", "outcome"): {"hit", "miss", "unchanged"},
    ("eros.cache.reads", "key"): {"conversation", "assistant:prepared"},
    ("rpc.server.duration", "rpc.grpc.status_code"): {code.name for code in grpc.StatusCode},
}


class Emitted:
    """By metric, as Prometheus calls it, and label: its values, none of which is known where the
    set is empty."""

    def __init__(self) -> None:
        self._labels: dict[str, dict[str, set[str]]] = {}

    @classmethod
    def of_everything(cls) -> Self:
        found = cls()
        prometheus = {metric.name: metric.prometheus for metric in metric_table.told()}
        for metric, labels in _attributes().items():
            told = found._labels.setdefault(prometheus[metric], {})
            for label, constants in labels.items():
                values = constants | _VALUES.get(("", label), set())
                values |= _VALUES.get((metric, label), set())
                told[sanitize_attribute(label)] = set(map(_shown, values))
        contract = read_contract(DESCRIPTOR_SET.read_bytes())
        methods = [method.grpc_path[1:] for method in contract.methods]
        rpc = found._labels["rpc_server_duration_milliseconds"]
        rpc["rpc_service"] |= {method.partition("/")[0] for method in methods}
        rpc["rpc_method"] |= {method.partition("/")[2] for method in methods}
        found._labels["envoy_edge_request_time"] = {"route": set(methods)}
        return found

    def values(self, metric: str, label: str) -> set[str] | None:
        """None: it has no such label."""
        for part in ("", "_bucket", "_count", "_sum"):
            if part and not metric.endswith(part):
                continue
            labels = self._labels.get(metric.removesuffix(part))
            if labels is not None:
                return labels.get(label)
        return None


def _shown(value: Any) -> str:
    # As the exporter has it: what is no text is JSON.
    return value if isinstance(value, str) else json.dumps(value)


def _attributes() -> dict[str, dict[str, set[Any]]]:
    """By metric and label: the constants that are its values."""
    found: dict[str, dict[str, set[Any]]] = defaultdict(dict)
    for folder in ("libs", "services"):
        for path in sorted((CHECKOUT / folder).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            if "create_" not in text:
                continue
            for scope in ast.parse(text).body:
                if isinstance(scope, ast.ClassDef):
                    for metric, labels in _of_class(scope):
                        for label, values in labels.items():
                            found[metric].setdefault(label, set()).update(values)
    return found


def _of_class(scope: ast.ClassDef) -> Iterator[tuple[str, Mapping[str, set[Any]]]]:
    """What a class records with the instruments that it makes."""
    instruments: dict[str, str] = {}
    dicts: dict[str, ast.Dict] = {}
    loops: dict[str, str] = {}
    observed = ""
    for node in ast.walk(scope):
        match node:
            case ast.Call(func=ast.Attribute(attr="create_observable_counter"), args=[name, *_]):
                observed = ast.literal_eval(name)
            case ast.Assign(targets=[target], value=ast.Call() as call) if (
                isinstance(call.func, ast.Attribute) and call.func.attr in _MAKES
            ):
                instruments[ast.unparse(target)] = ast.literal_eval(call.args[0])
            case ast.Assign(targets=[target], value=ast.Dict() as made):
                dicts[ast.unparse(target)] = made
            case ast.For(target=ast.Tuple(elts=[key, _]), iter=ast.Call(func=items)):
                loops[ast.unparse(key)] = ast.unparse(items).removesuffix(".items")
            case ast.AnnAssign(target=target, value=ast.Dict() as made):
                dicts[ast.unparse(target)] = made
    constants = {
        name: {key.value for key in dicts[walked].keys if isinstance(key, ast.Constant)}
        for name, walked in loops.items()
        if walked in dicts
    }
    for node in ast.walk(scope):
        match node:
            case ast.Call(func=ast.Attribute(value=instrument, attr=how), args=[_, given, *_]) if (
                how in _RECORDS and ast.unparse(instrument) in instruments
            ):
                yield instruments[ast.unparse(instrument)], _labels(given, dicts, constants)
            case ast.Call(func=ast.Name(id="Observation"), args=[_, given]):
                yield observed, _labels(given, dicts, constants)


def _labels(
    given: ast.expr, dicts: Mapping[str, ast.Dict], constants: Mapping[str, set[Any]]
) -> dict[str, set[Any]]:
    made = given if isinstance(given, ast.Dict) else dicts[ast.unparse(given)]
    found: dict[str, set[Any]] = {}
    for key, value in zip(made.keys, made.values, strict=True):
        if key is None:
            found |= _labels(value, dicts, constants)
        elif isinstance(value, ast.Constant):
            found[ast.literal_eval(key)] = {value.value}
        else:
            found[ast.literal_eval(key)] = set(constants.get(ast.unparse(value), ()))
    return found
