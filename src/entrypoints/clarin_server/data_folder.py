"""The data directory, and what lies there: files, and the signing secret of development."""

import os
import tempfile
from pathlib import Path
from urllib.parse import unquote, urlsplit

from clarin_core.ports.small import Random
from clarin_server.errors import CannotStart
from clarin_server.settings import Settings

_KEPT_IN = "jwt-secret"
_SECRET_BYTES = 32


def make_data_folder(folder: Path) -> None:
    """Make the folder if there is none; raises CannotStart when it cannot be used."""
    try:
        # Others may pass: the account of the database server is another one when we are root.
        folder.mkdir(mode=0o711, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise CannotStart(
            f"The data directory {folder} cannot be used: {error.strerror}. "
            "Name another one in CLARIN_DATA_DIR or --data-dir."
        ) from error


def media_folder(url: str) -> Path | None:
    """Return the folder in which files lie, None where they lie in none."""
    parts = urlsplit(url)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def make_media_folder(url: str) -> None:
    """Make the folder for files, if they are to lie in one; raises CannotStart.

    What customers send is for nobody else on the machine.
    """
    folder = media_folder(url)
    if folder is None:
        return
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise CannotStart(
            f"The folder for files {folder} cannot be used: {error.strerror}. "
            "Name another one in CLARIN_MEDIA_URL, for example file:///srv/clarin/media."
        ) from error


def signing_secret(settings: Settings, random: Random) -> bytes:
    """Return the secret of JWT_SECRET, else one that is made once and kept for this account.

    Storage in memory keeps no secret either: its sign-ins end with the process.
    """
    if settings.jwt_secret is not None:
        return settings.jwt_secret.encode()
    if settings.storage_url and settings.storage_url.startswith("memory"):
        return random(_SECRET_BYTES)
    make_data_folder(settings.folder)
    return _kept(settings.folder / _KEPT_IN, random)


def _kept(path: Path, random: Random) -> bytes:
    if not path.exists():
        _keep(path, random(_SECRET_BYTES))
    try:
        secret = path.read_bytes()
    except OSError as error:
        raise CannotStart(f"{path} cannot be read: {error.strerror}.") from error
    if path.stat().st_mode & 0o077 or len(secret) < _SECRET_BYTES:
        raise CannotStart(
            f"{path} is open to others or cut short, so tokens can be forged. "
            "Remove it (everybody then signs in again), or set JWT_SECRET."
        )
    return secret


def _keep(path: Path, secret: bytes) -> None:
    """Write the secret whole or not at all; the first of two processes wins."""
    descriptor, unfinished = tempfile.mkstemp(dir=path.parent)  # Readable by us alone.
    with os.fdopen(descriptor, "wb") as file:
        file.write(secret)
        file.flush()
        os.fsync(descriptor)
    try:
        os.link(unfinished, path)
    except FileExistsError:
        pass
    finally:
        Path(unfinished).unlink()
