"""Quick replies."""

from clarin_core.ports.views import Views
from clarin_core.usecases.quick_replies import QuickReplyUseCases
from clarin_server.http.rows import delete, get, patch, post_once, put

_ONE = "/quick-replies/<quick_reply_id>"

QUICK_REPLIES = (
    get("/quick-replies", Views.quick_replies),
    post_once("/quick-replies", QuickReplyUseCases.create, for_admins=True),
    put(_ONE, QuickReplyUseCases.update, for_admins=True),
    patch(_ONE, QuickReplyUseCases.update, for_admins=True),
    delete(_ONE, QuickReplyUseCases.delete, for_admins=True),
)
