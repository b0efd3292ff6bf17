"""Imports; the uploads themselves are in `uploads.py`."""

from clarin_core.ports.views import Views
from clarin_server.http.rows import get

IMPORTS = (
    get("/imports", Views.imports, for_admins=True),
    get("/imports/<import_id>", Views.import_job, for_admins=True),
    get("/imports/<import_id>/rows", Views.import_outcomes, for_admins=True),
)
