"""Settings of one line: a bot, and how callers talk with it. Those that the rules of a call need are in `call_rules`.

A process serves several lines, each with values of its own. What all lines of a process share is in
`service_settings`.
"""

from dataclasses import dataclass, fields

from lexbridge.audio.vad import DETECTORS, DetectorOptions
from lexbridge.config.bots import BOT_SETTINGS, Bot
from lexbridge.config.call_rules import CallRules
from lexbridge.config.parsers import address, call_facts, line, matching, one_of, spoken, switch, whole_number
from lexbridge.config.places import region
from lexbridge.config.setting import Group, composed_of, entries_of, setting
from lexbridge.config.twilio_account import TwilioAccount


@dataclass(frozen=True, slots=True, kw_only=True)
class LineSettings(CallRules):
    """Settings of one line, those of a call included. Units are in the names."""

    aws_region: str = setting(
        "AWS_REGION", region, Group.BOT, "AWS region of the bot, such as `us-west-2`", required=True
    )
    bot: Bot = composed_of(*BOT_SETTINGS)
    bot_endpoint_url: str | None = setting(
        "BOT_ENDPOINT_URL",
        address("https", "http"),
        Group.BOT,
        "Where Lex is found, such as a VPC endpoint. Unset: as boto3 finds it",
    )
    bot_role_arn: str | None = setting(
        "BOT_ROLE_ARN",
        matching(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]{1,512}", "must be the ARN of an IAM role"),
        Group.BOT,
        "IAM role that is assumed to ask the bot, such as one of another AWS account. Unset: none",
    )
    machine_hangup: bool = setting(
        "MACHINE_HANGUP",
        switch,
        Group.CALL,
        "`on`: an outbound call that a machine answers is hung up at once. It goes with neither `MACHINE_INTENT` nor "
        "`MACHINE_TEXT`. A fax is always hung up",
        default="off",
    )
    line_max_calls: int | None = setting(
        "LINE_MAX_CALLS",
        whole_number(1, 100000),
        Group.LINES,
        "Live calls of one line that each worker takes, so that no line takes the place of the others. Further callers "
        "of the line hear a polite busy message. Unset: `MAX_CALLS` alone limits them",
    )
    line_max_requests: int | None = setting(
        "LINE_MAX_REQUESTS",
        whole_number(1, 100000),
        Group.LINES,
        "Requests of one line that each worker has at Lex at a time, so that no line uses up the quota of the AWS "
        "account. Further ones wait their turn within `LEX_TIMEOUT_S`; then the caller hears an apology. Unset: no "
        "limit",
    )
    account: TwilioAccount = composed_of(*entries_of(TwilioAccount), is_shown=False)
    call_facts: tuple[str, ...] = setting(
        "CALL_FACTS",
        call_facts,
        Group.CALL,
        "What Twilio tells of a call and Lex gets as session attributes: fields of its webhook, comma-separated, and "
        "parameters of the webhook's address, such as `AnsweredBy,SipHeader_X-*,query.campaign`, or `none`; "
        "docs/outbound.md has a table. The default has nothing personal",
        default="AnsweredBy,StirVerstat,ParentCallSid",
    )
    share_caller_number: bool = setting(
        "SHARE_CALLER_NUMBER",
        switch,
        Group.CALL,
        "`on`: Lex gets the caller's number as a session attribute",
        default="off",
    )
    vad: str = setting(
        "VAD",
        one_of(*DETECTORS),
        Group.DETECTOR,
        "Detector of voice, best last: "
        + ", ".join(f"`{name}` ({kind.summary})" for name, kind in DETECTORS.items())
        + "; see docs/endpointing.md",
        default="amplitude",
    )
    voice_threshold: int = setting(
        "VOICE_THRESHOLD",
        whole_number(1, 32767),
        Group.DETECTOR,
        "`amplitude`: RMS of a 16-bit frame above which it counts as voice",
        default="500",
    )
    voice_margin_db: int = setting(
        "VOICE_MARGIN_DB",
        whole_number(-6, 12),
        Group.DETECTOR,
        "`adaptive` and `hybrid`: extra dB above the line noise that a sound needs to count as voice",
        default="0",
    )
    webrtc_mode: int = setting(
        "WEBRTC_MODE",
        whole_number(0, 3),
        Group.DETECTOR,
        "`webrtc`: aggressiveness. 0 accepts almost any sound as voice, 3 is strictest",
        default="3",
    )
    say_voice: str | None = setting(
        "SAY_VOICE",
        line,
        Group.WORDS,
        "Voice of `<Say>`, such as `Polly.Joanna`. Unset: the Twilio account's own for the language",
    )
    say_language: str | None = setting(
        "SAY_LANGUAGE",
        line,
        Group.WORDS,
        "Language of `<Say>`, such as `en-GB`. Unset: the language of `SAY_VOICE`, if that is a voice such as "
        "`Polly.Vicki`, which has one; else that of `LEX_LOCALE_ID`, or the Twilio account's own if that is English",
    )
    record_notice: str | None = setting(
        "RECORD_NOTICE",
        spoken,
        Group.WATCHING,
        "Said first in each call if `RECORD_DIR` is set, such as `This call is recorded.`. What has to be said is a "
        "matter of your law. Unset: nothing",
    )

    @property
    def call_rules(self) -> CallRules:
        """The settings that a call needs, without all others."""
        return CallRules(**{one.name: getattr(self, one.name) for one in fields(CallRules)})

    @property
    def detector_options(self) -> DetectorOptions:
        """The values that tune the detector of voice."""
        return DetectorOptions(**{one.name: getattr(self, one.name) for one in fields(DetectorOptions)})
