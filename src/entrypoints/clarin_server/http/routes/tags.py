"""Tags and what they are on."""

from clarin_core.ports.views import Views
from clarin_core.usecases.tags import TagUseCases
from clarin_server.http.rows import delete, get, patch, post, post_once, put

TAGS = (
    get("/tags", Views.tags),
    post_once("/tags", TagUseCases.create, for_admins=True),
    put("/tags/<tag_id>", TagUseCases.update, for_admins=True),
    patch("/tags/<tag_id>", TagUseCases.update, for_admins=True),
    delete("/tags/<tag_id>", TagUseCases.delete, for_admins=True),
    post("/tags/assign", TagUseCases.assign),
    post("/tags/remove", TagUseCases.remove),
    get("/tags/entity/<target>/<target_id>", Views.tags_of),
)
