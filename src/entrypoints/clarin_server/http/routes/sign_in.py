"""Signing in and one's own settings."""

from clarin_core.ports.views import Views
from clarin_core.usecases.accounts import AccountUseCases
from clarin_core.usecases.sign_in import SignInUseCases
from clarin_server.http.rows import get, patch, post, put

SIGN_IN = (
    post("/auth/login", SignInUseCases.login),
    post("/auth/refresh", SignInUseCases.refresh),
    post("/auth/logout", SignInUseCases.logout, status=204),
    post("/auth/switch-account", SignInUseCases.switch_account),
    post("/auth/ws-ticket", SignInUseCases.ticket, status=201),
    get("/me", SignInUseCases.me),
    get("/me/accounts", SignInUseCases.my_accounts),
    get("/settings", SignInUseCases.settings),
    put("/settings/profile", SignInUseCases.change_profile),
    patch("/settings/profile", SignInUseCases.change_profile),
    put("/settings/password", SignInUseCases.change_password),
    put("/settings/account", AccountUseCases.change_own_account, for_admins=True),
    patch("/settings/account", AccountUseCases.change_own_account, for_admins=True),
    get("/stats", Views.stats),
    get("/events/stream", Views.events, for_admins=True),
)
