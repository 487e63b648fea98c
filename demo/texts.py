"""Real texts: the docstrings of this Python's standard library, read with `ast`, never imported."""

from __future__ import annotations

import ast
import random
import sysconfig
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nibai.errors import UsageError

# Module family -> top-level modules; what this Python lacks is skipped.
FAMILIES = {
    "network": "asyncio email ftplib html http imaplib mailbox poplib smtplib socket socketserver "
    "ssl telnetlib urllib webbrowser wsgiref xmlrpc nntplib ipaddress",
    "gui": "tkinter turtle turtledemo idlelib curses cmd",
    "concurrency": "concurrent multiprocessing queue sched selectors signal subprocess threading",
    "numbers": "decimal fractions numbers random statistics _pydecimal cmath",
    "files": "bz2 fileinput filecmp glob gzip io _pyio lzma os pathlib shutil stat tarfile "
    "tempfile zipfile ntpath posixpath fnmatch",
    "language": "ast abc code codeop compileall dis inspect keyword lib2to3 opcode symtable token "
    "tokenize types typing dataclasses contextlib functools enum",
    "imports": "importlib imp modulefinder pkgutil runpy zipimport zipapp venv ensurepip site",
    "text": "codecs difflib encodings gettext locale pprint re sre_parse string stringprep "
    "textwrap unicodedata argparse optparse getopt",
    "time": "calendar datetime _pydatetime _strptime timeit zoneinfo",
    "testing": "bdb cProfile doctest faulthandler pdb profile pstats pydoc trace traceback "
    "tracemalloc unittest warnings logging",
    "data": "base64 collections configparser copy csv dbm heapq json pickle pickletools plistlib "
    "shelve sqlite3 struct xml weakref",
}
SKIPPED_FOLDERS = {"test", "tests", "idle_test", "site-packages", "__pycache__"}
MIN_WORDS = 3
TRAINING = 1500

SEGMENTS: dict[str, tuple[int, int]] = {"short": (1, 24), "medium": (28, 64), "long": (110, 9999)}
"""Tokens from and to, both included."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """Texts to train the head on, and texts to send by segment; none is in both.

    `truth` has the family of every text that is sent.
    """

    training: tuple[tuple[str, str], ...]
    segments: dict[str, tuple[str, ...]]
    classes: dict[str, int]
    truth: dict[str, str]


def collect(tokens: Callable[[Sequence[str]], list[int]], seed: int) -> Corpus:
    """The corpus of this Python; UsageError when its sources are not installed."""
    docstrings = _docstrings(Path(sysconfig.get_paths()["stdlib"]))
    lines = {text.splitlines()[0].strip(): label for text, label in docstrings.items()}
    lines = {line: label for line, label in lines.items() if len(line.split()) >= MIN_WORDS}
    if len(lines) < 2 * TRAINING:
        raise UsageError(
            f"this Python's standard library has only {len(lines)} docstrings: "
            "install its sources (they are part of a normal installation)"
        )
    order = sorted(lines)
    random.Random(seed).shuffle(order)  # noqa: S311 - a reproducible choice of texts
    training = tuple((line, lines[line]) for line in order[:TRAINING])
    taken = {line for line, _ in training}
    candidates = order[TRAINING:]
    bodies = [text for text in docstrings if text.splitlines()[0].strip() not in taken]
    texts = list(dict.fromkeys([*candidates, *bodies]))
    sizes = tokens(texts)
    segments = {
        name: tuple(text for text, size in zip(texts, sizes, strict=True) if low <= size <= high)
        for name, (low, high) in SEGMENTS.items()
    }
    counts = dict.fromkeys(FAMILIES, 0)
    for _, label in training:
        counts[label] += 1
    classes = {label: n for label, n in counts.items() if n}
    truth = {text: lines.get(text) or docstrings[text] for text in texts}
    return Corpus(training, segments, classes, truth)


def _docstrings(root: Path) -> dict[str, str]:
    """Distinct docstrings of three words or more -> family."""
    found: dict[str, str] = {}
    for family, modules in FAMILIES.items():
        for module in modules.split():
            for path in _sources(root, module):
                for text in _of_file(path):
                    found.setdefault(text, family)
    return found


def _sources(root: Path, module: str) -> list[Path]:
    single = root / f"{module}.py"
    if single.exists():
        return [single]
    return [
        path
        for path in sorted((root / module).rglob("*.py"))
        if not SKIPPED_FOLDERS & set(path.relative_to(root).parts)
    ]


def _of_file(path: Path) -> list[str]:
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return []  # lib2to3 ships broken samples
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    texts = [ast.get_docstring(node) or "" for node in _statements(tree) if isinstance(node, kinds)]
    return [text.strip() for text in texts if len(text.split()) >= MIN_WORDS]


def _statements(tree: ast.Module) -> list[ast.AST]:
    """The module and every statement in it, level by level.

    Docstrings stand in no expression, and not walking those takes a third of the time.
    """
    found: list[ast.AST] = [tree]
    for node in found:
        for name in ("body", "handlers", "orelse", "finalbody", "cases"):
            inner = getattr(node, name, ())
            found += inner if isinstance(inner, list) else ()
    return found
