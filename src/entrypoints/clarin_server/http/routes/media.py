"""Files; their bytes go in and out in `files.py`."""

from clarin_core.ports.views import Views
from clarin_core.usecases.media import MediaUseCases
from clarin_server.http.rows import get, post

MEDIA = (
    get("/media/<media_id>", Views.media),
    get("/media/<media_id>/link", MediaUseCases.link),
    get("/media/upload-url", MediaUseCases.upload_link),
    post("/media/from-url", MediaUseCases.from_url, status=201),
)
