"""Misspelt settings: names of variables that were meant for a setting.

The environment and `.env` also hold variables of tools and of other programs. So only a name that differs from a
setting's by a slip is refused. A name that is merely similar is reported if it stands in `.env` or begins with LEX_.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from difflib import SequenceMatcher, get_close_matches

from lexbridge.config.settings import SETTINGS

_KNOWN = tuple(setting.name for setting in SETTINGS)

_COMMON = frozenset({"URL", "LOG_LEVEL", "LOG_FORMAT", "SERVICE_NAME", "WEB_CONCURRENCY", "CONTAINER_PORT", "VAD"})
"""Settings with ordinary names. Other programs have variables that are similar, so those are not refused."""

_FOREIGN = re.compile(
    r"AWS_(ACCESS_KEY_ID|SECRET_ACCESS_KEY|SECURITY_TOKEN|(DEFAULT_)?PROFILE|DEFAULT_REGION|CONFIG_FILE|CA_BUNDLE"
    r"|SHARED_CREDENTIALS_FILE|CREDENTIAL_EXPIRATION|ENDPOINT_URL|ENDPOINT_URL_(?!LEX).*|IGNORE_CONFIGURED_ENDPOINT_URLS"
    r"|ENDPOINT_URL_LEX_MODEL(S_V2|_BUILDING_SERVICE)|ROLE_.*|WEB_IDENTITY_TOKEN_FILE|CONTAINER_.*|EC2_.*|METADATA_.*"
    r"|MAX_ATTEMPTS|RETRY_MODE|DEFAULTS_MODE|DATA_PATH|EXECUTION_ENV|STS_.*|USE_.*|SDK_.*|ACCOUNT_ID.*|SIGV4A_.*)"
    r"|TWILIO_(ACCOUNT_SID|REGION|EDGE|PROFILE|LOG_LEVEL|PHONE_NUMBER)"
    r"|(?i:[A-Z]+_PROXY)|(PYTHON|GEVENT|COMPOSE_|DOCKER_|NGROK_|OTEL_|LC_|SSL_CERT_|CURL_).*|REQUESTS_CA_BUNDLE|TZ|LANG|PATH"
)
"""Names of variables that belong to libraries, to Python, or to tools that read `.env` too."""

_SERVICE_LINKS = re.compile(r".*_(SERVICE_HOST|SERVICE_PORT.*|PORT|PORT_[0-9]+_(TCP|UDP|SCTP).*|NAME|ENV_.*)")
"""Names of variables that Kubernetes and Docker set for each service. They begin with the service's name."""

_ABOUT_LEX = re.compile(r"LEX_.*|AWS_ENDPOINT_URL_LEX.*")


_LEX_WORDS = frozenset(word for name in _KNOWN if name.startswith("LEX_") for word in name.split("_"))


def find_misspelt(environment: Mapping[str, str], file_names: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield each misspelt name, with the setting that was meant. `file_names`: the names in `.env`."""
    for name in _unknown_names({*environment, *file_names}):
        meant = _find_meant(name, environment, is_in_file=name in file_names)
        if meant is not None:
            yield name, meant


def find_unknown(environment: Mapping[str, str], file_names: Collection[str] = ()) -> Iterator[tuple[str, str | None]]:
    """Yield each other unknown name that is in `.env` or begins with LEX_, with the most similar setting.

    The setting is None if no name is similar. Names of known libraries and tools are left out.
    """
    for name in _unknown_names({*environment, *file_names}):
        is_ours = name in file_names or (_ABOUT_LEX.fullmatch(name) and not _SERVICE_LINKS.fullmatch(name))
        if is_ours and _find_meant(name, environment, is_in_file=name in file_names) is None:
            yield name, _find_similar(name)


def _unknown_names(names: Collection[str]) -> list[str]:
    return sorted(name for name in names if name not in _KNOWN and not _FOREIGN.fullmatch(name))


def _find_similar(name: str) -> str | None:
    """Return the setting with the most similar name, or None if none is similar."""
    close = get_close_matches(name.upper(), _KNOWN, n=1, cutoff=0.7)
    return close[0] if close else None


def _find_meant(name: str, environment: Mapping[str, str], *, is_in_file: bool) -> str | None:
    """Return the setting that `name` misspells, or None if it misspells none.

    A name in the environment can misspell only a setting that is unset there.
    """
    if _ABOUT_LEX.fullmatch(name) and not _SERVICE_LINKS.fullmatch(name):
        # LEX_BOT_VERSION, LEX_BOT_ARN and similar names belong to other programs.
        is_foreign = name.startswith("LEX_") and not all(map(_is_word_about_lex, name.split("_")))
        return None if is_foreign else _find_similar(name)
    # The most similar name comes first, because MAX_CALLS and MAX_CALL_S differ by a "_" alone.
    for known in sorted(_KNOWN, key=lambda known: -SequenceMatcher(None, name.upper(), known).ratio()):
        may_be_meant = known not in _COMMON and (is_in_file or not environment.get(known, "").strip())
        if may_be_meant and (_letters(name) == _letters(known) or _differs_in_one_word(name, known)):
            return known
    return None


def _is_word_about_lex(word: str) -> bool:
    return bool(get_close_matches(word, _LEX_WORDS, n=1, cutoff=0.75))


def _letters(name: str) -> str:
    return name.upper().replace("_", "")


def _differs_in_one_word(name: str, known: str) -> bool:
    """Return whether the two names differ in a single word, and there by a letter or two."""
    words, known_words = name.upper().split("_"), known.split("_")
    if len(words) != len(known_words) or len(words) < 2:
        return False
    odd = [pair for pair in zip(words, known_words, strict=True) if pair[0] != pair[1]]
    return len(odd) == 1 and len(odd[0][1]) > 3 and SequenceMatcher(None, *odd[0]).ratio() >= 0.75
