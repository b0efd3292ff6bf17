"""Contacts."""

from clarin_core.ports.views import Views
from clarin_core.usecases.contacts import ContactUseCases
from clarin_server.http.rows import delete, get, patch, post, post_once, put

CONTACTS = (
    get("/contacts", Views.contacts),
    post_once("/contacts", ContactUseCases.create),
    get("/contacts/duplicates", Views.duplicates),
    delete("/contacts/batch", ContactUseCases.delete_many, status=200, for_admins=True),
    post("/contacts/merge", ContactUseCases.merge, for_admins=True),
    post("/contacts/merge/preview", ContactUseCases.preview_merge, for_admins=True),
    get("/contacts/<contact_id>", Views.contact),
    put("/contacts/<contact_id>", ContactUseCases.update),
    patch("/contacts/<contact_id>", ContactUseCases.update),
    delete("/contacts/<contact_id>", ContactUseCases.delete),
    get("/contacts/<contact_id>/identities", Views.contact_identities),
    post("/contacts/<contact_id>/restore", ContactUseCases.restore),
)
