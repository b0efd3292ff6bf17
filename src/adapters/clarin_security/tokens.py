"""Access tokens: JSON Web Tokens with one algorithm, one key and no option.

To verify a signature costs more than all else that most requests need. So a token that was found
to be ours is remembered by its text, and only its times are looked at again; whether its sign-in
still counts is nobody's business here.
"""

from collections import OrderedDict
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, NamedTuple

import msgspec
from jwt import PyJWS, PyJWTError
from msgspec import Meta, MsgspecError, Struct

from clarin_core.domain.ids import ID_MAX, AccountId, SessionId, UserId
from clarin_core.errors import Unauthorized
from clarin_core.ports.small import Claims, TokenIssuer

SECRET_BYTES_MIN = 32  # RFC 7518, 3.2: a key is not shorter than the hash.

_ALGORITHM = "HS256"
_TYPE = "at+jwt"  # RFC 9068, 2.1: says that it is an access token and nothing else.
_SKEW = timedelta(seconds=30)
_KNOWN_MAX = 20_000  # About 15 MB.

_Id = Annotated[int, Meta(ge=1, le=ID_MAX)]
_Seconds = Annotated[int, Meta(ge=0, le=2**40)]


class _Payload(Struct, frozen=True, kw_only=True):
    """All claims are required; `sub` is the user, `ver` the user's token version."""

    iss: Literal["clarin"]
    aud: Literal["clarin"]
    sub: Annotated[str, Meta(pattern="^[1-9][0-9]{0,18}$")]
    acc: _Id
    sid: _Id
    ver: Annotated[int, Meta(ge=0)]
    iat: _Seconds
    nbf: _Seconds
    exp: _Seconds


class _Known(NamedTuple):
    """What a token that is ours says."""

    begins: datetime
    claims: Claims

    def counts(self, at: datetime) -> bool:
        return self.begins <= at + _SKEW and at < self.claims.expires_at


class JwtIssuer(TokenIssuer):
    """Signs with HS256. A token begins `life` before it ends.

    The secret has 32 bytes or more; whoever knows it can sign in as anybody.
    """

    def __init__(self, secret: bytes, *, life: timedelta, known_max: int = _KNOWN_MAX) -> None:
        if len(secret) < SECRET_BYTES_MIN:
            raise ValueError(f"a signing secret has {SECRET_BYTES_MIN} bytes or more")
        self._secret = secret
        self._life = life
        self._jws = PyJWS(algorithms=[_ALGORITHM])
        self._known_max = known_max
        self._known = OrderedDict[str, _Known]()

    @property
    def tokens_known(self) -> int:
        """Number of tokens that take memory."""
        return len(self._known)

    def issue(self, claims: Claims) -> str:
        """Return a signed token; `expires_at` counts in whole seconds."""
        begins = int((claims.expires_at - self._life).timestamp())
        payload = _Payload(
            iss="clarin",
            aud="clarin",
            sub=str(claims.user_id),
            acc=claims.account_id,
            sid=claims.session_id,
            ver=claims.token_version,
            iat=begins,
            nbf=begins,
            exp=int(claims.expires_at.timestamp()),
        )
        said = msgspec.json.encode(payload)
        return self._jws.encode(said, self._secret, _ALGORITHM, headers={"typ": _TYPE})

    def read(self, token: str, *, at: datetime) -> Claims:
        """Return a token's claims; raises Unauthorized for a forged or an expired one."""
        known = self._known.get(token) or self._verified(token)
        if not known.counts(at):
            self._known.pop(token, None)
            raise Unauthorized("the token has expired or is not valid yet")
        return known.claims

    def _verified(self, token: str) -> _Known:
        """Return what a token says, and remember it; those that came first have expired first."""
        payload = self._payload(token)
        claims = Claims(
            UserId(int(payload.sub)),
            AccountId(payload.acc),
            SessionId(payload.sid),
            payload.ver,
            datetime.fromtimestamp(payload.exp, UTC),
        )
        begins = datetime.fromtimestamp(max(payload.nbf, payload.iat), UTC)
        known = self._known[token] = _Known(begins, claims)
        if len(self._known) > self._known_max:
            self._known.popitem(last=False)
        return known

    def _payload(self, token: str) -> _Payload:
        try:
            signed = self._jws.decode_complete(token, self._secret, algorithms=[_ALGORITHM])
            if signed["header"].get("typ") != _TYPE:
                raise Unauthorized("the token is of another kind")
            return msgspec.json.decode(signed["payload"], type=_Payload)
        # The header is read before the signature is checked, so it may hold anything.
        except (PyJWTError, MsgspecError, RecursionError, ValueError) as error:
            raise Unauthorized("the token is not one of ours") from error
