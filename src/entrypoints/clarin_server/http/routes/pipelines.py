"""Pipelines and their stages."""

from clarin_core.ports.views import Views
from clarin_core.usecases.pipelines import PipelineUseCases
from clarin_server.http.rows import delete, get, patch, post_once, put

_ONE = "/pipelines/<pipeline_id>"
_STAGES = f"{_ONE}/stages"
_STAGE = f"{_STAGES}/<stage_id>"

PIPELINES = (
    get("/pipelines", Views.pipelines),
    post_once("/pipelines", PipelineUseCases.create, for_admins=True),
    get(_ONE, Views.pipeline),
    put(_ONE, PipelineUseCases.update, for_admins=True),
    patch(_ONE, PipelineUseCases.update, for_admins=True),
    delete(_ONE, PipelineUseCases.delete, for_admins=True),
    post_once(_STAGES, PipelineUseCases.add_stage, for_admins=True),
    put(f"{_STAGES}/reorder", PipelineUseCases.reorder, for_admins=True),
    put(_STAGE, PipelineUseCases.update_stage, for_admins=True),
    patch(_STAGE, PipelineUseCases.update_stage, for_admins=True),
    delete(_STAGE, PipelineUseCases.delete_stage, status=200, for_admins=True),
)
