"""Names of variables that are no setting's, but were meant for one.

Both the environment and `.env` hold names of others: of tools, and of programs that share them. So a name is refused
only if it is all but a setting's. What is merely like one, in `.env` or among the names that begin with LEX_, is told.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from difflib import SequenceMatcher, get_close_matches

from lexbridge.config.settings import SETTINGS

_KNOWN = tuple(setting.name for setting in SETTINGS)

_COMMON = frozenset({"URL", "LOG_LEVEL", "LOG_FORMAT", "SERVICE_NAME", "WEB_CONCURRENCY", "CONTAINER_PORT", "VAD"})
"""Settings whose names are so ordinary that other programs have variables much like them."""

_OTHERS = re.compile(
    r"AWS_(ACCESS_KEY_ID|SECRET_ACCESS_KEY|SECURITY_TOKEN|(DEFAULT_)?PROFILE|DEFAULT_REGION|CONFIG_FILE|CA_BUNDLE"
    r"|SHARED_CREDENTIALS_FILE|CREDENTIAL_EXPIRATION|ENDPOINT_URL|ENDPOINT_URL_(?!LEX).*|IGNORE_CONFIGURED_ENDPOINT_URLS"
    r"|ENDPOINT_URL_LEX_MODEL(S_V2|_BUILDING_SERVICE)|ROLE_.*|WEB_IDENTITY_TOKEN_FILE|CONTAINER_.*|EC2_.*|METADATA_.*"
    r"|MAX_ATTEMPTS|RETRY_MODE|DEFAULTS_MODE|DATA_PATH|EXECUTION_ENV|STS_.*|USE_.*|SDK_.*|ACCOUNT_ID.*|SIGV4A_.*)"
    r"|TWILIO_(ACCOUNT_SID|REGION|EDGE|PROFILE|LOG_LEVEL|PHONE_NUMBER)"
    r"|(?i:[A-Z]+_PROXY)|(PYTHON|GEVENT|COMPOSE_|DOCKER_|NGROK_|OTEL_|LC_|SSL_CERT_|CURL_).*|REQUESTS_CA_BUNDLE|TZ|LANG|PATH"
)
"""Names that belong to libraries, to Python, or to the tools that read `.env` too."""

_LINKS = re.compile(r".*_(SERVICE_HOST|SERVICE_PORT.*|PORT|PORT_[0-9]+_(TCP|UDP|SCTP).*|NAME|ENV_.*)")
"""What Kubernetes and Docker put into the environment for a service whose name is the first word."""

_LEXS_OWN = re.compile(r"LEX_.*|AWS_ENDPOINT_URL_LEX.*")


_LEX_WORDS = frozenset(word for name in _KNOWN if name.startswith("LEX_") for word in name.split("_"))


def find_misspelt(environment: Mapping[str, str], file_names: Collection[str]) -> Iterator[tuple[str, str]]:
    """Each name that must have been meant for a setting, with that setting. `file_names`: the names that `.env` has."""
    for name in _unknown({*environment, *file_names}):
        meant = _must_mean(name, environment, is_in_file=name in file_names)
        if meant is not None:
            yield name, meant


def find_strange(environment: Mapping[str, str], file_names: Collection[str] = ()) -> Iterator[tuple[str, str | None]]:
    """Each other name in `.env`, or that begins with LEX_, that is no setting's and of no library or tool that is known
    here, with the setting that it is most like; None: with none."""
    for name in _unknown({*environment, *file_names}):
        is_ours = name in file_names or (_LEXS_OWN.fullmatch(name) and not _LINKS.fullmatch(name))
        if is_ours and _must_mean(name, environment, is_in_file=name in file_names) is None:
            yield name, _like(name)


def _unknown(names: Collection[str]) -> list[str]:
    return sorted(name for name in names if name not in _KNOWN and not _OTHERS.fullmatch(name))


def _like(name: str) -> str | None:
    """The setting whose name is most like this one."""
    close = get_close_matches(name.upper(), _KNOWN, n=1, cutoff=0.7)
    return close[0] if close else None


def _must_mean(name: str, environment: Mapping[str, str], *, is_in_file: bool) -> str | None:
    """The setting that `name` is all but the name of. In the environment that has to be unset; None: there is none."""
    if _LEXS_OWN.fullmatch(name) and not _LINKS.fullmatch(name):
        # LEX_BOT_VERSION, LEX_BOT_ARN and their like are of other programs.
        is_others = name.startswith("LEX_") and not all(map(_is_like_a_word_of_lexs, name.split("_")))
        return None if is_others else _like(name)
    for known in _KNOWN:
        may_be_meant = known not in _COMMON and (is_in_file or not environment.get(known, "").strip())
        if may_be_meant and (_joined(name) == _joined(known) or _one_word_is_odd(name, known)):
            return known
    return None


def _is_like_a_word_of_lexs(word: str) -> bool:
    return bool(get_close_matches(word, _LEX_WORDS, n=1, cutoff=0.75))


def _joined(name: str) -> str:
    return name.upper().replace("_", "")


def _one_word_is_odd(name: str, known: str) -> bool:
    """Whether the two differ in a single word, and there by a slip: by a letter or two."""
    words, known_words = name.upper().split("_"), known.split("_")
    if len(words) != len(known_words) or len(words) < 2:
        return False
    odd = [pair for pair in zip(words, known_words, strict=True) if pair[0] != pair[1]]
    return len(odd) == 1 and len(odd[0][1]) > 3 and SequenceMatcher(None, *odd[0]).ratio() >= 0.75
