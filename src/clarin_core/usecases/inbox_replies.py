"""What somebody hears of reactions and votes.

A vote names options by their digests, and may come before its poll. So it is told with the poll's
results where the poll is there, and once more when the poll comes later.
"""

from collections import defaultdict

from clarin_core.domain.inbox import Key, Talk
from clarin_core.domain.inbox_events import PollVoted, ReactionChanged
from clarin_core.domain.replies import (
    PollCount,
    Reaction,
    Sender,
    Vote,
    results_of,
)
from clarin_core.ports.transaction import Transaction
from clarin_core.usecases.inbox_people import People


async def store_replies(tx: Transaction, talk: Talk, people: People) -> None:
    """Keep the reactions and votes that count, and announce those that are news."""
    if talk.reactions and (reactions := await tx.messages.react(talk.reactions)):
        senders = await _senders(tx, talk, people, reactions)
        tx.emit(ReactionChanged(reactions=reactions, senders=senders))
    votes = await tx.messages.vote(talk.votes) if talk.votes else []
    await _tell_votes(tx, talk, votes)


async def _senders(
    tx: Transaction, talk: Talk, people: People, reactions: list[Reaction]
) -> list[Sender]:
    """Return who reacted; in a talk of two whoever is not the other is the account itself."""
    others = {chat.id: identity for identity, chat in talk.chats.items()}
    own = {one.sender for one in reactions if one.sender != others[one.chat_id]}
    names = await people.names({one.sender for one in reactions} - own)
    return [
        Sender(identity=sender, name=names.get(sender), is_from_me=sender in own)
        for sender in sorted({one.sender for one in reactions})
    ]


async def _tell_votes(tx: Transaction, talk: Talk, votes: list[Vote]) -> None:
    """Announce votes with what their polls add up to, also those that came before their poll."""
    new_polls = {key for key, message in talk.fresh.items() if message.poll is not None}
    polls = {
        key: (message, message.poll)
        for key in {vote.key[:2] for vote in votes} | new_polls
        if (message := talk.messages.get(key)) is not None and message.poll is not None
    }
    counting = defaultdict[Key, list[Vote]](list)
    for vote in await tx.messages.votes(polls.keys()) if polls else []:
        counting[vote.key[:2]].append(vote)
    told = {vote.key: vote for vote in votes}
    told |= {vote.key: vote for key in new_polls for vote in counting[key]}
    if told:
        counts = [
            PollCount(
                chat_id=message.chat_id,
                message_id=message.id,
                wa_message_id=key[1],
                results=results_of(poll.options, counting[key]),
            )
            for key, (message, poll) in sorted(polls.items())
        ]
        tx.emit(PollVoted(votes=list(told.values()), polls=counts))
