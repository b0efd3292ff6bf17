"""Leads."""

from clarin_core.ports.views import Views
from clarin_core.usecases.leads import LeadUseCases
from clarin_server.http.rows import delete, get, patch, post, post_once, put

LEADS = (
    get("/leads", Views.leads),
    post_once("/leads", LeadUseCases.create),
    get("/leads/counts", Views.lead_counts),
    get("/leads/by-stage/<stage_id>", Views.leads_by_stage),
    delete("/leads/batch", LeadUseCases.delete_many, status=200, for_admins=True),
    get("/leads/<lead_id>", Views.lead),
    put("/leads/<lead_id>", LeadUseCases.update),
    patch("/leads/<lead_id>", LeadUseCases.update),
    delete("/leads/<lead_id>", LeadUseCases.delete),
    post("/leads/<lead_id>/restore", LeadUseCases.restore),
    patch("/leads/<lead_id>/status", LeadUseCases.set_status),
    patch("/leads/<lead_id>/stage", LeadUseCases.move),
    get("/leads/<lead_id>/history", Views.lead_history),
)
