"""Who works in the account."""

from clarin_core.ports.views import Views
from clarin_core.usecases.members import MemberUseCases
from clarin_server.http.rows import delete, get, patch, post, put

MEMBERS = (
    get("/members", Views.members),
    post("/members", MemberUseCases.add, status=201),
    put("/members/<user_id>", MemberUseCases.change),
    patch("/members/<user_id>", MemberUseCases.change),
    delete("/members/<user_id>", MemberUseCases.remove),
)
