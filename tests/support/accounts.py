"""Twilio accounts for tests of signatures."""

from lexbridge.config.twilio_account import TwilioAccount, TwilioAccounts


def account_with(token: str, secondary: str | None = None, sid: str | None = None) -> TwilioAccount:
    """Return an account with these auth tokens, and with the AccountSid `sid`."""
    return TwilioAccount(
        twilio_account_sid=sid,
        twilio_auth_token=token,
        twilio_auth_token_secondary=secondary,
        twilio_api_key_sid=None,
        twilio_api_key_secret=None,
    )


def accounts_with(token: str, secondary: str | None = None) -> TwilioAccounts:
    """Return the accounts of a service that serves one, with these auth tokens."""
    return TwilioAccounts(account_with(token, secondary))
