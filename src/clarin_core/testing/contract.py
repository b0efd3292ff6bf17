"""One loop and one open adapter for each class of laws, and a fresh account for each example.

A law is an `async def` method under `@law(...)`. It gets a fresh `Tenant` and one value for
each strategy; what else it asks for comes from pytest. Nothing here needs a plugin, a
configuration or an asyncio mode.
"""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager
from enum import Enum
from inspect import Parameter, Signature, signature
from typing import Any, ClassVar, Concatenate, ParamSpec, Protocol, TypeVar, runtime_checkable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import SearchStrategy

from clarin_core.ports.storage import Storage
from clarin_core.testing.publisher import RecordingPublisher
from clarin_core.testing.tenants import Tenant, settle

_SELF_AND_TENANT = 2

C = TypeVar("C", bound="Contract")
P = ParamSpec("P")
T = TypeVar("T")


class Capability(Enum):
    """What an adapter may do without, if its author says so and why."""

    ANNOUNCING = "announcing commits to a publisher"
    COUNTING = "counting its statements"
    SEARCHING = "searching without regard to case and accents"


@runtime_checkable
class CountsStatements(Protocol):
    """An adapter that knows how many statements it has sent to its store so far."""

    def statements_run(self) -> int:
        """Return the number of statements since it was opened."""
        ...


class Contract:
    """How to open the adapter, what it lacks, and how hard to try."""

    lacks: ClassVar[Mapping[Capability, str]] = {}
    """What the adapter cannot do, each with the reason. Only the laws that need it are left out,
    and the run says so; a law that nobody excused always runs."""

    examples: ClassVar[int] = 25
    """Generated examples a law."""

    settings: ClassVar[settings] = settings(
        deadline=None,
        derandomize=False,
        print_blob=True,
        report_multiple_bugs=False,
        suppress_health_check=[HealthCheck.too_slow],
    )
    """How Hypothesis searches; `examples` counts above its `max_examples`."""

    patience_s: ClassVar[float] = 60.0
    """How long an example may take: a lock that is never given back must not hang the run."""

    publisher: ClassVar[RecordingPublisher]
    """There before `open` is called: hand it to the adapter, or declare ANNOUNCING as lacking."""

    storage: ClassVar[Storage]
    """The open adapter."""

    _runner: ClassVar[asyncio.Runner]

    @classmethod
    def open(cls) -> AbstractAsyncContextManager[Storage]:
        """Return the adapter over a store that nobody else uses meanwhile; called once a class.

        The store may hold rows already: every law works in accounts of its own. It is not to
        be shared with another run, though, because `Storage.purge` reaches every account.
        """
        raise NotImplementedError(f"{cls.__name__} does not say how to open its storage")

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[None]:
        """Keep the adapter open on a loop of its own; pytest does it by itself."""
        cls.publisher = RecordingPublisher()
        with asyncio.Runner() as cls._runner:
            stack = AsyncExitStack()
            cls.storage = cls._runner.run(stack.enter_async_context(cls.open()))
            try:
                yield
            finally:
                cls._runner.run(stack.aclose())

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _opened(cls, request: pytest.FixtureRequest) -> Iterator[None]:
        with cls.running():
            for capability, reason in cls.lacking().items():
                _print(request.config, f"\n{cls.__name__} lacks {capability.value}: {reason}")
            yield

    @classmethod
    def lacking(cls) -> Mapping[Capability, str]:
        """Return what the open adapter lacks: as declared, or as it shows by itself."""
        if isinstance(cls.storage, CountsStatements):
            return cls.lacks
        return {Capability.COUNTING: "there is no statements_run()", **cls.lacks}

    def run(self, story: Awaitable[T]) -> T:
        """Run a story on the loop of the class and return what it returns."""

        async def patiently() -> T:
            async with asyncio.timeout(self.patience_s):
                return await story

        return self._runner.run(patiently())

    def prove(
        self,
        story: Callable[..., Awaitable[None]],
        drawn: Mapping[str, SearchStrategy[Any]],
        given_values: Mapping[str, Any],
    ) -> None:
        """Run `story` with a fresh account for each example; once when nothing is drawn."""

        @functools.wraps(story)  # Hypothesis keeps failures by the source of the story.
        def example(**values: object) -> None:
            account = self.run(settle(self.storage))
            self.run(story(self, account, **given_values, **values))

        _ask_for(example, [Parameter(name, Parameter.KEYWORD_ONLY) for name in drawn])
        if drawn:
            with_examples = settings(self.settings, max_examples=self.examples)
            with_examples(given(**drawn)(example))()
        else:
            example()


def law(
    *, needs: Capability | None = None, **drawn: SearchStrategy[Any]
) -> Callable[[Callable[Concatenate[C, Tenant, P], Awaitable[None]]], Callable[..., None]]:
    """Make a law of `async def (self, account, …)`: `drawn` values by name, the rest by pytest."""

    def bind(story: Callable[Concatenate[C, Tenant, P], Awaitable[None]]) -> Callable[..., None]:
        parameters = list(signature(story).parameters.values())
        asked = [p for p in parameters[_SELF_AND_TENANT:] if p.name not in drawn]

        @functools.wraps(story)
        def test(self: C, **from_pytest: object) -> None:
            if needs is not None and needs in self.lacking():
                pytest.skip(f"lacks {needs.value}: {self.lacking()[needs]}")
            self.prove(story, drawn, from_pytest)

        _ask_for(test, [parameters[0], *asked])
        return test

    return bind


def _ask_for(function: Callable[..., None], parameters: list[Parameter]) -> None:
    """Set what pytest and Hypothesis take for the function's parameters."""
    function.__signature__ = Signature(parameters)  # type: ignore[attr-defined]  # PEP 362 has it.


def _print(config: pytest.Config, line: str) -> None:
    """Write a line where people see it; a worker of pytest-xdist has no such place."""
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    capture = config.pluginmanager.get_plugin("capturemanager")
    if terminal is not None and capture is not None:
        with capture.global_and_fixture_disabled():
            terminal.write_line(line)
