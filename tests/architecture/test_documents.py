"""What the documents say is so: programs run, commands exist, diffs are in the tree, links lead on.

The blocks of a document that are marked `python` are one program, in the order in which they
stand. It may await outside of functions, as in `python -m asyncio`; where it has test classes,
pytest runs it. A block marked `python red` is what the document says is wrong: put behind the
program, it must fail in the tests that the document's `FAILED` lines name, and only it.
"""

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from pkgutil import resolve_name

import pytest
from typer.testing import CliRunner

from clarin_server.http.openapi import document

ROOT = Path(__file__).parents[2]
SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
DOCUMENTS = {
    path.relative_to(ROOT).as_posix(): path.read_text()
    for path in [*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md"))]
}

_BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FAILED = re.compile(r"^FAILED \S*::(\w+::\w+)", re.MULTILINE)
_LINK = re.compile(r"\]\((?![a-z]+:)([^)#\s]*)#?([^)\s]*)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_MAKE = re.compile(r"(?:^|[;&|] *)make ((?:[a-z-]+ ?)*)")
_INSTALLED = re.compile(r"\.venv/bin/([\w-]+)")
_CLARIN = re.compile(r"(?:^|[;&|] *|bin/)clarin\b((?: +[^\s;&|)]+)*)")
_REQUEST = re.compile(r"(?:\$URL|https?://[\w.]+:\d+)(/(?:[\w-]|/|\$)+)")
_METHOD = re.compile(r" -X ([A-Z]+)")
_SENDS = re.compile(r" -[dF] ")
_HUNK = re.compile(r"^@@.*\n", re.MULTILINE)


def marked(mark: str) -> list[str]:
    """Return the documents that have blocks with a mark."""
    return [name for name in DOCUMENTS if any(blocks(name, mark))]


def blocks(name: str, mark: str) -> Iterator[str]:
    """Yield the texts of a document's blocks with a mark."""
    for found, text in _BLOCK.findall(DOCUMENTS[name]):
        if found.strip() == mark:
            yield text


def test_the_documents_are_here() -> None:
    """What a newcomer is sent to exists, and has what the checks below look at."""
    assert {"README.md", "docs/library.md", "docs/write-an-adapter.md"} <= set(marked("python"))
    assert "docs/add-an-endpoint.md" in marked("diff")
    assert "docs/architecture.md" in DOCUMENTS


def test_blocks_say_what_they_are() -> None:
    """A block with another mark would be left out by the checks without a word."""
    known = {"console", "diff", "mermaid", "python", "python red", "sql", "text", "toml"}
    marks = {mark for text in DOCUMENTS.values() for mark, _ in _BLOCK.findall(text)}
    assert marks - known == set()


@pytest.mark.parametrize("name", marked("python"))
def test_programs_run(name: str, tmp_path: Path) -> None:
    """Every block, one after the other, without a warning."""
    done = run("\n".join(blocks(name, "python")), tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", marked("python red"))
def test_what_is_said_to_fail_fails(name: str, tmp_path: Path) -> None:
    """The mistake that a document shows is found by the tests that it says."""
    program = "\n".join([*blocks(name, "python"), *blocks(name, "python red")])
    said = {test for text in blocks(name, "text") for test in _FAILED.findall(text)}
    done = run(program, tmp_path, "-k", " or ".join(test.partition("::")[2] for test in said))
    assert said
    assert set(_FAILED.findall(done.stdout)) == said, done.stdout + done.stderr


@pytest.mark.parametrize("name", marked("diff"))
def test_diffs_are_in_the_tree(name: str) -> None:
    """What a diff leads to is found in our files, line by line."""
    for diff in blocks(name, "diff"):
        heading, *hunks = _HUNK.split(diff)
        path = re.search(r"^\+\+\+ b/(\S+)$", heading, re.MULTILINE)
        assert path
        assert hunks
        text = (ROOT / path[1]).read_text()
        for hunk in hunks:
            kept = [line[1:] for line in hunk.splitlines() if not line.startswith("-")]
            assert "\n".join(kept) in text, f"{path[1]} has no\n{hunk}"


@pytest.mark.parametrize("name", marked("console"))
def test_commands_exist(name: str) -> None:
    """Each target, each installed command, each command and option of `clarin`."""
    for command in commands(name):
        for targets in _MAKE.findall(command):
            assert set(targets.split()) <= TARGETS, command
        for script in _INSTALLED.findall(command):
            assert script in SCRIPTS or script in entry_points(group="console_scripts").names
        for arguments in _CLARIN.findall(command):
            words = re.sub(r"[\"'`].*", "", arguments).split()
            plain = [word for word in words if not word.startswith("-")]
            command_words = plain[: 2 if plain[:1] == ["kommo"] else 1]
            assert options(command_words) >= {word.partition("=")[0] for word in words} - {*plain}


@pytest.mark.parametrize("name", marked("console"))
def test_requests_are_operations(name: str) -> None:
    """Each request of `curl` has the method and the path of an operation."""
    known = {
        (method.upper(), re.sub(r"{\w+}", "{}", path))
        for path, methods in document()["paths"].items()
        for method in methods
    }
    for command in commands(name):
        named = _METHOD.search(command)
        method = named[1] if named else "POST" if _SENDS.search(command) else "GET"
        for path in _REQUEST.findall(command):
            assert (method, re.sub(r"\$\w+|\b\d+\b", "{}", path)) in known, command


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name: str) -> None:
    """Every relative link names a file that exists, and a heading in it if it names one."""
    text = _BLOCK.sub("", DOCUMENTS[name])
    for path, part in _LINK.findall(text):
        target = (ROOT / name).parent / path if path else ROOT / name
        assert target.exists(), path
        assert not part or part in anchors(target.read_text()), f"{path}#{part}"


def run(program: str, folder: Path, *selected: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a folder of its own: by pytest, as a session, or as a file."""
    path = folder / "test_document.py"
    path.write_text(program)
    if re.search(r"^class Test", program, re.MULTILINE):
        quietly = ("-q", "-W", "error", "-p", "no:cacheprovider")
        return python(folder, "-m", "pytest", *quietly, *selected, path)
    if not is_session(program):
        return python(folder, "-W", "error", path)
    done = python(folder, "-W", "error", "-m", "asyncio", typed=program)
    done.returncode = int("Error" in done.stderr)  # A session goes on after an error.
    return done


def python(
    folder: Path, *arguments: str | Path, typed: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the interpreter in `folder`, as nobody's child."""
    ours = ("PYTEST_", "COV_")
    return subprocess.run(
        [sys.executable, *arguments],
        check=False,
        capture_output=True,
        text=True,
        input=typed,
        cwd=folder,
        env={name: value for name, value in os.environ.items() if not name.startswith(ours)},
    )


def is_session(program: str) -> bool:
    """Whether it awaits outside of functions, which only a session may."""
    try:
        compile(program, "document", "exec")
    except SyntaxError:
        return True
    return False


def commands(name: str) -> Iterator[str]:
    """Yield what a reader is told to type, continued lines joined."""
    for text in blocks(name, "console"):
        for line in text.replace("\\\n", " ").splitlines():
            if line.startswith("$ "):
                yield line.removeprefix("$ ")


def options(words: list[str]) -> set[str]:
    """Return the options of a command of `clarin`; fails when there is no such command."""
    plain = {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}
    done = CliRunner().invoke(resolve_name(SCRIPTS["clarin"]), [*words, "--help"], env=plain)
    assert done.exit_code == 0, done.output
    return {"--help", *re.findall(r"(?<!\S)--?[a-z][\w-]*", done.output)}


def anchors(text: str) -> set[str]:
    """Return the names under which the headings of a document are linked."""
    headings = _HEADING.findall(_BLOCK.sub("", text))
    return {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in headings}
