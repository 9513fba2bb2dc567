"""Fuzz of TwiML: documents rendered from random and hostile messages of a bot.

Each message goes into every kind of document that can hold it. A document has to be well-formed for a parser that
shares no code with the renderer, at most 4,000 characters long, and made only of the verbs, attributes and SSML
elements of the lists below; a transfer may dial only the number that it was given. Seeded. Exit status 1 at the first
fault.
"""

import random
import time
from collections.abc import Sequence
from xml.parsers import expat

from bench.harness.arguments import make_parser
from lexbridge.call.documents import Document, Opening
from lexbridge.call.dtmf import KeyRules
from lexbridge.call.transfers import Handoff
from lexbridge.config.transfer_targets import parse_target
from lexbridge.lex.model import Message, MessageFormat
from lexbridge.twilio.twiml import TwimlDocuments

VERBS = {
    *("Response", "Start", "Stop", "Connect", "Stream", "Parameter"),
    *("Say", "Pause", "Gather", "Redirect", "Hangup", "Dial", "Enqueue"),
    *("Number", "Sip", "Client", "Identity", "Conference", "Task"),
}
SSML = {"break", "emphasis", "lang", "p", "phoneme", "prosody", "s", "say-as", "sub", "w"}
ATTRIBUTES = {
    "Stream": {"url", "statusCallback", "name"},
    "Parameter": {"name", "value"},
    "Say": {"voice", "language"},
    "Pause": {"length"},
    "Gather": {"input", "action", "method", "finishOnKey", "timeout", "numDigits"},
    "Redirect": {"method"},
    "Dial": {"callerId", "action", "method"},
    "Enqueue": {"workflowSid", "action", "method"},
    "Number": {"sendDigits", "url", "method"},
    "Sip": {"url", "method"},
    "Client": {"url", "method"},
    "break": {"strength", "time"},
    "emphasis": {"level"},
    "lang": {"xml:lang"},
    "phoneme": {"alphabet", "ph"},
    "prosody": {"volume", "rate", "pitch"},
    "say-as": {"interpret-as", "format"},
    "sub": {"alias"},
    "w": {"role"},
}
TARGETS = (
    "+12065550142",
    "+12065550142;ext=12",
    "sip:sales@example.com",
    "client:alice",
    "queue:Sales",
    "workflow:WW" + "01" * 16,
    "conference:Sales",
)
DIALLED = {"+12065550142", "sip:sales@example.com", "alice", "Sales"}

NOUNS = ("Dial", "Enqueue", "Number", "Sip", "Client", "Identity", "Conference")

ADVERSARIAL = (
    "</Say><Dial>+19005550100</Dial><Say>",
    "<Dial>+19005550100</Dial>",
    "<speak><Dial>+19005550100</Dial></speak>",
    "<speak></speak></Say><Hangup/><Say>",
    '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]><speak>&b;</speak>',
    '<speak><audio src="https://evil.example/a.mp3"/>hello</speak>',
    "<speak><![CDATA[</Say><Dial>1</Dial>]]></speak>",
    '<speak xmlns:x="y"><x:Redirect>https://evil.example</x:Redirect></speak>',
    '<speak><break time="10s" onload="x"/></speak>',
    "<speak>" + "<p>" * 900 + "deep" + "</p>" * 900 + "</speak>",
    "<?xml version='1.0'?><speak>hello</speak>",
    "{{ url }}{% for x in y %}",
    "\x00\x01\x0b\x1b[2J\ufffe\uffff\ud800\udfff",
    "&amp;&#0;&#x1F;&lt;&nbsp;&",
    "]]>",
    '{"text": "</Say><Dial>1</Dial>"}',
    '{"text": ["not", "a", "text"]}',
    "[" * 5000,
    "a" * 10_000,
    "& " * 5_000,
    "One sentence. " * 600,
    "<" * 5000,
    "\u202e\u0000\U0001f4a3\u2028",
)


def message(rolls: random.Random) -> Message:
    """Return a message in one of Lex's formats: noise, pieces of markup, or an attack, whole or in pieces."""
    kind = rolls.randrange(5)
    if kind == 0:
        text = rolls.choice(ADVERSARIAL)
    elif kind == 1:
        text = "".join(chr(rolls.randrange(0x110000)) for _ in range(rolls.randrange(200)))
    elif kind == 2:
        pieces = [
            *ADVERSARIAL,
            "<speak>",
            "</speak>",
            "<p>",
            "</p>",
            "<s>",
            "</s>",
            "<break/>",
            " hello. ",
            "&amp;",
            "<x>",
        ]
        text = "".join(rolls.choice(pieces)[: rolls.randrange(60)] for _ in range(rolls.randrange(12)))
    elif kind == 3:
        names = [*SSML, "Dial", "Hangup", "audio", "amazon:effect", "speak", "mark"]
        text = "word. "
        for _ in range(rolls.randrange(8)):
            name = rolls.choice(names)
            attribute = rolls.choice(("", 'time="1s"', 'level="x"', "level=x", "onload='y'", 'time="'))
            text = f"<{name} {attribute}>{text}</{name}> word, "
        text = f"<speak>{text}</speak>"
    else:
        text = " ".join(
            "".join(rolls.choices("abc<>&\"'{}\n\t\x07", k=rolls.randrange(1, 9))) for _ in range(rolls.randrange(900))
        )
    return Message(text, rolls.choice(list(MessageFormat)))


def handoff(rolls: random.Random, text: str, stream_sid: str) -> Handoff:
    """Return a transfer to one of TARGETS that takes `text` along wherever it may."""
    target = parse_target(rolls.choice(TARGETS))
    assert target is not None
    return Handoff(target, stream_sid, "Goodbye.", attributes={"a": text, text[:30]: text[:90]}, whisper=text[:200])


def fault(document: Document) -> str | None:
    """Return what Twilio or lexbridge does not allow in the document, or None."""
    if len(document.twiml) > 4000:
        return f"{len(document.twiml)} characters"
    found: list[str] = []
    inside: list[str] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        if name not in (SSML if "Say" in inside else VERBS):
            found.append(f"element {name} in {'/'.join(inside)}")
        found.extend(f"{name}@{attribute}" for attribute in attributes if attribute not in ATTRIBUTES.get(name, ()))
        inside.append(name)

    def text(words: str) -> None:
        if inside[-1] in NOUNS and words.partition("?")[0] not in DIALLED:
            found.append(f"dials {words!r}")

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _: inside.pop()
    parser.CharacterDataHandler = text
    try:
        parser.Parse(document.twiml.encode("utf-8"), True)
    except (expat.ExpatError, UnicodeEncodeError) as error:
        return str(error)
    return found[0] if found else None


def main(arguments: Sequence[str]) -> int:
    """Run the measurement. Return its exit status."""
    parser = make_parser("twiml_fuzz", __doc__)
    parser.add_argument("--messages", type=int, default=100_000, help="how many (default: 100,000)")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args(arguments)
    rolls = random.Random(args.seed)
    voices = (None, "Polly.Joanna", "woman")
    addresses = "https://voice.example.com", "wss://voice.example.com/"
    makers = [
        TwimlDocuments(*addresses, 60, voice, "en-US", is_two_way, secret="token")  # noqa: S106
        for voice in voices
        for is_two_way in (False, True)
    ]
    sid, made, longest, slowest_s, cut = "MZ" + "1" * 32, 0, 0, 0.0, 0
    began_s = time.monotonic()
    sent = 0
    while sent < args.messages:
        messages = [message(rolls) for _ in range(rolls.choice((1, 1, 1, 2, 5)))]
        sent += len(messages)
        documents = rolls.choice(makers)
        at_s = time.monotonic()
        for document in (
            documents.reply(messages, sid),
            documents.reply(
                messages, sid, Opening(messages[0].text[:40], [("lexbridge:token", messages[0].text[:90])])
            ),
            documents.reply(messages, sid, voice="Polly.Vicki", keys=KeyRules(rolls.choice("*A0#"), longest=4)),
            documents.connect(messages, Opening(messages[0].text[:40], [("lexbridge:token", messages[0].text[:90])])),
            documents.recover(rolls.randrange(30), messages[0].text[:40]),
            documents.goodbye(messages),
            documents.transfer(messages, handoff(rolls, messages[0].text[:2000], sid)),
            documents.go_on_at("https://flows.example.com/", messages, sid),
            documents.answer(
                messages[0].text, Opening("lexbridge-0", [("lexbridge:called-number", messages[0].text[:200])])
            ),
        ):
            made += 1
            longest = max(longest, len(document.twiml))
            cut += bool(document.characters_cut)
            if found := fault(document):
                print(f"seed {args.seed}, message {sent}: {found}\n{messages!r}\n{document.twiml!r}")
                return 1
        slowest_s = max(slowest_s, time.monotonic() - at_s)
    took_s = time.monotonic() - began_s
    print(f"{sent:,} messages in {made:,} documents, {took_s:.0f} s: every one is well-formed TwiML of our own verbs.")
    print(f"Longest {longest:,} characters, {cut:,} shortened; slowest nine {slowest_s * 1000:.0f} ms.")
    return 0
