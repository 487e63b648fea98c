"""What the renderer cannot draw must not reach it: it ends the whole process."""

import pytest

from dashboards.theme import png, svg

SIGNS = ["\x1b[31m", "\x00", "\ud83d", "\uffff", "\x85"]


@pytest.mark.parametrize("sign", SIGNS)
def test_names_from_outside_are_drawn_whatever_signs_they_hold(sign):
    name = f"tenant {sign} <b>&"
    spec = {
        "title": name,
        "data": {"values": [{name: name, "x": 1.0}]},
        "mark": "bar",
        "encoding": {"y": {"field": "y", "type": "nominal"}, "x": {"field": "x"}},
    }
    drawing = svg(spec, 300)
    assert sign not in drawing
    assert "tenant " in drawing
    assert png(spec).startswith(b"\x89PNG")
