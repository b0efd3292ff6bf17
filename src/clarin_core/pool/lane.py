"""What a device sends: one errand after the other, and each is told of before the next one."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from clarin_core.domain.devices import DeviceLease
from clarin_core.domain.outbox import OutboxKind
from clarin_core.errors import NotFound, Unavailable
from clarin_core.pool.errands import carry_out
from clarin_core.pool.parts import Parts
from clarin_core.ports.messaging import NotSent, OutcomeUnknown, Refused, Session
from clarin_core.usecases.sending import Errand

_Tell = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Lane:
    """The outbox of one device while its session lasts."""

    lease: DeviceLease
    session: Session
    parts: Parts

    async def send_one(self) -> bool:
        """Do what is due; False when nothing is. Raises Conflict `lease_lost`."""
        errand = await self._begin()
        if errand is None:
            return False
        outcome, tell = await self._outcome(errand)
        await self.parts.until_stored(tell)
        self.parts.watch.did(outcome)
        return True

    async def _begin(self) -> Errand | None:
        """Return what is due; what a commit began that nobody answered is due again."""
        name = self.parts.new_name() if self.parts.messaging.honours_ids else None
        is_again = False

        async def begin() -> Errand | None:
            nonlocal is_again
            if is_again:
                await self.parts.sending.take_back(self.lease)
            is_again = True
            return await self.parts.sending.begin(self.lease, wa_message_id=name)

        return await self.parts.until_stored(begin)

    async def _outcome(self, errand: Errand) -> tuple[str, _Tell]:
        """Do an errand; return what became of it, and how to tell."""
        sending, lease, item = self.parts.sending, self.lease, errand.item
        try:
            sent = await carry_out(self.session, errand, self.parts.blobs)
        except Refused as error:
            reason = str(error)
            return "failed", lambda: sending.fail(lease, item, reason)
        except NotFound:
            return "failed", lambda: sending.fail(lease, item, "its file is gone")
        except OutcomeUnknown as error:
            return self._doubt(errand, str(error))
        except (NotSent, Unavailable) as error:
            reason = str(error)
            return "put_off", lambda: sending.put_off(lease, item, reason)
        except Exception as error:
            self.parts.watch.failed("send", error, lease.key)
            return self._doubt(errand, "it failed here")
        return "done", lambda: sending.done(lease, item, sent)

    def _doubt(self, errand: Errand, reason: str) -> tuple[str, _Tell]:
        """Never repeat a message that may have arrived; all else does no harm twice."""
        sending, lease, item = self.parts.sending, self.lease, errand.item
        if item.kind is OutboxKind.SEND and not self.parts.messaging.honours_ids:
            return "lost", lambda: sending.lose(lease, item)
        return "put_off", lambda: sending.put_off(lease, item, reason)
