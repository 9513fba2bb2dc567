"""lexbridge puts an Amazon Lex bot on a phone number.

A call is data flowing one way, and the code lies along that way. Imports go down only (tests/test_architecture.py).

    Twilio's text -> event -> frame -> voiced or not -> utterance -> Lex request -> Reply -> TwiML -> Twilio's REST API
    websocket        media_stream  vad    endpointing   lex          dialog        twiml     call_control

    floor 0  words       sentences     what lexbridge itself says, in the caller's language
                         errors        every error raised on purpose, and which sentence the caller hears of it
                         parsers       what the text of an environment variable has to look like
                         places        AWS regions and Lex locales: what cannot be one
                         variables     each environment variable: its default, its meaning, its rule
                         spelling      names of variables that were meant for a setting
                         config        the settings, all problems at once
                         doubts        what is odd about settings that are valid
                         env_file      the file .env, read into the environment
    floor 1  wire        token_bucket  so much a second, so much at once
                         rfc6455       the WebSocket protocol: bytes in, messages out, bounded
                         http_request  HTTP/1.x: bytes in, one strict request out, bounded
                         audio         mu-law and PCM, levels, rates, the 20 ms frame
                         media_stream  Twilio Media Streams: text to event, events to frames without holes
                         answer_parts  the parts of an answer of Lex's, each read by itself
                         spoken_payload  what a custom payload says aloud: text, JSON or XML
                         dialog        Lex's answers, V1 and V2, as one Reply
                         reply_audio   Lex's speech as whole frames of mu-law
    floor 2  rules       vad/          detectors: is this frame voiced?
                         hangover      how long the caller may pause
                         endpointing   where an utterance starts and ends, in media time
                         keys          the keys that a caller presses, as one input
                         directives    what the bot asks of the call, by session attributes
                         media_clock   time that passes while a caller's phone sends nothing
                         signatures    who is really Twilio: signatures, and the token of a stream
                         webhook_form  a webhook's form, and what its fields have to look like
                         refusals      why a request is refused, and what to do about it
                         twiml         every document Twilio gets from us, through templates/
                         takeover      what a stream of a call is told by the one before it
    floor 3  heart       actions       what a CallSession wants done
                         turns         what the caller says or keys in, on its way to Lex
                         prompt        what the caller is to hear of a bidirectional stream, and what of it was heard
                         call_state    where a call stands, what moves it, what its rules share
                         reply_mode    how the bot is heard: what the two modes have in common
                         call_update_mode  by documents, each an update of the call
                         stream_mode   in Lex's own voice, over the media stream
                         answering     what an answer calls for: go on, hang up, transfer
                         joining       two pieces of what the caller says, sent to Lex as one
                         resuming      how a stream begins that goes on with a call
                         call          CallSession: messages and replies in, actions out; no clock, no I/O
    floor 4  shell       logs          one event a line, JSON or text
                         board         what the processes know of each other, in memory that they share
                         accepting     which worker accepts a connection: the one with the fewest media sockets
                         sockets       flask-sockets on today's Werkzeug
                         websocket     the media socket: bounded, fair, fast
                         call_log      the calls that are live
                         admission     what a request has to bring before it reaches Flask or the media socket
                         http_connection  one connection: a descriptor, what has come, how long it is waited for
                         http_connections  connections up to a whole request: read in slices, strangers metered
                         media_server  the HTTP handler and server: Flask, and the upgrade of media sockets
                         breaker       whether Lex is down, and turns need not wait for it
                         names         host names to addresses, kept: a dead name server does not touch a call
                         capped_http   what Lex and Twilio answer, read within limits and with pauses
                         aws_clock     requests signed with AWS's time, whatever this machine's clock says
                         lex           what Lex is asked, live, and what it answers, with its voice
                         lex_v1        the requests to a V1 bot: PostContent, and sessions
                         lex_v2        the requests to a V2 bot: RecognizeUtterance, and sessions
                         lex_errors    what boto3 raises, as errors of ours
                         lex_client    a bot of either generation: deadlines, one retry, errors as ours
                         lex_boto      boto3's client for the bot of the settings
                         own_voice     lexbridge's own sentences in the bot's voice
                         call_story    how long each reply took and why, and how the stream ended, as log lines
                         call_control  updates of the live call by Twilio's REST client
                         updates       a call's documents to Twilio, one at a time
                         asking        a call's turns at Lex, each on a greenlet of its own
                         used_tokens   stream tokens that have opened a stream, in memory that the processes share
                         bridge        one CallSession over one WebSocket: an inbox, a loop
                         listener      the socket that they all accept on
                         workers       the parent of the processes: forks, watches, replaces
                         load          is this process overloaded: how late its loop is, how busy, its memory
                         watchdog      a thread that says what holds the loop
                         escaped       what escapes of greenlets, the hub and threads, as one log line each
                         inspection    what a worker does, written to the log on demand by a signal
                         ecs           on Amazon ECS: the task's protection, and the metric that it is scaled by
                         serving       a worker's life: it serves, tells how it is, drains
                         findings      what a check has found, as a table
                         check_aws     does AWS know the credentials, the bot, its alias and locale
                         check_twilio  does Twilio know the token, and call this service
                         check_address does the service answer at its public address, as Twilio would ask
                         live_check    all of these, side by side
    floor 5  door        web           create_app(): webhooks, signatures, the socket's route

    the other house      offline/      a local Lex runtime, a simulated Twilio and caller, the demo; imports floors 0-3
"""

__version__ = "1.0.0.dev0"
