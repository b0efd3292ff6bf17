"""Chats, and what was said in them."""

from clarin_core.ports.views import Views
from clarin_core.usecases.chats import ChatUseCases
from clarin_server.http.rows import delete, get, patch, post, post_once, put

_ONE = "/chats/<chat_id>"

CHATS = (
    get("/chats", Views.chats),
    post_once("/chats/new", ChatUseCases.open, status=200),
    delete("/chats/batch", ChatUseCases.delete_many, status=200, for_admins=True),
    get(_ONE, Views.chat),
    put(_ONE, ChatUseCases.update),
    patch(_ONE, ChatUseCases.update),
    delete(_ONE, ChatUseCases.delete),
    get(f"{_ONE}/messages", Views.messages),
    post(f"{_ONE}/read", ChatUseCases.read),
)
