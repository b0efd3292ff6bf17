"""Who works in the account."""

from clarin_core.ports.views import Views
from clarin_core.usecases.members import MemberUseCases
from clarin_server.http.rows import delete, get, patch, post_once, put

MEMBERS = (
    get("/members", Views.members),
    post_once("/members", MemberUseCases.add, for_admins=True),
    put("/members/<user_id>", MemberUseCases.change, for_admins=True),
    patch("/members/<user_id>", MemberUseCases.change, for_admins=True),
    delete("/members/<user_id>", MemberUseCases.remove, for_admins=True),
)
