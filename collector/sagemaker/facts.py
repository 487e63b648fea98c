"""What AWS answers as flat facts, path -> text; environment values only as far as they are safe."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

MOST_CHARACTERS = 300

PLAIN = re.compile(r"^(OPTION_|VLLM_|SM_|TENSOR_)|QUANT")
"""Keys of environment variables whose values are kept readable; of others a salted hash."""

SECRET_WORD = re.compile(
    r"(?:^|_)(?:TOKEN|PASS|PWD|KEY|CREDS?|AUTH)(?:_|$)|SECRET|PASSW|CREDENTIAL|(?:API|ACCESS)_?KEY"
)
SECRET_VALUE = re.compile(r"://[^/\s]*@|X-Amz-Signature=|AWSAccessKeyId=", re.IGNORECASE)
"""Addresses that let somebody in."""
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def flat(path: str, value: object, without: Collection[str] = ()) -> dict[str, str]:
    """Every leaf under its path; `without` names keys of the top level to leave out.

    >>> flat("config", {"InstanceType": "ml.g5.xlarge", "Pools": [{"Priority": 1}]})
    {'config.InstanceType': 'ml.g5.xlarge', 'config.Pools[0].Priority': '1'}
    """
    if isinstance(value, Mapping):
        found: dict[str, str] = {}
        for key in sorted(value):
            if key not in without:
                found |= flat(f"{path}.{key}", value[key])
        return found
    if isinstance(value, list | tuple):
        found = {}
        for number, one in enumerate(value):
            found |= flat(f"{path}[{number}]", one)
        return found
    return {} if value is None else {path: text(value)}


def text(value: object) -> str:
    """A leaf for people and for comparing: on one line, and a digest where it is very long."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float):
        return f"{value:g}"
    plain = CONTROL.sub(" ", str(value))
    if len(plain) <= MOST_CHARACTERS:
        return plain
    return f"{plain[:60]}... sha256:{hashlib.sha256(plain.encode()).hexdigest()[:16]}"


def environment(path: str, values: Mapping[str, Any], salt: str) -> dict[str, str]:
    """Environment variables: allow-listed values as they are, all others as salted hashes.

    >>> environment("env", {"OPTION_QUANTIZE": "fp8", "VLLM_API_KEY": "x"}, "s")
    {'env.OPTION_QUANTIZE': 'fp8', 'env.VLLM_API_KEY': 'sha256:b82f3479062865dd'}
    >>> environment("env", {"SM_HUB": "https://me:x@hub", "VLLM_APIKEY": "x"}, "s")
    {'env.SM_HUB': 'sha256:7a81cbe709e68014', 'env.VLLM_APIKEY': 'sha256:b82f3479062865dd'}
    """
    found = {}
    for key in sorted(values):
        secret = SECRET_WORD.search(key.upper()) or SECRET_VALUE.search(str(values[key]))
        safe = PLAIN.search(key) and not secret
        found[f"{path}.{text(key)}"] = text(values[key]) if safe else hashed(str(values[key]), salt)
    return found


def hashed(value: str, salt: str) -> str:
    """Tells equal from different values, and nothing else."""
    return f"sha256:{hashlib.sha256(f'{salt}/{value}'.encode()).hexdigest()[:16]}"
