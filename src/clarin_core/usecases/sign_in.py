"""Signing in, staying signed in, and ending it."""

import base64
import hashlib
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from clarin_core.domain.accounts import (
    Membership,
    PasswordChange,
    ProfileChange,
    Secret,
    Session,
    Standing,
    User,
)
from clarin_core.domain.actor import Actor, Cause, Origin
from clarin_core.domain.ids import AccountId, SessionId
from clarin_core.domain.limits import Tries
from clarin_core.domain.sign_in import (
    TRIES_PER_ADDRESS,
    TRIES_PER_NAME,
    AccountChoice,
    Credentials,
    Profile,
    RefreshToken,
    Settings,
    SignedIn,
    Ticket,
)
from clarin_core.domain.text import clean_text, fold
from clarin_core.errors import Invalid, NotFound, Unauthorized
from clarin_core.ports.directory import Directory
from clarin_core.ports.limiter import Limiter, Try
from clarin_core.ports.small import Claims, Clock, PasswordHasher, Random, TokenIssuer
from clarin_core.ports.storage import Storage

ACCESS_LIFE = timedelta(minutes=15)
REFRESH_LIFE = timedelta(days=30)
TICKET_LIFE = timedelta(seconds=30)
_SECRET_BYTES = 32
_DIGEST_BYTES = 32


@dataclass(frozen=True, slots=True)
class SignInUseCases:
    """Sign-in by password, rotating refresh tokens, tickets for sockets."""

    storage: Storage
    clock: Clock
    random: Random
    hasher: PasswordHasher
    tokens: TokenIssuer
    limiter: Limiter

    async def login(self, credentials: Credentials, *, address: str) -> SignedIn:
        """Exchange a password for tokens; one answer for unknown names and wrong passwords.

        Raises RateLimited after 10 tries for a name or 50 from an address in 15 minutes.
        """
        secret = await self._prove(credentials, address)
        renewed = await self._renewed(secret, credentials.password)
        async with self.storage.directory() as directory:
            now = await directory.users.secret_of(secret.user.id)
            if now.token_version != secret.token_version or not now.user.is_active:
                raise Unauthorized("user name or password is wrong")  # It changed meanwhile.
            if renewed and now.password_hash == secret.password_hash:
                await directory.users.set_password(secret.user.id, renewed)
            places = await directory.users.memberships(secret.user.id)
            if not places:
                raise Unauthorized("the user works in no active account")
            session, refresh = await self._open(directory, secret.user, places[0].account_id)
        return self._signed_in(session, refresh, secret.user, secret.token_version, places)

    async def refresh(self, pair: RefreshToken) -> SignedIn:
        """Exchange a refresh token for a new pair; a used one ends the whole sign-in.

        One that was never given ends nothing, or anybody could sign others out by number.
        """
        session_id, family, secret = _read_refresh(pair.refresh_token)
        async with self.storage.directory() as directory:
            session = await _live_session(directory, session_id, at=self.clock())
            kept, shown = session.refresh_hash, _kept(family, secret)
            if hmac.compare_digest(kept, shown):
                return await self._go_on(directory, session, family)
            if hmac.compare_digest(kept[:_DIGEST_BYTES], shown[:_DIGEST_BYTES]):
                session.revoked_at = self.clock()
                await directory.sessions.save(session)
        raise Unauthorized("the refresh token does not count (any more)")

    async def switch_account(self, actor: Actor, choice: AccountChoice) -> SignedIn:
        """Go on in another account of the user."""
        async with self.storage.directory() as directory:
            session = await _live_session(directory, actor.session_id, at=self.clock())
            return await self._rotate(directory, session, choice.account_id)

    async def logout(self, actor: Actor) -> None:
        """End the sign-in: its access and refresh tokens and its sockets."""
        async with self.storage.directory() as directory:
            session = await _live_session(directory, actor.session_id, at=self.clock())
            session.revoked_at = self.clock()
            await directory.sessions.save(session)

    async def ticket(self, actor: Actor) -> Ticket:
        """Give a ticket for one WebSocket upgrade within 30 seconds."""
        text = base64.urlsafe_b64encode(self.random(_SECRET_BYTES)).decode().rstrip("=")
        expires_at = self.clock() + TICKET_LIFE
        async with self.storage.directory() as directory:
            session = await _live_session(directory, actor.session_id, at=self.clock())
            await directory.sessions.add_ticket(
                _digest(text), session.id, actor.account_id, expires_at=expires_at
            )
        return Ticket(ticket=text, expires_at=expires_at)

    async def authenticate(self, token: str) -> tuple[Actor, Claims]:
        """Return who holds an access token; raises Unauthorized when it has ended (TN4)."""
        claims = self.tokens.read(token, at=self.clock())
        key = claims.session_id, claims.account_id
        standing = await self.storage.standing(*key, at=self.clock())
        try:
            return _actor(standing, claims.session_id, claims.token_version), claims
        except Unauthorized:  # As far as is remembered: that may let in, and never keeps out.
            (standing,) = await self.storage.standings([key], at=self.clock())
        return _actor(standing, claims.session_id, claims.token_version), claims

    async def redeem(self, ticket: str) -> tuple[Actor, Claims]:
        """Use up a ticket; returns what `authenticate` does, for an access token's life."""
        try:
            async with self.storage.directory() as directory:
                key = await directory.sessions.take_ticket(_digest(ticket), at=self.clock())
        except NotFound as error:
            raise Unauthorized("the ticket does not count (any more)") from error
        (standing,) = await self.storage.standings([key], at=self.clock())
        if standing is None:
            raise Unauthorized("the sign-in has ended")
        actor = _actor(standing, key[0], standing.token_version)
        return actor, self._claims(key[0], key[1], actor, standing.token_version)

    async def me(self, actor: Actor) -> Profile:
        """Return the user, the account and the role."""
        settings = await self.settings(actor)
        return Profile(user=settings.profile, account=settings.account, role=actor.role.value)

    async def my_accounts(self, actor: Actor) -> list[Membership]:
        """Return the active accounts in which the user works, the default first."""
        return (await self.storage.user(actor.user_id)).accounts

    async def settings(self, actor: Actor) -> Settings:
        """Return what the user can set."""
        view = await self.storage.user(actor.user_id)
        user = msgspec.convert(view, User, from_attributes=True)
        account = await self.storage.views(actor.account_id).account()
        return Settings(profile=user, account=account)

    async def change_profile(self, actor: Actor, change: ProfileChange) -> User:
        """Change one's own name or e-mail address."""
        async with self.storage.directory() as directory:
            user = await directory.users.get(actor.user_id)
            user.expect(change.version)
            if user.alter(change.values(), at=self.clock()):
                await directory.users.save(user)
        return user

    async def change_password(self, actor: Actor, change: PasswordChange) -> SignedIn:
        """Take a new password, end every other sign-in and go on with new tokens.

        A wrong current password counts like a try to sign in (R25).
        """
        async with self.storage.directory() as directory:
            secret = await directory.users.secret_of(actor.user_id)
        key = _user_key(secret.user)
        async with self._try(key, TRIES_PER_NAME):
            if not await self.hasher.verify(secret.password_hash, change.current_password):
                raise Invalid("current_password", "is not the password")
        await self.limiter.forget(key)
        hashed = await self.hasher.hash(change.new_password)
        async with self.storage.directory() as directory:
            session = await _live_session(directory, actor.session_id, at=self.clock())
            await directory.users.set_password(actor.user_id, hashed)
            await directory.users.end_tokens(actor.user_id)
            await directory.sessions.revoke_others(actor.user_id, session.id, at=self.clock())
            return await self._rotate(directory, session, actor.account_id)

    async def _prove(self, credentials: Credentials, address: str) -> Secret:
        """Return the user whose password it is; every try counts before it is judged."""
        async with self._try(f"address:{address}", TRIES_PER_ADDRESS) as tried:
            secret = await self._secret(credentials.username)
            key = _stranger_key(credentials.username) if secret is None else _user_key(secret.user)
            async with self._try(key, TRIES_PER_NAME):
                hashed = secret.password_hash if secret else None
                fits = await self.hasher.verify(hashed, credentials.password)
                if secret is None or not fits or not secret.user.is_active:
                    raise Unauthorized("user name or password is wrong")
            await self.limiter.forget(key)
        await self.limiter.give_back(tried)
        return secret

    @asynccontextmanager
    async def _try(self, key: str, tries: Tries) -> AsyncIterator[Try]:
        """Count a try, unless nobody judges it; what proves right is the caller's to undo."""
        tried = await self.limiter.take(key, tries)
        try:
            yield tried
        except (Unauthorized, Invalid):
            raise
        except BaseException:  # Nobody judged it: a part is away, or the caller is.
            await self.limiter.give_back(tried)
            raise

    async def _secret(self, login: str) -> Secret | None:
        try:
            name = clean_text("username", login, shortest=1, longest=255, lines=False)
        except Invalid:
            return None  # Nobody is named so, and a store might refuse to look.
        async with self.storage.directory() as directory:
            return await directory.users.secret(name)

    async def _renewed(self, secret: Secret, password: str) -> str | None:
        """Return the hash with today's parameters, None if it has them."""
        outdated = self.hasher.is_outdated(secret.password_hash)
        return await self.hasher.hash(password) if outdated else None

    async def _open(
        self, directory: Directory, user: User, account_id: AccountId
    ) -> tuple[Session, str]:
        family, secret = self._secret_text(), self._secret_text()
        session = await directory.sessions.add(
            user.id,
            account_id,
            refresh_hash=_kept(family, secret),
            expires_at=self.clock() + REFRESH_LIFE,
        )
        return session, f"{session.id}.{family}.{secret}"

    async def _go_on(self, directory: Directory, session: Session, family: str) -> SignedIn:
        try:
            return await self._rotate(directory, session, session.account_id, family=family)
        except NotFound as error:
            raise Unauthorized("the sign-in has ended") from error

    async def _rotate(
        self,
        directory: Directory,
        session: Session,
        account_id: AccountId,
        *,
        family: str | None = None,
    ) -> SignedIn:
        """Replace the refresh token of a live sign-in and give new tokens.

        A used token is known by its family; without one a new family begins.
        """
        secret = await directory.users.secret_of(session.user_id)
        places = await directory.users.memberships(session.user_id)
        if not secret.user.is_active:
            raise Unauthorized("the sign-in has ended")
        if account_id not in {place.account_id for place in places}:
            raise NotFound("account", account_id)
        family, text = family or self._secret_text(), self._secret_text()
        session.account_id = account_id
        session.refresh_hash = _kept(family, text)
        session.expires_at = self.clock() + REFRESH_LIFE
        await directory.sessions.save(session)
        refresh = f"{session.id}.{family}.{text}"
        return self._signed_in(session, refresh, secret.user, secret.token_version, places)

    def _signed_in(
        self,
        session: Session,
        refresh: str,
        user: User,
        token_version: int,
        places: list[Membership],
    ) -> SignedIn:
        expires_at = (self.clock() + ACCESS_LIFE).replace(microsecond=0)
        claims = Claims(user.id, session.account_id, session.id, token_version, expires_at)
        return SignedIn(
            token=self.tokens.issue(claims),
            refresh_token=refresh,
            expires_at=expires_at,
            account_id=session.account_id,
            user=user,
            accounts=places,
        )

    def _secret_text(self) -> str:
        return self.random(_SECRET_BYTES).hex()

    def _claims(
        self, session_id: SessionId, account_id: AccountId, actor: Actor, version: int
    ) -> Claims:
        return Claims(actor.user_id, account_id, session_id, version, self.clock() + ACCESS_LIFE)


def _user_key(user: User) -> str:
    """Return by what tries for a user count, whether by name or by e-mail address."""
    return f"user:{user.id}"


def _stranger_key(login: str) -> str:
    return f"name:{fold(login)}"


def _actor(standing: Standing | None, session_id: SessionId, token_version: int) -> Actor:
    if standing is None:
        raise Unauthorized("the sign-in has ended")
    role = standing.verify(token_version)
    return Actor(
        account_id=standing.account_id,
        user_id=standing.user_id,
        role=role,
        is_super_admin=standing.is_super_admin,
        region=standing.region,
        session_id=session_id,
        origin=Origin(cause=Cause.USER, user_id=standing.user_id),
    )


async def _live_session(
    directory: Directory, session_id: SessionId | None, *, at: datetime
) -> Session:
    try:
        session = await directory.sessions.get(session_id or SessionId(0))
    except NotFound as error:
        raise Unauthorized("the sign-in has ended") from error
    if session.revoked_at is not None or session.expires_at <= at:
        raise Unauthorized("the sign-in has ended")
    return session


def _read_refresh(text: str) -> tuple[SessionId, str, str]:
    """Return the sign-in, the family and the secret of a refresh token."""
    number, _, rest = text.partition(".")
    family, _, secret = rest.partition(".")
    if not (number.isascii() and number.isdigit() and len(number) <= 18 and secret):
        raise Unauthorized("the refresh token does not count (any more)")
    return SessionId(int(number)), family, secret


def _kept(family: str, secret: str) -> bytes:
    """Return what is stored of a refresh token; the first half tells a used one from a guess."""
    return _digest(family) + _digest(secret)


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()
