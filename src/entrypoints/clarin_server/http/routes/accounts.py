"""Accounts, users and memberships, for those who run the service."""

from clarin_core.usecases.accounts import AccountUseCases
from clarin_server.http.rows import delete, get, patch, post, put

ACCOUNTS = (
    get("/admin/accounts", AccountUseCases.accounts),
    post("/admin/accounts", AccountUseCases.create_account, status=201),
    get("/admin/accounts/<account_id>", AccountUseCases.account),
    put("/admin/accounts/<account_id>", AccountUseCases.update_account),
    patch("/admin/accounts/<account_id>", AccountUseCases.update_account),
    delete("/admin/accounts/<account_id>", AccountUseCases.delete_account),
    get("/admin/users", AccountUseCases.users),
    post("/admin/users", AccountUseCases.create_user, status=201),
    get("/admin/users/<user_id>", AccountUseCases.user),
    put("/admin/users/<user_id>", AccountUseCases.update_user),
    patch("/admin/users/<user_id>", AccountUseCases.update_user),
    get("/admin/users/<user_id>/accounts", AccountUseCases.memberships),
    post("/admin/users/<user_id>/accounts", AccountUseCases.put_membership),
    delete("/admin/users/<user_id>/accounts/<account_id>", AccountUseCases.end_membership),
)
