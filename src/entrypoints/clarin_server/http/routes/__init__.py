"""The HTTP surface, one row an operation."""

from clarin_server.http.routes.accounts import ACCOUNTS
from clarin_server.http.routes.chats import CHATS
from clarin_server.http.routes.contacts import CONTACTS
from clarin_server.http.routes.devices import DEVICES
from clarin_server.http.routes.imports import IMPORTS
from clarin_server.http.routes.kommo import KOMMO
from clarin_server.http.routes.leads import LEADS
from clarin_server.http.routes.media import MEDIA
from clarin_server.http.routes.members import MEMBERS
from clarin_server.http.routes.messages import MESSAGES
from clarin_server.http.routes.pipelines import PIPELINES
from clarin_server.http.routes.quick_replies import QUICK_REPLIES
from clarin_server.http.routes.sign_in import SIGN_IN
from clarin_server.http.routes.tags import TAGS

ROWS = (
    SIGN_IN + LEADS + PIPELINES + TAGS + CONTACTS + IMPORTS
    + CHATS + MESSAGES + MEDIA + KOMMO + QUICK_REPLIES + DEVICES + MEMBERS + ACCOUNTS
)  # fmt: skip
