"""Reactions and votes: of each that which counts, whatever the order in which they came."""

from collections.abc import Collection, Iterable
from typing import NamedTuple

from clarin_core.domain.jid import Identity, IdentityKind
from clarin_core.domain.replies import (
    Reply,
    Vote,
    counting,
)
from clarin_core.ports.inbox import WaKey
from clarin_postgres.columns import Columns
from clarin_postgres.marks import keys_of
from clarin_postgres.paging import structs
from clarin_postgres.scope import Scope


def counted(who: str, said: str) -> str:
    """Return what an INSERT as `x` ends with, so that of two rows the one that counts is kept."""
    return f"""on conflict (account_id, chat_id, wa_message_id, {who}_kind, {who}_value)
        do update set {said} = excluded.{said}, at = excluded.at
        where (excluded.at, excluded.{said}) > (x.at, x.{said})"""


_REACTIONS = Columns(
    {
        "chat_id": "bigint",
        "wa_message_id": "text",
        "sender_kind": "text",
        "sender_value": "text",
        "emoji": "text",
        "at": "timestamptz",
    },
    derived={
        "sender_kind": lambda reaction: reaction.sender.kind.value,
        "sender_value": lambda reaction: reaction.sender.value,
    },
)
_VOTES = Columns(
    {
        "chat_id": "bigint",
        "wa_message_id": "text",
        "voter_kind": "text",
        "voter_value": "text",
        "options": "text[]",
        "at": "timestamptz",
    },
    derived={
        "voter_kind": lambda vote: vote.voter.kind.value,
        "voter_value": lambda vote: vote.voter.value,
    },
)
# In the order of their keys, so that two batches about the same ones wait and do not deadlock.
_REACT = f"""-- messages.react
    with {_REACTIONS.rows(2)}
    insert into reactions as x (account_id, {_REACTIONS.names})
    select $1, {_REACTIONS.values} from n
    order by n.chat_id, n.wa_message_id, n.sender_kind, n.sender_value
    {counted("sender", "emoji")}
    returning x.chat_id, x.wa_message_id, x.sender_kind as kind, x.sender_value as value"""
_VOTE = f"""-- messages.vote
    with {_VOTES.rows(2)}
    insert into poll_votes as x (account_id, {_VOTES.names})
    select $1, {_VOTES.values} from n
    order by n.chat_id, n.wa_message_id, n.voter_kind, n.voter_value
    {counted("voter", "options")}
    returning x.chat_id, x.wa_message_id, x.voter_kind as kind, x.voter_value as value"""

_VOTES_ON = """-- messages.votes
    select v.chat_id, v.wa_message_id, v.options, v.at,
        json_build_object('kind', v.voter_kind, 'value', v.voter_value) as voter
    from unnest($2::bigint[], $3::text[]) as k(chat_id, wa_message_id)
    join poll_votes v on v.chat_id = k.chat_id and v.wa_message_id = k.wa_message_id
    where v.account_id = $1
    order by v.chat_id, v.wa_message_id, v.voter_kind, v.voter_value"""


class Replies(NamedTuple):
    """How one kind of them is kept."""

    text: str
    columns: Columns


REACTIONS = Replies(_REACT, _REACTIONS)
VOTES = Replies(_VOTE, _VOTES)


async def keep(scope: Scope, kind: Replies, replies: Iterable[Reply]) -> list[Reply]:
    """Keep those that count, and return those that changed something, in the order given."""
    best = counting(replies)
    if not best:
        return []
    rows = await scope.fetch(kind.text, *kind.columns.arrays(best.values()))
    changed = {
        (row["chat_id"], row["wa_message_id"], Identity(IdentityKind(row["kind"]), row["value"]))
        for row in rows
    }
    return [reply for key, reply in best.items() if key in changed]


async def votes_on(scope: Scope, keys: Collection[WaKey]) -> list[Vote]:
    """Return the votes that count on some messages, those of one in the order of voters."""
    return structs(await scope.fetch(_VOTES_ON, *keys_of(keys)), Vote)
