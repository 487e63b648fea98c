"""What kind of change a differing fact is; None: a covariate that may matter and optimizes nothing.

Source: nibai's aws.md, section 9.
"""

from __future__ import annotations

import re

from nibai.model import ChangeKind

K = ChangeKind

RULES: tuple[tuple[str, ChangeKind | None], ...] = (
    (r"\.InstancePools\[\d+\]\.(ModelNameOverride)", K.WEIGHTS),
    (r"\.InstancePools\[\d+\]\.InstanceType$", K.INSTANCE_TYPE),
    (r"^(config|component)\.InstanceType$", K.INSTANCE_TYPE),
    (r"^config\.AcceleratorType$", K.INSTANCE_TYPE),
    (r"\.NumberOf(AcceleratorDevices|CpuCores)Required$", K.INSTANCE_TYPE),
    (r"^config\.InferenceAmiVersion$", K.DRIVER),
    (r"AcceleratorPartition", K.MIG),
    (r"^config\.RoutingConfig\.", K.ROUTING),
    (r"^config\.ServerlessConfig\.MemorySizeInMB$", K.SERVERLESS_MEMORY),
    (r"^image\[", K.CONTAINER),
    (r"^image_tag\[", None),
    (r"^component\.BaseInferenceComponentName$", K.ADAPTER),
    (r"\.listed$", None),
    (r"\.AdditionalModelDataSources", K.SPECULATIVE_DECODING),
    (r"^artifact\.", K.WEIGHTS),
    (r"^model\[\d+\]\.(ModelDataUrl|ModelDataSource|ModelPackageName|InferenceSpec)", K.WEIGHTS),
    (r"^model\[\d+\]\.env\..*(QUANT|DTYPE|PRECISION|LOAD_IN_[48]BIT)", K.PRECISION),
    (r"^model\[\d+\]\.env\..*(SPECULAT|DRAFT|EAGLE|MEDUSA)", K.SPECULATIVE_DECODING),
    (r"^model\[\d+\]\.env\..*(COMPIL|NEURON_CC|INDUCTOR|ENFORCE_EAGER)", K.COMPILATION),
    (r"^model\[\d+\]\.env\.(\w+_)?MODEL(_ID|_NAME|_PATH)?$", K.WEIGHTS),
    (r"^model\[\d+\]\.env\.", K.ENV),
    (r"^model\[\d+\]\.(Mode|MultiModelConfig)", K.ENV),
    (r"Instance(Count|Pools)|Weight$|Scaling\.|CapacityReservation|Concurrency$", K.CAPACITY),
    (r"CopyCount|MemoryRequiredInMb$|SchedulingConfig|VolumeSizeInGB$", K.CAPACITY),
)

ANSWER_TYPES = (
    (re.compile(r"int4|awq|gptq|nf4|4-?bit|w4a", re.IGNORECASE), "int4"),
    (re.compile(r"int8|smoothquant|8-?bit|w8a8", re.IGNORECASE), "int8"),
    (re.compile(r"fp8|float8|e4m3|e5m2", re.IGNORECASE), "fp8"),
    (re.compile(r"bf16|bfloat16", re.IGNORECASE), "bf16"),
    (re.compile(r"fp16|float16|half", re.IGNORECASE), "fp16"),
)

_COMPILED = tuple((re.compile(rule), kind) for rule, kind in RULES)


def kind_of(path: str) -> ChangeKind | None:
    """The kind of a fact; capacity is one, an unknown fact is none.

    >>> kind_of("config.InferenceAmiVersion"), kind_of("model[0].env.OPTION_QUANTIZE")
    (<ChangeKind.DRIVER: 'driver'>, <ChangeKind.PRECISION: 'precision'>)
    """
    return next((kind for rule, kind in _COMPILED if rule.search(path)), None)


def precision_type(value: str) -> str | None:
    """The type of number that a setting names, as claims about answers know it.

    >>> precision_type("awq"), precision_type("fp8"), precision_type("auto")
    ('int4', 'fp8', None)
    """
    return next((name for rule, name in ANSWER_TYPES if rule.search(value)), None)
