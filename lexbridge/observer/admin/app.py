"""The Flask app of ADMIN_PORT: the console, `/calls`, `/metrics`, `/ping`."""

from collections.abc import Callable

from flask import Flask, Response
from werkzeug.exceptions import HTTPException

from lexbridge.config.lines import LineTable
from lexbridge.config.settings import Settings
from lexbridge.logs import Log
from lexbridge.observer.admin.call_routes import CallRoutes
from lexbridge.observer.admin.call_settings import CallSettings
from lexbridge.observer.admin.console_routes import ConsoleRoutes
from lexbridge.observer.admin.followed_calls import FollowedCalls
from lexbridge.observer.admin.guard import MAX_BODY_BYTES, Guard, refuse
from lexbridge.observer.admin.level_store import LevelStore
from lexbridge.observer.admin.live_events import LiveEvents
from lexbridge.observer.calls.call_book import CallBook


def build_admin(
    settings: Settings,
    book: CallBook,
    follow: Callable[[frozenset[str]], None],
    call_settings: CallSettings | None = None,
    let_go: Callable[[str], bool] | None = None,
) -> Flask:
    """Return the app. `follow`: asks the workers for the audio of these calls, and of no others.

    `call_settings`: those of each call; without them, all have those of the default line. `let_go`: lets a call go, and
    returns whether a worker had its stream. Without it no call can be let go here.
    """
    call_settings = call_settings or CallSettings(lambda: LineTable.of(settings))
    app = Flask("lexbridge.admin", template_folder=None, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = app.config["MAX_FORM_MEMORY_SIZE"] = MAX_BODY_BYTES
    app.url_map.merge_slashes = False  # else Flask would redirect "//" to the host that a stranger has named
    levels = LevelStore(call_settings)
    events = LiveEvents(book, levels, FollowedCalls(book, follow))
    Guard(settings).protect(app)
    app.register_blueprint(CallRoutes(call_settings, book, levels, let_go).blueprint())
    app.register_blueprint(ConsoleRoutes(settings, book, events).blueprint())
    app.register_error_handler(HTTPException, _refused)
    app.register_error_handler(Exception, _broken)
    return app


def _refused(error: HTTPException) -> Response:
    """Answer what Flask refuses in the way that the routes do."""
    response = refuse(error.code or 500, error.description or error.name)
    if (allowed := getattr(error, "valid_methods", None)) is not None:
        response.headers["Allow"] = ", ".join(allowed)
    return response


def _broken(_: Exception) -> Response:
    Log().exception("console-broken")
    return refuse(500, "a bug in the console: the log has it")
