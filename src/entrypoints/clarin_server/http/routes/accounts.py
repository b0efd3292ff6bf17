"""Accounts, users and memberships, for those who run the service."""

from clarin_core.usecases.accounts import AccountUseCases
from clarin_server.http.rows import delete, get, patch, post_once, put

ACCOUNTS = (
    get("/admin/accounts", AccountUseCases.accounts),
    post_once("/admin/accounts", AccountUseCases.create_account),
    get("/admin/accounts/<account_id>", AccountUseCases.account),
    put("/admin/accounts/<account_id>", AccountUseCases.update_account),
    patch("/admin/accounts/<account_id>", AccountUseCases.update_account),
    delete("/admin/accounts/<account_id>", AccountUseCases.delete_account),
    get("/admin/users", AccountUseCases.users),
    post_once("/admin/users", AccountUseCases.create_user),
    get("/admin/users/<user_id>", AccountUseCases.user),
    put("/admin/users/<user_id>", AccountUseCases.update_user),
    patch("/admin/users/<user_id>", AccountUseCases.update_user),
    get("/admin/users/<user_id>/accounts", AccountUseCases.memberships),
    post_once("/admin/users/<user_id>/accounts", AccountUseCases.put_membership, status=200),
    delete("/admin/users/<user_id>/accounts/<account_id>", AccountUseCases.end_membership),
)
