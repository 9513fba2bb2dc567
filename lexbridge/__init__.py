"""lexbridge puts an Amazon Lex bot on a phone number.

The packages, and which of them may import which, are drawn in docs/architecture.md. A call is data flowing one way:

    Twilio's text -> event -> frame -> voiced or not -> utterance -> Lex request -> Reply -> TwiML -> Twilio's REST API
"""

__version__ = "1.0.0.dev0"
