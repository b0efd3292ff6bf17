"""Messages: what is said, and what becomes of it. What WhatsApp makes of it is heard later."""

from clarin_core.ports.views import Views
from clarin_core.usecases.messages import MessageUseCases
from clarin_server.http.rows import get, post, post_once

_ONE = "/messages/<message_id>"

MESSAGES = (
    post_once("/messages/send", MessageUseCases.send, status=202),
    post_once("/messages/poll", MessageUseCases.ask, status=202),
    post_once("/messages/forward", MessageUseCases.forward, status=202),
    post("/messages/react", MessageUseCases.react, status=202),
    post("/messages/edit", MessageUseCases.edit, status=202),
    post("/messages/delete", MessageUseCases.revoke, status=202),
    post("/messages/typing", MessageUseCases.type, status=204),
    get(_ONE, Views.message),
    post_once(f"{_ONE}/retry", MessageUseCases.retry, status=202),
    post(f"{_ONE}/give-up", MessageUseCases.give_up),
)
