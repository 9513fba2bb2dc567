"""One Twilio account: what proves that a webhook is its own, and what signs in to its REST API."""

from collections.abc import Iterable
from dataclasses import dataclass

from lexbridge.config.parsers import auth_token, matching
from lexbridge.config.setting import Group, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class TwilioAccount:
    """The secrets of one Twilio account. A subaccount has an auth token of its own."""

    twilio_auth_token: str = setting(
        "TWILIO_AUTH_TOKEN",
        auth_token("must be the auth token of the Twilio console"),
        Group.TWILIO,
        "Twilio's primary auth token. It checks signatures, and signs in to the REST API unless an API key does",
        required=True,
        secret=True,
    )
    twilio_auth_token_secondary: str | None = setting(
        "TWILIO_AUTH_TOKEN_SECONDARY",
        auth_token("must be the secondary auth token of the Twilio console"),
        Group.TWILIO,
        "Twilio's secondary auth token, while you rotate the two. Signatures made with it are valid too, and the REST "
        "API is tried with it if Twilio refuses the primary one",
        secret=True,
    )
    twilio_api_key_sid: str | None = setting(
        "TWILIO_API_KEY_SID",
        matching(r"SK[0-9a-fA-F]{32}", "must be the SID of a Twilio API key: SK and 32 hexadecimal digits"),
        Group.TWILIO,
        "SID of an API key of the same account, `SK...`, with its secret. It signs in to the REST API instead of the "
        "auth token, and can be revoked by itself",
    )
    twilio_api_key_secret: str | None = setting(
        "TWILIO_API_KEY_SECRET",
        matching(r"[!-~]+", "must be the secret of a Twilio API key"),
        Group.TWILIO,
        "Secret of `TWILIO_API_KEY_SID`",
        secret=True,
    )
    twilio_account_sid: str | None = setting(
        "TWILIO_ACCOUNT_SID",
        matching(r"AC[0-9a-fA-F]{32}", "must be the account's SID: AC and 32 hexadecimal digits"),
        Group.TWILIO,
        "Account that `server.py --check=live` asks Twilio about. The service itself does not need it",
    )

    @property
    def auth_tokens(self) -> tuple[str, ...]:
        """Every token that may have made a signature, the primary first."""
        secondary = self.twilio_auth_token_secondary
        return (self.twilio_auth_token, secondary) if secondary else (self.twilio_auth_token,)


class TwilioAccounts:
    """The Twilio accounts whose calls a process serves.

    A call belongs to the account that its webhook names, and only that account's secrets count for it. So who knows
    the token of one account cannot reach the lines of another.
    """

    def __init__(self, own: TwilioAccount, others: Iterable[TwilioAccount] = ()) -> None:
        """`own`: that of the environment, to which every AccountSid belongs that no other account has.

        `others`: each has its `twilio_account_sid`.
        """
        self.own = own
        self._others: dict[str, TwilioAccount] = {}
        self.replace_others(others)

    def replace_others(self, others: Iterable[TwilioAccount]) -> None:
        """Replace all accounts but the own one, because the table of lines was read anew."""
        self._others = {one.twilio_account_sid: one for one in others if one.twilio_account_sid}

    def of(self, account_sid: str) -> TwilioAccount:
        """Return the account to which calls with this AccountSid belong."""
        return self._others.get(account_sid, self.own)

    def signer_of(self, account_sid: str) -> str:
        """Return the account whose secrets count for calls with this AccountSid: "" for that of the environment."""
        return account_sid if account_sid in self._others else ""


def sid_of_other(account: TwilioAccount, own: TwilioAccount) -> str:
    """Return the AccountSid of an account other than the `own` one of the environment, or "" for that."""
    return "" if account == own else account.twilio_account_sid or ""
