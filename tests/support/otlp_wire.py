"""Spans as bytes, sound, odd and damaged, from a seeded generator of random numbers."""

from opentelemetry.proto.common.v1.common_pb2 import KeyValue

KEYS = (
    "nibai.segment", "nibai.variant", "nibai.metric", "http.response.status_code", "error.type",
    "gen_ai.operation.name", "other", "http.route", "x" * 127, "x" * 128, "", "a", "nibai.variant ",
    "nibai.request_id", "nibai.prediction.label", "nibai.prediction.score",
)  # fmt: skip
TEXTS = ("", "a", "POST", "tokens=long", "y" * 126, "z" * 300, "ü", "w" * 20_000)
STATUSES = (b"", b"\x18\x01", b"\x18\x02", b"\x12\x04oops\x18\x02", b"\x18\x82\0", b"\x18\2\x18\0")
BAD = (b"\x18\x80", b"\x18", b"\xff")
ENDS = (b"\x63", b"\0\0", b"\x38\x01", b"\x39", b"\x0f\1", b"\xff" * 11, b"\x85\x02four")


def varint(number, dice=None):
    """A number; with `dice` sometimes longer than it need be."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    if dice is not None and dice.random() < 0.004:
        out[-1] |= 0x80
        out += bytes([0x80] * dice.randrange(3)) + b"\0"
    return bytes(out)


RARE = (*(b"",) * 20, b"\x63\x64", varint(50 << 3) + b"\5")


def field(number, kind, value, dice):
    """One field; `kind` is its wire type."""
    tag = varint(number << 3 | kind, dice)
    return tag + (varint(len(value), dice) + value if kind == 2 else value)


def attribute(dice):
    """A KeyValue, with values of all kinds, or without one, or not one at all."""
    if dice.random() < 0.003:
        return dice.randbytes(dice.randrange(40))
    one = KeyValue(key=dice.choice(KEYS))
    kind = dice.randrange(8)
    if kind < 4:
        one.value.string_value = dice.choice(TEXTS[:5] if dice.random() < 0.95 else TEXTS)
    elif kind == 4:
        one.value.int_value = dice.choice((0, 1, 200, 504, -1, 2**40))
    elif kind == 5:
        one.value.double_value = dice.choice((0.5, float("nan")))
    elif kind == 6:
        one.value.array_value.values.add(double_value=0.5)
        one.value.array_value.values.add(bool_value=True)
    raw = one.SerializeToString()
    if dice.random() < 0.05:  # the value first
        raw = raw[2 + len(one.key.encode()) :] + raw[: 2 + len(one.key.encode())]
    return raw


def span(dice):
    """The bytes of a span, its fields mostly in the order of exporters."""
    fields = [
        field(1, 2, dice.randbytes(16), dice), field(2, 2, dice.randbytes(8), dice),
        field(4, 2, b"p" * dice.choice((0, 8)), dice),
        field(5, 2, dice.choice(TEXTS if dice.random() < 0.1 else TEXTS[:-1]).encode(), dice),
        field(6, 0, varint(dice.choice((0, 1, 1, 2, 2, 2, 2, 2, 2, 3, 3, 5, 5, 200)), dice), dice),
        field(7, 1, dice.randbytes(8), dice), field(8, 1, dice.randbytes(8), dice),
        *(field(9, 2, attribute(dice), dice) for _ in range(dice.choice((0, 2, 3, 6)))),
        field(10, 0, varint(dice.choice((0, 1, 9, 9, 9, 9, 9, 300)), dice), dice),
        field(11, 2, dice.randbytes(dice.choice((0, 5, 200))), dice),
        dice.choice((field(14, 0, b"\5", dice), field(14, 5, b"four", dice))),
        field(15, 2, dice.choice(BAD if dice.random() < 0.005 else STATUSES), dice),
        field(16, 5, dice.randbytes(4), dice),
        dice.choice(ENDS if dice.random() < 0.01 else RARE),
    ]  # fmt: skip
    if dice.random() < 0.5:
        fields = [one for one in fields if dice.random() < 0.8]
    if dice.random() < 0.1:
        dice.shuffle(fields)
    if dice.random() < 0.03:
        fields *= 9  # more fields than are read in step
    raw = bytearray(b"".join(fields))
    if raw and dice.random() < 0.01:
        raw[dice.randrange(len(raw))] = dice.randrange(256)
    if dice.random() < 0.01:
        del raw[dice.randrange(len(raw) + 1) :]
    return bytes(raw)
