"""Access tokens: JSON Web Tokens with one algorithm, one key and no option."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

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


class JwtIssuer(TokenIssuer):
    """Signs with HS256. A token begins `life` before it ends.

    The secret has 32 bytes or more; whoever knows it can sign in as anybody.
    """

    def __init__(self, secret: bytes, *, life: timedelta) -> None:
        if len(secret) < SECRET_BYTES_MIN:
            raise ValueError(f"a signing secret has {SECRET_BYTES_MIN} bytes or more")
        self._secret = secret
        self._life = life
        self._jws = PyJWS(algorithms=[_ALGORITHM])

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
        payload = self._payload(token)
        expires_at = datetime.fromtimestamp(payload.exp, UTC)
        begins = datetime.fromtimestamp(max(payload.nbf, payload.iat), UTC)
        if expires_at <= at or begins > at + _SKEW:
            raise Unauthorized("the token has expired or is not valid yet")
        return Claims(
            UserId(int(payload.sub)),
            AccountId(payload.acc),
            SessionId(payload.sid),
            payload.ver,
            expires_at,
        )

    def _payload(self, token: str) -> _Payload:
        try:
            signed = self._jws.decode_complete(token, self._secret, algorithms=[_ALGORITHM])
            if signed["header"].get("typ") != _TYPE:
                raise Unauthorized("the token is of another kind")
            return msgspec.json.decode(signed["payload"], type=_Payload)
        # The header is read before the signature is checked, so it may hold anything.
        except (PyJWTError, MsgspecError, RecursionError, ValueError) as error:
            raise Unauthorized("the token is not one of ours") from error
