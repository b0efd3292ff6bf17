"""Imports; the uploads themselves are in `uploads.py`."""

from clarin_core.ports.views import Views
from clarin_server.http.rows import get

IMPORTS = (
    get("/imports", Views.imports),
    get("/imports/<import_id>", Views.import_job),
    get("/imports/<import_id>/rows", Views.import_outcomes),
)
