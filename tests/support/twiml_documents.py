"""Documents of one bridge, and the text of their verbs."""

from lexbridge.lex.model import Message, MessageFormat
from lexbridge.twilio.twiml import TwimlDocuments
from tests.support.twilio_messages import STREAM_SID
from tests.support.twiml import text_of, verbs_of

DOCUMENTS = TwimlDocuments("https://voice.example.com", "wss://voice.example.com/", hold_s=40)
SAYS_ELEMENTS = {"break", "emphasis", "lang", "p", "phoneme", "prosody", "s", "say-as", "sub", "w"}


def ssml(text):
    """Return a message in SSML."""
    return Message(text, MessageFormat.SSML)


def reply(messages, opening=None):
    """Return the document of a reply."""
    return DOCUMENTS.reply(messages, STREAM_SID, opening)


def spoken(document):
    """Return the texts of a document's Says."""
    return [text_of(verb) for verb in verbs_of(document.twiml) if verb.tagName == "Say"]


def elements_below(element):
    """Yield all elements inside an element."""
    for child in element.childNodes:
        if child.nodeType == child.ELEMENT_NODE:
            yield child
            yield from elements_below(child)
