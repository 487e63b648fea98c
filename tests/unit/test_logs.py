"""Log lines: JSON, one a line, with their trace, and without any secret of the configuration."""

import io
import json
import logging
import os
import sys
import threading
import typing
import warnings

import pytest
from opentelemetry.sdk.trace import TracerProvider
from pydantic import BaseModel

from nibai.app.onwatch.logs import JsonLines, log_as_json
from nibai.config import Config, SecretReference, resolve_secret
from nibai.redaction import hide_password, redacted


def line(message, *arguments, error=None):
    info = None if error is None else (type(error), error, error.__traceback__)
    record = logging.LogRecord("nibai.x", logging.ERROR, "f", 1, message, arguments, info)
    return JsonLines().format(record)


def secret_fields(model, place=""):
    """Every field of the configuration that refers to a secret."""
    for name, field in model.model_fields.items():
        here = f"{place}.{name}".lstrip(".")
        if SecretReference.__metadata__[0] in (*field.metadata, *_metadata(field.annotation)):
            yield here
        for part in _parts(field.annotation):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from secret_fields(part, here)


def _parts(kind):
    inner = typing.get_args(kind)
    return [kind] if not inner else [one for part in inner for one in _parts(part)]


def _metadata(kind):
    inner = [one for part in typing.get_args(kind) for one in _metadata(part)]
    return [*getattr(kind, "__metadata__", ()), *inner]


FIELDS = sorted(set(secret_fields(Config)))


def test_the_fields_that_refer_to_secrets_are_found():
    assert {"otlp.token", "web.token", "telemetry.token", "grafana.token", "prometheus.token"} <= {
        *FIELDS
    }


@pytest.mark.parametrize("field", FIELDS)
def test_no_secret_of_any_field_reaches_the_log(field):
    secret = f"s3cret/of+{field}=="
    resolve_secret(f"env:{field}", {field: secret})
    error = ValueError(f"refused: Bearer {secret}")
    said = line("POST https://x/?key=%s failed: %s", secret, error, error=error)
    assert secret not in said
    assert "Bearer [secret]" in said
    assert len(said.splitlines()) == 1
    quoted = "s3cret%2Fof%2B" + field + "%3D%3D"
    assert quoted not in line(f"GET /?token={quoted}")


def test_secrets_of_files_and_the_password_of_the_state_are_left_out_too(tmp_path):
    (tmp_path / "token").write_text("of-a-file-4711\n")
    resolve_secret(f"file:{tmp_path / 'token'}", {})
    hide_password("postgresql://nibai:pass-word-1@db/nibai")
    assert redacted("of-a-file-4711, pass-word-1, db") == "[secret], [secret], db"
    hide_password(None)
    hide_password("http://[broken")
    assert redacted("broken") == "broken"


def test_a_line_is_one_object_whatever_the_text_holds():
    found = json.loads(line('two\nlines and a "quote" %s', "\u2028"))
    assert found["message"] == 'two\nlines and a "quote" \u2028'
    assert (found["level"], found["logger"]) == ("error", "nibai.x")
    assert "trace_id" not in found


def test_a_line_names_the_trace_it_belongs_to():
    with TracerProvider().get_tracer("x").start_as_current_span("fold") as span:
        found = json.loads(line("folded"))
    assert int(found["trace_id"], 16) == span.get_span_context().trace_id
    assert int(found["span_id"], 16) == span.get_span_context().span_id


def test_what_other_libraries_say_by_themselves_comes_in_the_same_form(monkeypatch):
    monkeypatch.delenv("GRPC_VERBOSITY", raising=False)
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    root = logging.getLogger()
    before, level = root.handlers, root.level
    try:
        log_as_json()
        warnings.simplefilter("always")
        warnings.warn("of a library", stacklevel=1)
    finally:
        logging.captureWarnings(capture=False)
        root.handlers = before
        root.setLevel(level)
    (line,) = written.getvalue().splitlines()
    assert "of a library" in json.loads(line)["message"]
    assert os.environ["GRPC_VERBOSITY"] == "NONE"


def test_a_thread_that_ends_unexpectedly_is_logged_like_everything_else(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    for hooked in ((threading, "excepthook"), (sys, "unraisablehook")):
        monkeypatch.setattr(*hooked, getattr(*hooked))
    before, level = logging.root.handlers, logging.root.level
    try:
        log_as_json()
        thread = threading.Thread(target=_fails, name="fold")
        thread.start()
        thread.join()
    finally:
        logging.root.handlers = before
        logging.root.setLevel(level)
        logging.captureWarnings(capture=False)
    said = json.loads(stream.getvalue())
    assert said["message"] == "thread fold ended unexpectedly"
    assert "https://me:[secret]@host" in said["error"]


def _fails():
    raise ValueError("https://me:hunter2@host")
