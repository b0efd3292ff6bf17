"""Pipelines and their stages."""

from clarin_core.ports.views import Views
from clarin_core.usecases.pipelines import PipelineUseCases
from clarin_server.http.rows import delete, get, patch, post, put

PIPELINES = (
    get("/pipelines", Views.pipelines),
    post("/pipelines", PipelineUseCases.create, status=201),
    get("/pipelines/<pipeline_id>", Views.pipeline),
    put("/pipelines/<pipeline_id>", PipelineUseCases.update),
    patch("/pipelines/<pipeline_id>", PipelineUseCases.update),
    delete("/pipelines/<pipeline_id>", PipelineUseCases.delete),
    post("/pipelines/<pipeline_id>/stages", PipelineUseCases.add_stage, status=201),
    put("/pipelines/<pipeline_id>/stages/reorder", PipelineUseCases.reorder),
    put("/pipelines/<pipeline_id>/stages/<stage_id>", PipelineUseCases.update_stage),
    patch("/pipelines/<pipeline_id>/stages/<stage_id>", PipelineUseCases.update_stage),
    delete("/pipelines/<pipeline_id>/stages/<stage_id>", PipelineUseCases.delete_stage, status=200),
)
