"""Kommo: its connection, its pipelines, and how the mirror is."""

from clarin_core.usecases.kommo import KommoUseCases
from clarin_server.http.rows import delete, get, post, put

_ONE = "/kommo/pipelines/<kommo_id>/connect"

KOMMO = (
    get("/kommo/status", KommoUseCases.status),
    put("/kommo/credentials", KommoUseCases.put_credentials, for_admins=True),
    get("/kommo/pipelines", KommoUseCases.pipelines),
    get("/kommo/connected", KommoUseCases.connected),
    post(_ONE, KommoUseCases.connect, status=202, for_admins=True),
    delete(_ONE, KommoUseCases.disconnect, for_admins=True),
    get("/kommo/sync/status", KommoUseCases.sync_status),
    get("/kommo/sync/full-status", KommoUseCases.full_status),
    post("/kommo/sync", KommoUseCases.sync, status=202, for_admins=True),
)
