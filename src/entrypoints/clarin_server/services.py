"""What an entrypoint may use."""

from dataclasses import dataclass, fields

from clarin_core.ports.event_publisher import EventPublisher
from clarin_core.ports.limiter import Limiter
from clarin_core.ports.small import Clock
from clarin_core.ports.storage import Storage
from clarin_core.reads.cached import CachedStorage
from clarin_core.reads.feed import Feed
from clarin_core.usecases.accounts import AccountUseCases
from clarin_core.usecases.chats import ChatUseCases
from clarin_core.usecases.contacts import ContactUseCases
from clarin_core.usecases.devices import DeviceUseCases
from clarin_core.usecases.imports import ImportUseCases
from clarin_core.usecases.kommo import KommoUseCases
from clarin_core.usecases.leads import LeadUseCases
from clarin_core.usecases.media import MediaUseCases
from clarin_core.usecases.media_purge import MediaPurgeUseCases
from clarin_core.usecases.members import MemberUseCases
from clarin_core.usecases.messages import MessageUseCases
from clarin_core.usecases.mirror.mirror import KommoMirrors
from clarin_core.usecases.pipelines import PipelineUseCases
from clarin_core.usecases.quick_replies import QuickReplyUseCases
from clarin_core.usecases.sign_in import SignInUseCases
from clarin_core.usecases.tags import TagUseCases
from clarin_redis import RedisLink


@dataclass(frozen=True, slots=True)
class Services:
    """The use cases, and the ports that are used without one."""

    storage: Storage
    reads: CachedStorage
    feed: Feed
    publisher: EventPublisher
    redis: RedisLink | None
    clock: Clock
    limiter: Limiter
    mirrors: KommoMirrors
    accounts: AccountUseCases
    chats: ChatUseCases
    contacts: ContactUseCases
    devices: DeviceUseCases
    imports: ImportUseCases
    kommo: KommoUseCases
    leads: LeadUseCases
    media: MediaUseCases
    media_purge: MediaPurgeUseCases
    members: MemberUseCases
    messages: MessageUseCases
    pipelines: PipelineUseCases
    quick_replies: QuickReplyUseCases
    sign_in: SignInUseCases
    tags: TagUseCases

    def owner_of(self, class_name: str) -> object:
        """Return the use cases of a class; raises LookupError."""
        parts = (getattr(self, field.name) for field in fields(self))
        for part in parts:
            if type(part).__name__ == class_name:
                return part
        raise LookupError(class_name)
