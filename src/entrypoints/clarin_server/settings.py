"""What an operator can set, read from the environment once, at the start."""

from collections.abc import Callable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple, TypeAlias, get_args, get_origin
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct, field
from msgspec.structs import FieldInfo

from clarin_core.domain.accounts import Password
from clarin_core.domain.budget import Pace
from clarin_core.domain.command import Email, Name
from clarin_core.domain.limits import Rate
from clarin_kommo import API_URL
from clarin_server.errors import WrongSettings

# Named maxima of what waits, repeats or is kept; what concerns one module only is named there.
PASSWORDS_WAITING_MAX: Final = 32
UPLOAD_BYTES_MAX: Final = 256 * 1024 * 1024  # At once, of all accounts.
UPLOAD_BYTES_PER_ACCOUNT_MAX: Final = 41 * 1024 * 1024  # Two of the largest files.
FILE_UPLOADS_MAX: Final = 16  # At once; each holds three parts of 5 MiB.
FILE_UPLOADS_PER_ACCOUNT_MAX: Final = 4
DOWNLOADS_MAX: Final = 192  # At once, fewer than requests; each holds a piece or two of 0.5 MiB.
DOWNLOADS_PER_ACCOUNT_MAX: Final = 64
DATABASE_WAIT_S_MAX: Final = 30.0
DELETED_KEPT_DAYS: Final = 30  # SD1
EVENTS_KEPT_DAYS: Final = 7  # R4
UNUSED_FILES_KEPT_HOURS: Final = 24
ANSWERS_KEPT_HOURS: Final = 24  # R16
MARKS_KEPT_DAYS: Final = 7  # CH8
USER_REQUESTS: Final = Rate(per_second=50, burst=200)  # Of a user in one account.
ADDRESS_REQUESTS: Final = Rate(per_second=20, burst=100)  # Of who has not signed in.
HANDSHAKES: Final = Rate(per_second=200, burst=200)  # Of one process.
HANDSHAKE_RETRY_S_MAX: Final = 10

KOMMO_PACE: Final = Pace(per_second=7.0)  # Of an account there; it allows that many.
KOMMO_SLOW: Final = Pace(per_second=1.0, most=1)  # Of one of several who cannot count together.
MEMORY: Final = "memory:"

_SECRET_BYTES_MIN = 32
_SECRET_LETTERS_MIN = 10
_SAMPLE_WORDS = ("change", "example", "sample", "secret", "your-", "your_", "password", "default")

Network: TypeAlias = IPv4Network | IPv6Network

_Environment = Literal["development", "production"]
_Host = Annotated[str, Meta(pattern=r"^[A-Za-z0-9.:_-]+$")]
_Port = Annotated[int, Meta(ge=0, le=65_535)]
_PostgresUrl = Annotated[str, Meta(pattern=r"^postgres(ql)?://")]
_RedisUrl = Annotated[str, Meta(pattern=r"^(off|(redis|rediss|unix)://.+)$")]
_StorageUrl = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9+.-]*(:.*)?$")]
_MediaUrl = Annotated[
    str, Meta(pattern=r"^(file:///[^?#]+|s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^?#]*)?)$")
]
_Origin = Annotated[str, Meta(pattern=r"^https?://[A-Za-z0-9.:\[\]-]+$")]
_KommoUrl = Annotated[
    str,
    Meta(
        pattern=r"^(https://[a-z0-9.{}-]+(:[0-9]+)?"
        r"|http://(127\.0\.0\.1|localhost)(:[0-9]+)?(/\{subdomain\})?)/api/v4/?$"
    ),
]
_Network = Annotated[str, Meta(pattern=r"^[0-9A-Fa-f.:/]+$")]
_LogLevel = Literal["debug", "info", "warning", "error"]
_LogFormat = Literal["console", "json"]
_Megabytes = Annotated[int, Meta(ge=1, le=65_536)]
_Requests = Annotated[int, Meta(ge=1, le=100_000)]


class Settings(Struct, frozen=True, kw_only=True):
    """All settings, each with the name of its environment variable; `WANTED` explains them."""

    environment: _Environment = field(name="CLARIN_ENV", default="development")
    host: _Host = field(name="HOST", default="127.0.0.1")
    port: _Port = field(name="PORT", default=8080)
    data_dir: str = field(name="CLARIN_DATA_DIR", default="./data")
    database_url: _PostgresUrl | None = field(name="DATABASE_URL", default=None)
    redis_url: _RedisUrl | None = field(name="REDIS_URL", default=None)
    storage: _StorageUrl | None = field(name="CLARIN_STORAGE", default=None)
    media_url: _MediaUrl | None = field(name="CLARIN_MEDIA_URL", default=None)
    jwt_secret: str | None = field(name="JWT_SECRET", default=None)
    admin_user: Name = field(name="ADMIN_USER", default="admin")
    admin_email: Email = field(name="ADMIN_EMAIL", default="admin@localhost")
    admin_password: Password | None = field(name="ADMIN_PASSWORD", default=None)
    account_name: Name = field(name="ACCOUNT_NAME", default="Clarin")
    cors_origins: tuple[_Origin, ...] = field(name="CORS_ORIGINS", default=())
    trusted_proxies: tuple[_Network, ...] = field(name="TRUSTED_PROXIES", default=())
    messaging: Literal["neonize", "simulated", "off"] = field(
        name="CLARIN_MESSAGING", default="neonize"
    )
    log_level: _LogLevel = field(name="LOG_LEVEL", default="info")
    log_format: _LogFormat | None = field(name="LOG_FORMAT", default=None)
    kommo_api_url: _KommoUrl = field(name="KOMMO_API_URL", default=API_URL)
    rate_limits: Literal["on", "off"] = field(name="CLARIN_RATE_LIMITS", default="on")
    fast_lane: Literal["on", "off"] = field(name="CLARIN_FAST_LANE", default="on")
    cache_mb: _Megabytes = field(name="CLARIN_CACHE_MB", default=128)
    requests_in_flight_max: _Requests = field(name="CLARIN_REQUESTS_MAX", default=256)

    def __repr__(self) -> str:
        """Return the settings without the values of secret ones (R26)."""
        values = {
            info.name: "…" if WANTED[info.encode_name].is_secret else getattr(self, info.name)
            for info in msgspec.structs.fields(self)
        }
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in values.items())})"

    @property
    def folder(self) -> Path:
        """The data directory, from the root."""
        return Path(self.data_dir).expanduser().absolute()

    @property
    def whatsapp_folder(self) -> Path:
        """Where the keys of the devices lie."""
        return self.folder / "whatsapp"

    @property
    def storage_url(self) -> str | None:
        """The address of the storage, None for the embedded PostgreSQL."""
        return self.storage or self.database_url

    def media_address(self, storage_url: str) -> str:
        """Return where the bytes of files lie: as set, else near the rows, on disk or in memory."""
        if self.media_url is not None:
            return self.media_url
        is_alone = storage_url.startswith("memory")
        return MEMORY if is_alone else (self.folder / "media").as_uri()

    @property
    def proxies(self) -> tuple[Network, ...]:
        """The networks whose word about an address counts."""
        return tuple(map(ip_network, self.trusted_proxies))

    @property
    def cache_bytes(self) -> int:
        """How much memory a process takes to keep answers."""
        return self.cache_mb * 1024 * 1024

    @property
    def has_lane(self) -> bool:
        """Whether what is kept is answered in the fast lane, which says nothing in the log."""
        return self.fast_lane == "on" and self.log_level != "debug"

    @property
    def is_production(self) -> bool:
        """Whether strangers use the service."""
        return self.environment == "production"


class Wanted(NamedTuple):
    """What a setting is for, in words that complete "must be", and an example."""

    meaning: str
    example: str
    is_secret: bool = False


WANTED: Mapping[str, Wanted] = {
    "CLARIN_ENV": Wanted("development or production", "production"),
    "HOST": Wanted("the address to listen on (0.0.0.0 is every one)", "127.0.0.1"),
    "PORT": Wanted("the port to listen on, from 0 (any free one) to 65535", "8080"),
    "CLARIN_DATA_DIR": Wanted("the folder of the embedded database", "./data"),
    "DATABASE_URL": Wanted(
        "the address of a PostgreSQL of your own, its password %-encoded",
        "postgresql://clarin:…@localhost:5432/clarin",
        is_secret=True,
    ),
    "REDIS_URL": Wanted(
        "the address of a Redis or Valkey that all nodes share, or off to run without",
        "redis://localhost:6379/0",
        is_secret=True,
    ),
    "CLARIN_STORAGE": Wanted("memory, or another storage's address", "memory", is_secret=True),
    "CLARIN_MEDIA_URL": Wanted(
        "where files lie, file:///folder or s3://bucket/prefix (the rest of S3 is in the usual "
        "variables: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL)",
        "s3://clarin-media/prod",
    ),
    "JWT_SECRET": Wanted(
        "32 bytes or more that nobody can guess, and no sample",
        "$(openssl rand -hex 32)",
        is_secret=True,
    ),
    "ADMIN_USER": Wanted("the first administrator's name", "admin"),
    "ADMIN_EMAIL": Wanted("the first administrator's e-mail address", "ana@example.com"),
    "ADMIN_PASSWORD": Wanted(
        "the first administrator's password, 8 to 128 characters",
        "$(openssl rand -base64 18)",
        is_secret=True,
    ),
    "ACCOUNT_NAME": Wanted("the first account's name", "Clarin"),
    "CORS_ORIGINS": Wanted(
        "origins of the web pages that may call, separated by commas (* is none)",
        "https://crm.example.com,http://localhost:3000",
    ),
    "TRUSTED_PROXIES": Wanted(
        "addresses and networks of your proxies, separated by commas (everybody is none)",
        "10.0.0.7,2001:db8:7::/64",
    ),
    "KOMMO_API_URL": Wanted(
        "the address of Kommo's API, {subdomain} standing for the account",
        API_URL,
    ),
    "CLARIN_MESSAGING": Wanted(
        "neonize for the real WhatsApp, simulated for one made up (not in production), or off",
        "neonize",
    ),
    "LOG_LEVEL": Wanted("debug, info, warning or error", "info"),
    "LOG_FORMAT": Wanted("console or json (console is for terminals)", "json"),
    "CLARIN_RATE_LIMITS": Wanted("on, or off outside of production", "on"),
    "CLARIN_FAST_LANE": Wanted("on, or off to have the HTTP server read every request", "on"),
    "CLARIN_CACHE_MB": Wanted(
        "memory in MB that each process takes at most to keep answers, 1 to 65536", "128"
    ),
    "CLARIN_REQUESTS_MAX": Wanted("how many requests may be at work, 1 to 100000", "256"),
}


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Return the settings of an environment; an empty variable counts as absent.

    Raises WrongSettings with all faults at once; the values of secrets are not in it.
    """
    values: dict[str, Any] = {}
    faults: list[str] = []
    for info in msgspec.structs.fields(Settings):
        text = environ.get(info.encode_name, "").strip()
        if not text:
            continue
        try:
            values[info.name] = msgspec.convert(_parted(info, text), info.type, strict=False)
        except msgspec.ValidationError:
            faults.append(_fault(info.encode_name, text))
    settings = Settings(**values)
    faults += [_fault(name) for name, is_wrong in _RULES if is_wrong(settings)]
    if faults:
        raise WrongSettings(faults)
    return settings


def _parted(info: FieldInfo, text: str) -> str | list[str]:
    """Return a list's parts, or a known word without regard to case."""
    kinds = (info.type, *get_args(info.type))
    if any(get_origin(kind) is tuple for kind in kinds):
        return [part.strip() for part in text.split(",") if part.strip()]
    if any(get_origin(kind) is Literal for kind in kinds):
        return text.lower()
    return text


def _fault(name: str, text: str = "") -> str:
    meaning, example, is_secret = WANTED[name]
    found = f" is {text!r}, and" if text and not is_secret else ""
    return f"  {name}{found} must be {meaning}; for example {name}={example}"


def _has_wrong_secret(settings: Settings) -> bool:
    if settings.jwt_secret is None:
        return settings.is_production
    secret = settings.jwt_secret
    is_long = len(secret.encode("utf-8", "replace")) >= _SECRET_BYTES_MIN
    is_sample = any(word in secret.lower() for word in _SAMPLE_WORDS)
    return is_sample or not is_long or len(set(secret)) < _SECRET_LETTERS_MIN


def _has_wrong_address(settings: Settings) -> bool:
    try:
        return urlsplit(settings.database_url or "").port == 0
    except ValueError:
        return True


def _has_wrong_proxies(settings: Settings) -> bool:
    try:
        return any(network.prefixlen == 0 for network in settings.proxies)
    except ValueError:
        return True


def _has_no_limits(settings: Settings) -> bool:
    return settings.is_production and settings.rate_limits == "off"


def _has_made_up_messages(settings: Settings) -> bool:
    return settings.is_production and settings.messaging == "simulated"


# What a type cannot tell.
_RULES: tuple[tuple[str, Callable[[Settings], bool]], ...] = (
    ("JWT_SECRET", _has_wrong_secret),
    ("DATABASE_URL", _has_wrong_address),
    ("TRUSTED_PROXIES", _has_wrong_proxies),
    ("CLARIN_RATE_LIMITS", _has_no_limits),
    ("CLARIN_MESSAGING", _has_made_up_messages),
)
