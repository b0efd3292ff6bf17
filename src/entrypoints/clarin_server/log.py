"""Logs: one line an outcome, for people or for machines, and never a secret in it (R26).

Fields pass by an allow-list, so that a new one is kept back until somebody has thought about
it. Texts that come from elsewhere, such as a library's message or an exception's, cannot be
listed; what looks like a credential, an address with a password or a telephone is blotted out
of them.
"""

import logging
import re
import sys
import threading
from datetime import datetime
from types import TracebackType

import structlog
from structlog.typing import EventDict, Processor

from clarin_core.domain.ids import AccountId
from clarin_core.errors import ClarinError
from clarin_server.settings import Settings

_WITHHELD = "(withheld)"
_KNOWN = frozenset({
    "account_id", "attempt", "bytes", "code", "component", "count", "device_id", "duration_ms",
    "event", "exc_info", "exception", "frames", "host", "import_id", "job", "lead_id", "level",
    "method", "outcome", "port", "reason", "request_id", "route", "rows", "seq", "session_id",
    "status", "timestamp", "user_id", "version", "worker",
})  # fmt: skip
_BLOTS = (
    (re.compile(r"eyJ[\w-]{8,}\.[\w-]+\.[\w-]*"), "(token)"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{6,}"), r"\1 (token)"),
    (re.compile(r"\$argon2\w*\$\S+"), "(password hash)"),
    (re.compile(r"(?i)(\w+://[^\s:/@]*):[^\s@]+@"), r"\1:(password)@"),
    (
        re.compile(
            r"(?i)([\"']?\b\w*(?:password|passwd|secret|token|ticket|authorization|api_?key|phone)"
            r"\w*[\"')]?\s*[:=]\s*)(\"[^\"]*\"|'[^']*'|\([^)]*\)|[^\s,;&)}]+)"
        ),
        rf"\1{_WITHHELD}",
    ),
    (re.compile(r"\+\d[\d ()-]{6,18}\d|(?<![\w.:/-])\d{9,15}(?!\w|\.\d)"), "(phone)"),
)
_COLOURS = {"debug": 34, "info": 32, "warning": 33, "error": 31, "critical": 31}
_LIBRARIES = {"sanic": "API", "websockets": "WS"}  # Libraries that speak for a part of ours.
_TALKATIVE = ("httpcore", "httpx")  # A line or more for each request that we send.


def set_up_logging(settings: Settings, *, worker: int | None = None) -> None:
    """Send every log of this process, and every error that nobody caught, to stderr.

    One of several processes has a number, which is in each line.
    """
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _name_component,
        _Numbered(worker),
        structlog.processors.format_exc_info,
        keep_known_fields,
        blot_out_secrets,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(settings.log_level),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _writer(settings),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level.upper())
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
    _log_what_nobody_caught()


class _Numbered:
    """Adds the number of the process."""

    def __init__(self, worker: int | None) -> None:
        self._worker = worker

    def __call__(self, _: object, __: str, event: EventDict) -> EventDict:
        if self._worker is not None:
            event["worker"] = self._worker
        return event


def log_failure(error: Exception, account_id: AccountId | None) -> None:
    """Say once that the logs of accounts could not be followed; the next look makes it good."""
    log = structlog.get_logger(component="FEED")
    if isinstance(error, ClarinError):
        log.warning("the log does not answer", reason=str(error), account_id=account_id)
    else:
        log.error("following the log failed", exc_info=error, account_id=account_id)


def log_redis_failure(error: Exception) -> None:
    """Say that talking to Redis failed for another reason than that it is away."""
    structlog.get_logger(component="REDIS").error("talking to Redis failed", exc_info=error)


def keep_known_fields(_: object, __: str, event: EventDict) -> EventDict:
    """Withhold the values of fields that are not on the list."""
    for name in event:
        if name not in _KNOWN and not name.startswith("_"):
            event[name] = _WITHHELD
    return event


def blot_out_secrets(_: object, __: str, event: EventDict) -> EventDict:
    """Take out of texts what looks like a credential or a telephone."""
    for name in ("event", "reason", "exception"):
        if text := event.get(name):
            event[name] = blotted(str(text))
    return event


def blotted(text: str) -> str:
    """Return a text of unknown origin without what looks secret."""
    for pattern, instead in _BLOTS:
        text = pattern.sub(instead, text)
    return text


def _writer(settings: Settings) -> Processor:
    wanted = settings.log_format or ("console" if sys.stderr.isatty() else "json")
    if wanted == "json":
        return structlog.processors.JSONRenderer()
    return _for_a_terminal if sys.stderr.isatty() else _for_people


def _for_people(_: object, __: str, event: EventDict) -> str:
    """Return `12:00:00.000 info  [API] request  status=200` and a trace below, if there is one."""
    at = datetime.fromisoformat(event.pop("timestamp")).astimezone()
    level, component, said = (event.pop(name) for name in ("level", "component", "event"))
    trace = event.pop("exception", None)
    fields = "".join(
        f" {name}={_plain(value)}" for name, value in event.items() if value is not None
    )
    line = (
        f"{at:%H:%M:%S}.{at:%f}"[:12] + f" {level:<7} [{component}] {_plain(said.strip())}{fields}"
    )
    return f"{line}\n{trace}" if trace else line


def _for_a_terminal(logger: object, name: str, event: EventDict) -> str:
    colour, level = _COLOURS[event["level"]], event["level"]
    return _for_people(logger, name, event).replace(level, f"\x1b[{colour}m{level}\x1b[0m", 1)


def _plain(value: object) -> str:
    """Return a value on one line: what a stranger sent must not look like a line of ours."""
    text = str(value)
    return text if text.isprintable() else repr(text)


def _name_component(_: object, __: str, event: EventDict) -> EventDict:
    """Name the part that speaks: [API], [WS], [SYNC]…; a library's logger says it by its name."""
    record = event.get("_record")
    name = record.name.partition(".")[0].removeprefix("clarin_") if record else "cli"
    event.setdefault("component", _LIBRARIES.get(name, name.upper()))
    return event


def _log_what_nobody_caught() -> None:
    log = structlog.get_logger(component="CLI")

    def in_main(
        kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
        else:
            log.critical("uncaught error", exc_info=error)

    def in_thread(caught: threading.ExceptHookArgs) -> None:
        log.critical("uncaught error in a thread", exc_info=caught.exc_value)

    def unraisable(caught: "sys.UnraisableHookArgs") -> None:
        log.error("error that nobody could raise", exc_info=caught.exc_value)

    sys.excepthook, threading.excepthook, sys.unraisablehook = in_main, in_thread, unraisable
