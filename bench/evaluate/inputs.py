"""What a folder of data must look like, and the error when it does not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class InputError(Exception):
    """The data are not in the layout of bench/DATA.md; the text names file, fact and remedy."""


def read_json(path: Path) -> Any:  # noqa: ANN401 - whatever the file holds
    """A JSON file; InputError when it is missing or does not parse."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(
            f"{path.parent.name}/{path.name} is missing (see bench/DATA.md)"
        ) from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path.parent.name}/{path.name} is no JSON: {error}") from error
