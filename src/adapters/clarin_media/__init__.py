"""Files: where their bytes lie, a folder or an object store, and how they come from the web."""

from clarin_media.blobs import ObjectBlobs, blobs_from_url
from clarin_media.web import HttpsWeb

__all__ = ["HttpsWeb", "ObjectBlobs", "blobs_from_url"]
