"""All settings: those of the service, and those of the default line. Each one has one entry in a field of its part.

Rules that look at several settings together are in `config.reading`.
"""

from dataclasses import dataclass

from lexbridge.config.line_settings import LineSettings
from lexbridge.config.parsers import address
from lexbridge.config.service_settings import ServiceSettings
from lexbridge.config.setting import Group, Setting, entries_of


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of the environment. `default_line`: None if it names no bot, because all bots are in LINES_FILE."""

    service: ServiceSettings
    default_line: LineSettings | None

    @property
    def line(self) -> LineSettings:
        """Settings of the default line. Raise LookupError if there is none."""
        if self.default_line is None:
            raise LookupError("the environment names no bot, so there is no default line")
        return self.default_line

    def notice(self, line: LineSettings) -> str:
        """Return the words that each call of a line begins with because it is recorded, or ""."""
        return line.record_notice or "" if self.service.record_dir is not None else ""


BOTO3_SETTINGS: tuple[Setting, ...] = (
    Setting(
        "AWS_ENDPOINT_URL_LEX_RUNTIME_V2", address("https", "http"), Group.BOT, "Where boto3 finds Lex V2. Unset: AWS"
    ),
    Setting(
        "AWS_ENDPOINT_URL_LEX_RUNTIME_SERVICE",
        address("https", "http"),
        Group.BOT,
        "Where boto3 finds Lex V1. Unset: AWS",
    ),
    Setting(
        "AWS_ENDPOINT_URL_STS",
        address("https", "http"),
        Group.BOT,
        "Where boto3 finds STS, which gives the roles of `BOT_ROLE_ARN`, and which `server.py --check=live` asks. "
        "Unset: AWS",
    ),
)
"""Settings that boto3 reads itself from the environment. They are checked, but are no fields of Settings."""

_GROUPS = list(Group)

SETTINGS: tuple[Setting, ...] = tuple(
    sorted(
        (*entries_of(ServiceSettings), *entries_of(LineSettings), *BOTO3_SETTINGS),
        key=lambda one: (_GROUPS.index(one.group), not one.required),
    )
)
"""Every setting by group, within a group the required ones first."""
