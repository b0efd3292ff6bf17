"""The bounds of the source, over its syntax trees: sizes, names, docstrings, what is banned.

A bound that fails names the offenders. The lists below are exceptions with their reasons; an
entry that no longer applies fails too, so that they can only shrink.
"""

import ast
import re
import tokenize
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from statistics import median, quantiles

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"
TESTS = ROOT / "tests"

FUNCTION_MEDIAN, FUNCTION_P90, FUNCTION_MAX = 8, 25, 50
FILE_MEDIAN, FILE_MAX = 120, 400
POSITIONAL_MAX = 5

EMPTY_NAMES = {"base", "common", "data", "helper", "helpers", "impl", "info", "manager", "utils"}

CATCHES_ALL = {
    "clarin_core/pool/address_book.py": "names that cannot be read: tells it, and tries later",
    "clarin_core/pool/ears.py": "what cannot be stored must not hold up the rest: it is set aside",
    "clarin_core/pool/lane.py": "an errand whose end nobody knows: tells it, and doubts",
    "clarin_core/pool/pool.py": "the run of a device: tells it, and takes the device again later",
    "clarin_core/reads/feed.py": "the loop that follows the logs: tells whoever logs, looks again",
    "clarin_core/reads/flights.py": "whoever joined a fetch that failed begins one of its own",
    "clarin_redis/event_publisher.py": "the loops that speak and listen: tell it and go on",
    "clarin_redis/link.py": "a call of a Redis that nobody depends on: tells it, and is a miss",
    "clarin_whatsapp/host/__main__.py": "the end of a process: tells it, and exits",
    "clarin_server/http/live.py": "the loops that look after all sockets: log it and go on",
    "clarin_server/http/observing.py": "the last net of a request: logs it and answers 500",
    "clarin_server/http/sockets.py": "the last net of a socket: logs it and closes with 1011",
    "clarin_server/jobs.py": "the loop of a job: logs it, backs off and goes on",
    "clarin_server/supervisor.py": "the loop that has a worker back: logs it and goes on",
}

SUPPRESSIONS = {
    "clarin_core/domain/csv_table.py": 1,
    "clarin_core/testing/contract.py": 1,
    "clarin_embedded/server_files.py": 1,
    "clarin_server/http/app.py": 1,
    "clarin_server/http/openapi.py": 1,
    "clarin_server/http/tries.py": 1,
}
"""How many a file may have. The number may only fall: lower it with the last one that goes."""

IMPURE = {
    "datetime.date.today", "datetime.datetime.now", "datetime.datetime.today",
    "datetime.datetime.utcnow", "logging", "os", "random", "secrets", "socket", "subprocess",
    "threading", "time", "uuid.uuid1", "uuid.uuid4",
}  # fmt: skip
"""Modules, and things in modules, that know more than they are told."""

Function = ast.FunctionDef | ast.AsyncFunctionDef
Documented = ast.ClassDef | Function

_SUPPRESSION = re.compile(r"#\s*(?:noqa|type:\s*ignore|(?:ruff|mypy|pyright):)")
_WITH_CODE_AND_REASON = re.compile(
    r"#\s*(?:noqa:\s*[A-Z]+\d+(?:,\s*[A-Z]+\d+)*|type: ignore\[[\w-]+(?:,\s*[\w-]+)*\])"
    r"\W+(?=\w)(?!noqa|type: ignore).{6,}"
)
_SELECT_ALL = re.compile(r"\b(?:select|returning)\s+(?:distinct\s+)?(?:\w+\.)?\*", re.IGNORECASE)


def test_functions_are_short() -> None:
    """Median, ninth decile and longest body, without docstring, stay within the bounds."""
    sizes = {place: _lines(node) for place, node in _functions() if not _is_promise(node)}
    none(f"{place}: {size} lines" for place, size in sizes.items() if size > FUNCTION_MAX)
    assert median(sizes.values()) <= FUNCTION_MEDIAN
    assert quantiles(sizes.values(), n=10)[8] <= FUNCTION_P90


def test_files_are_short() -> None:
    """Median and longest file stay within the bounds."""
    sizes = {name: len(_text(name).splitlines()) for name in _names()}
    none(f"{name}: {size} lines" for name, size in sizes.items() if size > FILE_MAX)
    assert median(sizes.values()) <= FILE_MEDIAN


def test_files_of_tests_are_short() -> None:
    """So that what is tried of a thing is in one place, and found there."""
    sizes = {path: len(path.read_text().splitlines()) for path in TESTS.rglob("*.py")}
    none(
        f"{path.relative_to(ROOT)}: {size} lines" for path, size in sizes.items() if size > FILE_MAX
    )


def test_functions_take_few_positional_parameters() -> None:
    """More than five are a Struct, or are named by the caller."""
    none(place for place, node in _functions() if _positional(node) > POSITIONAL_MAX)


def test_what_is_public_has_a_docstring() -> None:
    """Modules, classes, functions, methods, and each promise of a port."""
    none(place for place, node in _public() if not ast.get_docstring(node))
    none(name for name in _names() if _text(name) and not ast.get_docstring(_tree(name)))


def test_names_say_what_they_hold() -> None:
    """No module, package or class is named after nothing in particular."""
    none(name for name in _names() if EMPTY_NAMES & set(Path(name).with_suffix("").parts))
    endings = tuple(name.capitalize() for name in EMPTY_NAMES - {"data", "info"})
    classes = (place for place, node in _public() if isinstance(node, ast.ClassDef))
    none(place for place in classes if place.endswith(endings))


def test_errors_are_caught_by_name() -> None:
    """Only the last nets catch everything; a handler that ends in `raise` hides nothing."""
    nets = {name for name in _names() if any(map(_catches_all, ast.walk(_tree(name))))}
    assert nets == CATCHES_ALL.keys()


def test_suppressions_have_a_code_and_a_reason() -> None:
    """A check that is switched off says which one, and why."""
    none(
        f"{path.relative_to(ROOT)}:{line} {comment}"
        for path in [*SOURCE.rglob("*.py"), *TESTS.rglob("*.py")]
        for line, comment in _comments(path)
        if _SUPPRESSION.search(comment) and not _WITH_CODE_AND_REASON.match(comment)
    )


def test_suppressions_only_get_fewer() -> None:
    """The ratchet: a new one needs another to go, and one that went does not come back."""
    found = Counter(
        _short(path)
        for path in SOURCE.rglob("*.py")
        for _, comment in _comments(path)
        for _ in _SUPPRESSION.finditer(comment)
    )
    assert dict(found) == SUPPRESSIONS


def test_nothing_is_printed() -> None:
    """What a program says goes through its log or its console."""
    none(f"{place} {call}" for place, call in _calls() if re.match(r"(pprint\.)?p?print\(", call))


def test_the_core_reads_no_clock_and_rolls_no_dice() -> None:
    """Time, chance and settings come through ports and arguments."""
    none(
        f"{name}:{line} {what}"
        for name in _names("clarin_core")
        if not name.startswith("clarin_core/testing/")
        for line, what in _uses(name)
        if what in IMPURE or what.partition(".")[0] in IMPURE
    )


def test_the_core_waits_for_no_clock() -> None:
    """It may give way to others, but never sleep: `asyncio.sleep(0)` and nothing else."""
    none(
        f"{place} {call}"
        for place, call in _calls("clarin_core")
        if call.partition("(")[0].endswith("sleep") and call != "asyncio.sleep(0)"
    )


def test_only_the_container_knows_the_injector() -> None:
    """An object that asks a container for things hides what it needs."""
    users = {name for name in _names() if "dependency_injector" in _imports(name)}
    assert users == {"clarin_server/container.py"}


def test_statements_name_their_columns() -> None:
    """A new column must not change what a statement returns."""
    files = [*SOURCE.rglob("*.py"), *SOURCE.rglob("*.sql")]
    none(_short(path) for path in files if _SELECT_ALL.search(path.read_text()))


@pytest.mark.parametrize(
    ("comment", "is_enough"),
    [
        ("# noqa", False),
        ("# noqa: S311", False),
        ("# noqa: S311  (no secret)", True),
        ("# ruff: noqa: S311  (no secret)", False),
        ("# type: ignore", False),
        ("# type: ignore  # since it must be", False),
        ("# type: ignore[attr-defined]", False),
        ("# type: ignore[attr-defined]  # noqa: S311", False),
        ("# type: ignore[attr-defined]  # A real attribute.", True),
    ],
)
def test_a_bare_suppression_is_seen(comment: str, is_enough: bool) -> None:
    """The pattern above tells the two kinds apart."""
    assert _SUPPRESSION.match(comment)
    assert bool(_WITH_CODE_AND_REASON.match(comment)) is is_enough


@pytest.mark.parametrize("text", ["select * from", "SELECT l.*", "returning *", "select\n  *"])
def test_a_statement_without_columns_is_seen(text: str) -> None:
    """The pattern above finds it, but no count of rows."""
    assert _SELECT_ALL.search(text)
    assert not _SELECT_ALL.search("select count(*), a * b from t")


def none(offenders: Iterable[str]) -> None:
    """Fail with every offender on a line of its own."""
    found = sorted(offenders)
    assert not found, "\n".join(["", *found])


@cache
def _names(under: str = "") -> list[str]:
    """Return the files as they are imported: `clarin_core/domain/leads.py`."""
    return sorted(name for p in SOURCE.rglob("*.py") if (name := _short(p)).startswith(under))


def _short(path: Path) -> str:
    parts = path.relative_to(SOURCE).parts
    return "/".join(parts[1:] if parts[0] in ("adapters", "entrypoints") else parts)


def _path(name: str) -> Path:
    roots = (SOURCE, SOURCE / "adapters", SOURCE / "entrypoints")
    return next(root / name for root in roots if (root / name).exists())


@cache
def _text(name: str) -> str:
    return _path(name).read_text()


@cache
def _tree(name: str) -> ast.Module:
    return ast.parse(_text(name), name)


def _functions() -> Iterator[tuple[str, Function]]:
    """Yield every function with its place, nested ones included."""
    for name in _names():
        for node in ast.walk(_tree(name)):
            if isinstance(node, Function):
                yield f"{name}:{node.lineno} {node.name}", node


def _calls(under: str = "") -> Iterator[tuple[str, str]]:
    """Yield every call as it is written, with its place."""
    for name in _names(under):
        for node in ast.walk(_tree(name)):
            if isinstance(node, ast.Call):
                yield f"{name}:{node.lineno}", ast.unparse(node)


def _uses(name: str) -> Iterator[tuple[int, str]]:
    """Yield what a file imports, and what it takes out of that, by its full name."""
    known: dict[str, str] = {}
    for node in ast.walk(_tree(name)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            for alias in node.names:
                known[alias.asname or alias.name] = module + alias.name
                yield node.lineno, module + alias.name
    for node in ast.walk(_tree(name)):
        if isinstance(node, ast.Attribute):
            first, _, rest = ast.unparse(node).partition(".")
            yield node.lineno, f"{known.get(first, first)}.{rest}"


def _public() -> Iterator[tuple[str, Documented]]:
    """Yield classes and functions that others may use, and the methods of public classes."""
    for name in _names():
        yield from _public_in(_tree(name), name)


def _public_in(parent: ast.Module | ast.ClassDef, name: str) -> Iterator[tuple[str, Documented]]:
    for node in parent.body:
        if isinstance(node, Documented) and not node.name.startswith("_"):
            yield f"{name}:{node.lineno} {node.name}", node
            if isinstance(node, ast.ClassDef):
                yield from _public_in(node, name)


def _body(node: Function) -> list[ast.stmt]:
    return node.body[1:] if ast.get_docstring(node) is not None else node.body


def _is_promise(node: Function) -> bool:
    """Whether it says what others do: nothing but a docstring and dots."""
    return all(isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant) for s in node.body)


def _lines(node: Function) -> int:
    body = _body(node)
    return (node.end_lineno or 0) - body[0].lineno + 1 if body else 0


def _positional(node: Function) -> int:
    names = [arg.arg for arg in node.args.posonlyargs + node.args.args]
    return len(names) - (names[:1] in (["self"], ["cls"]))


def _catches_all(node: ast.AST) -> bool:
    """Whether it goes on after any error: `except Exception`, or `suppress(Exception)`."""
    if isinstance(node, ast.Call):
        return bool(re.match(r"(contextlib\.)?suppress\(.*\b(Base)?Exception\b", ast.unparse(node)))
    if not isinstance(node, ast.ExceptHandler):
        return False
    caught = ast.unparse(node.type) if node.type else "BaseException"
    last = node.body[-1]
    passes_on = isinstance(last, ast.Raise) and last.exc is None
    return bool(re.search(r"\b(Base)?Exception\b", caught)) and not passes_on


def _imports(name: str) -> set[str]:
    """Return the top-level modules that a file imports, anywhere in it."""
    nodes = list(ast.walk(_tree(name)))
    plain = (alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names)
    named = (node.module or "" for node in nodes if isinstance(node, ast.ImportFrom))
    return {module.partition(".")[0] for module in (*plain, *named)}


def _comments(path: Path) -> Iterator[tuple[int, str]]:
    with path.open("rb") as source:
        for token in tokenize.tokenize(source.readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string
