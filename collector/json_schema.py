"""A JSON schema from a file, as the question whether a parsed answer fits it.

Schemas are trusted (they are the user's), answers are not. Nothing is fetched: a reference to
another document does not resolve.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nibai.errors import UsageError


def schema_check(path: str) -> Callable[[object], bool]:
    """Whether an answer fits the schema; UsageError for a file that is no schema."""
    from jsonschema import exceptions, validators  # noqa: PLC0415 - only with --schema
    from referencing import Registry  # noqa: PLC0415 - same
    from referencing.exceptions import Unresolvable  # noqa: PLC0415 - same

    schema = _read(path)
    kind = validators.validator_for(schema, default=validators.Draft202012Validator)
    try:
        kind.check_schema(schema)  # type: ignore[arg-type] # true and false are schemas, too
    except exceptions.SchemaError as error:
        raise UsageError(
            f"{path}: no JSON schema: {error.json_path}: {error.message[:200]}"
        ) from error
    validator = kind(schema, registry=Registry())

    def fits(answer: Any) -> bool:  # noqa: ANN401 - a JSON value
        try:
            return bool(validator.is_valid(answer))
        except RecursionError:  # deeper than the schema's own recursion can follow
            return False
        except Unresolvable as error:
            raise UsageError(
                f"{path}: {error}: references to other documents are not followed, "
                "put them under $defs"
            ) from error

    return fits


def _read(path: str) -> dict[str, Any] | bool:
    try:
        schema: Any = json.loads(Path(path).read_bytes())
    except OSError as error:
        raise UsageError(f"{path}: the schema cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: the schema is not JSON ({error})") from error
    if not isinstance(schema, dict | bool):
        raise UsageError(f"{path}: a JSON schema is an object, true or false")
    return schema
