// Callers of the load measurement: N media streams that each send a media message every 20 ms, as Twilio does.
//
//   paced_calls PORT CALLS WARM_S SECONDS PING_EVERY HEADER STARTS AUDIO PHRASE_ENDS OUTPUT
//
// STARTS: file with the `start` message of one call a line. AUDIO: file of mu-law frames, which each call plays in a loop
// from a place of its own. PHRASE_ENDS: frames of AUDIO with which a phrase ends, separated by commas, or "-".
// HEADER: one more header line of the handshake, or "-". PING_EVERY: number of media messages between two pings of a call.
//
// All times are of CLOCK_MONOTONIC, so that they can be compared with those of other processes. Standard output tells how
// far it is, and the two steps marked with (*) wait for a line on standard input:
//
//   connected SECONDS     all streams are open (*)
//   began TIME_S          the warm-up is over
//   ended TIME_S MESSAGES the measured time is over; MESSAGES: media messages sent in it
//   sent MESSAGES WORST_S BROKEN   all media messages since the beginning; lateness of this program; streams that broke off (*)
//   closed                all streams have been stopped
//
// OUTPUT gets, a line each: "pong CALL SENT_S WAITED_S" and "phrase CALL ENDED_S".
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { FRAME_BYTES = 160, PAYLOAD_CHARS = 216, MOST_MARKS = 64, MOST_ENDS = 64, MOST_START_BYTES = 4000, MOST_EVENTS = 1024 };
enum { TEXT = 1, CLOSE = 8, PING = 9, PONG = 10 };
static const double FRAME_S = 0.020;
static const double LAST_PONGS_S = 2.0;  // wait for pongs that are still to come when the measured time is over
static const double LAST_CLOSES_S = 5.0; // wait for the server to close the streams

enum state { CLOSED, SHAKING, LIVE };

struct mark { // mark that goes back to the server when the audio before it has been played
    char name[80];
    double due_s;
};

struct call {
    int number, socket;
    enum state state;
    char start[MOST_START_BYTES], sid[40];
    long due, sent;           // media messages of this stream: to be sent by now, and sent
    long first_frame;         // place in the audio at which the call begins
    uint8_t out[MOST_START_BYTES + 1000];
    int out_bytes, out_at;    // of `out`: filled, and written to the socket
    uint8_t *in;
    int in_bytes, in_room;
    double next_s;            // when the next media message is due, while calls are being opened
    int until_ping;           // media messages until the next ping
    double ping_sent_s;       // 0: no pong is awaited
    double plays_until_s;
    struct mark marks[MOST_MARKS];
    int first_mark, next_mark;
};

static struct call *calls;
static int call_count, port, ping_every, poll_fd;
static char request[1000];
static char (*payloads)[PAYLOAD_CHARS + 4]; // of each frame of the audio, base64
static long frame_count, sent_in_all, broken;
static long phrase_ends[MOST_ENDS];
static int phrase_end_count;
static double measured_from_s = 1e18;
static FILE *output;

static double now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + now.tv_nsec * 1e-9;
}

static void fail(const char *what) {
    fprintf(stderr, "paced_calls: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void wait_for_line(void) {
    char line[100];
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin)) exit(2);
}

// --- Messages

static uint32_t next_mask(void) {
    static uint32_t state = 12345;
    state ^= state << 13, state ^= state >> 17, state ^= state << 5;
    return state;
}

// Append one masked WebSocket frame to what the call has to send.
static void put_frame(struct call *call, int opcode, const void *payload, int bytes) {
    uint8_t *at = call->out + call->out_bytes;
    *at++ = 0x80 | opcode;
    if (bytes < 126) *at++ = 0x80 | bytes;
    else *at++ = 0x80 | 126, *at++ = bytes >> 8, *at++ = bytes & 255;
    uint32_t mask = next_mask();
    memcpy(at, &mask, 4);
    at += 4;
    const uint8_t *from = payload, *key = (uint8_t *)&mask;
    int done = 0;
    for (; done + 4 <= bytes; done += 4) {
        uint32_t word;
        memcpy(&word, from + done, 4);
        word ^= mask;
        memcpy(at + done, &word, 4);
    }
    for (; done < bytes; done++) at[done] = from[done] ^ key[done & 3];
    call->out_bytes = at + bytes - call->out;
}

static char *put_text(char *at, const char *text) {
    while (*text) *at++ = *text++;
    return at;
}

static char *put_number(char *at, long number) {
    char digits[20];
    int count = 0;
    do digits[count++] = '0' + number % 10;
    while (number /= 10);
    while (count) *at++ = digits[--count];
    return at;
}

static long place_in_audio(const struct call *call, long frame) {
    return (call->first_frame + frame) % frame_count;
}

static void put_media(struct call *call) {
    char text[700], *at = text;
    at = put_text(at, "{\"event\":\"media\",\"sequenceNumber\":\"");
    at = put_number(at, call->sent + 2);
    at = put_text(at, "\",\"media\":{\"track\":\"inbound\",\"chunk\":\"");
    at = put_number(at, call->sent + 1);
    at = put_text(at, "\",\"timestamp\":\"");
    at = put_number(at, call->sent * 20);
    at = put_text(at, "\",\"payload\":\"");
    at = put_text(at, payloads[place_in_audio(call, call->sent)]);
    at = put_text(at, "\"},\"streamSid\":\"");
    at = put_text(at, call->sid);
    at = put_text(at, "\"}");
    put_frame(call, TEXT, text, at - text);
}

static void put_mark(struct call *call, const char *name) {
    char text[300];
    int bytes = snprintf(text, sizeof text, "{\"event\":\"mark\",\"sequenceNumber\":\"4\",\"streamSid\":\"%s\",\"mark\":{\"name\":\"%s\"}}", call->sid, name);
    put_frame(call, TEXT, text, bytes);
}

static void put_stop(struct call *call) {
    char text[400];
    const char *sid = strstr(call->start, "\"callSid\":\"") + strlen("\"callSid\":\"");
    const char *account = strstr(call->start, "\"accountSid\":\"") + strlen("\"accountSid\":\"");
    int bytes = snprintf(text, sizeof text, "{\"event\":\"stop\",\"sequenceNumber\":\"5\",\"streamSid\":\"%s\",\"stop\":{\"accountSid\":\"%.34s\",\"callSid\":\"%.34s\"}}", call->sid, account, sid);
    put_frame(call, TEXT, text, bytes);
    put_frame(call, CLOSE, "\x03\xe8", 2);
}

// --- Connections

static void drop(struct call *call) {
    if (call->socket >= 0) close(call->socket);
    call->socket = -1, call->state = CLOSED;
}

static void break_off(struct call *call) {
    drop(call);
    broken++;
}

// Open the stream whose first message will be `call->start`. The handshake goes on in `receive`.
static void open_stream(struct call *call) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    call->socket = socket(AF_INET, SOCK_STREAM, 0);
    if (call->socket < 0) fail("socket");
    setsockopt(call->socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(call->socket, (void *)&address, sizeof address)) fail("connect");
    fcntl(call->socket, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = call};
    if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, call->socket, &event)) fail("epoll_ctl");
    const char *sid = strstr(call->start, "\"streamSid\":\"");
    if (!sid) fail("a start message has no streamSid");
    snprintf(call->sid, sizeof call->sid, "%.34s", sid + strlen("\"streamSid\":\""));
    call->state = SHAKING;
    call->in_bytes = call->out_bytes = call->out_at = 0;
    call->due = call->sent = 0;
    call->ping_sent_s = 0, call->first_mark = call->next_mark = 0;
    if (send(call->socket, request, strlen(request), MSG_NOSIGNAL) < 0) fail("handshake");
}

// Write what waits. Return whether all of it has been written.
static int flush_out(struct call *call) {
    while (call->out_at < call->out_bytes) {
        ssize_t written = send(call->socket, call->out + call->out_at, call->out_bytes - call->out_at, MSG_NOSIGNAL);
        if (written < 0) {
            if (errno != EAGAIN) break_off(call);
            return 0;
        }
        call->out_at += written;
    }
    call->out_at = call->out_bytes = 0;
    return 1;
}

// Read the answer to the handshake. Return the bytes that it has, or 0 if it is not complete.
static int shake(struct call *call) {
    uint8_t *end = memmem(call->in, call->in_bytes, "\r\n\r\n", 4);
    if (!end) return 0;
    if (!memmem(call->in, end - call->in, " 101 ", 5)) {
        fprintf(stderr, "paced_calls: call %d: the handshake was refused: %.*s\n", call->number, (int)(end - call->in), call->in);
        exit(1);
    }
    static const char connected[] = "{\"event\":\"connected\",\"protocol\":\"Call\",\"version\":\"1.0.0\"}";
    put_frame(call, TEXT, connected, strlen(connected));
    put_frame(call, TEXT, call->start, strlen(call->start));
    call->state = LIVE;
    flush_out(call);
    return end + 4 - call->in;
}

// --- What the server sends

static void take_pong(struct call *call, double at_s) {
    if (call->ping_sent_s >= measured_from_s) fprintf(output, "pong %d %.6f %.6f\n", call->number, call->ping_sent_s, at_s - call->ping_sent_s);
    call->ping_sent_s = 0;
}

// Take a text message: count its audio as being played, and keep its mark until the audio before it has been.
static void take_text(struct call *call, const char *text, int bytes, double at_s) {
    const char *found;
    if ((found = memmem(text, bytes, "\"payload\":\"", 11))) {
        found += 11;
        const char *end = memchr(found, '"', text + bytes - found);
        if (call->plays_until_s < at_s) call->plays_until_s = at_s;
        if (end) call->plays_until_s += (end - found) * 3 / 4 / 8000.0;
    } else if ((found = memmem(text, bytes, "\"name\":", 7))) {
        found += 7;
        while (found < text + bytes && *found != '"') found++;
        found++;
        const char *end = found < text + bytes ? memchr(found, '"', text + bytes - found) : NULL;
        if (!end || call->next_mark - call->first_mark == MOST_MARKS) return;
        struct mark *mark = &call->marks[call->next_mark++ % MOST_MARKS];
        snprintf(mark->name, sizeof mark->name, "%.*s", (int)(end - found), found);
        mark->due_s = call->plays_until_s < at_s ? at_s : call->plays_until_s;
    } else if (memmem(text, bytes, "\"clear\"", 7)) {
        call->plays_until_s = at_s;
        for (int at = call->first_mark; at < call->next_mark; at++) call->marks[at % MOST_MARKS].due_s = at_s;
    }
}

// Take the WebSocket frames in `call->in` from `at` on. Return how many bytes were taken, or -1 if the stream is over.
static int take_frames(struct call *call, int at, double at_s) {
    while (call->in_bytes - at >= 2) {
        uint8_t *head = call->in + at;
        int bytes = head[1] & 127, head_bytes = bytes == 126 ? 4 : 2;
        if (call->in_bytes - at < head_bytes) break;
        if (bytes == 126) bytes = head[2] << 8 | head[3];
        if (bytes == 127 || call->in_bytes - at < head_bytes + bytes) break;
        switch (head[0] & 15) {
        case PONG: take_pong(call, at_s); break;
        case TEXT: take_text(call, (char *)head + head_bytes, bytes, at_s); break;
        case CLOSE: return -1;
        case PING: // its pong goes out before the next media message
            if (call->out_bytes + bytes + 10 < (int)sizeof call->out && call->out_at == 0) put_frame(call, PONG, head + head_bytes, bytes);
        }
        at += head_bytes + bytes;
    }
    return at;
}

static void receive(struct call *call, double at_s, int is_stopped) {
    static uint8_t received[1 << 18];
    if (call->socket < 0) return;
    ssize_t bytes = recv(call->socket, received, sizeof received, 0);
    if (bytes < 0 && errno == EAGAIN) return;
    if (bytes <= 0) {
        is_stopped ? drop(call) : break_off(call);
        return;
    }
    if (call->in_bytes + bytes > call->in_room) call->in = realloc(call->in, call->in_room = (call->in_bytes + bytes) * 2);
    memcpy(call->in + call->in_bytes, received, bytes);
    call->in_bytes += bytes;
    int taken = call->state == SHAKING ? shake(call) : 0;
    if (call->state == LIVE) taken = take_frames(call, taken, at_s);
    if (taken < 0) {
        is_stopped ? drop(call) : break_off(call);
        return;
    }
    call->in_bytes -= taken;
    memmove(call->in, call->in + taken, call->in_bytes);
    if (!call->in_bytes) free(call->in), call->in = NULL, call->in_room = 0;
}

// Take what has arrived within `timeout_s`.
static void receive_all(double timeout_s, int is_stopped) {
    struct epoll_event events[MOST_EVENTS];
    struct timespec timeout = {(time_t)timeout_s, (long)((timeout_s - (time_t)timeout_s) * 1e9)};
    int count = epoll_pwait2(poll_fd, events, MOST_EVENTS, &timeout, NULL);
    double at_s = now_s();
    for (int at = 0; at < count; at++) receive(events[at].data.ptr, at_s, is_stopped);
}

// --- The pace

static int is_phrase_end(long place) {
    for (int at = 0; at < phrase_end_count; at++)
        if (phrase_ends[at] == place) return 1;
    return 0;
}

// Send the media messages of a call that are due. `due_s`: time at which the last of them is due.
static void send_due(struct call *call, double due_s, double at_s) {
    int was_behind = call->sent + 1 < call->due;
    while (call->state == LIVE && flush_out(call) && call->sent < call->due) {
        put_media(call);
        double since_s = due_s - (call->due - call->sent - 1) * FRAME_S;
        if (is_phrase_end(place_in_audio(call, call->sent)) && since_s >= measured_from_s) fprintf(output, "phrase %d %.6f\n", call->number, since_s);
        call->sent++, sent_in_all++;
        if (--call->until_ping <= 0 && call->ping_sent_s == 0) {
            call->until_ping = ping_every;
            call->ping_sent_s = was_behind ? since_s : at_s; // a full socket counts, this program's own lateness does not
            put_frame(call, PING, "x", 1);
        }
        if (call->first_mark < call->next_mark && call->marks[call->first_mark % MOST_MARKS].due_s <= at_s)
            put_mark(call, call->marks[call->first_mark++ % MOST_MARKS].name);
    }
}

// Send the messages of all calls, evenly spread over each 20 ms. Return the lateness of the latest step, seconds.
static double run(double warm_s, double seconds) {
    double began_s = now_s() + 0.05, step_s = FRAME_S / call_count, worst_s = 0, ended_s;
    double warm_until_s = began_s + warm_s;
    long steps = (warm_s + seconds) / step_s, sent_before = 0;
    int is_warm = 0;
    for (long step = 0; step < steps;) {
        double due_s = began_s + step * step_s, at_s = now_s();
        if (!is_warm && at_s >= warm_until_s) {
            is_warm = 1, measured_from_s = at_s, sent_before = sent_in_all;
            printf("began %.6f\n", at_s);
            fflush(stdout);
        }
        if (due_s > at_s) {
            receive_all(due_s - at_s, 0);
            continue;
        }
        if (is_warm && at_s - due_s > worst_s) worst_s = at_s - due_s;
        struct call *call = &calls[step % call_count];
        if (call->state == LIVE) {
            call->due++;
            send_due(call, due_s, at_s);
        }
        if (++step % 64 == 0) receive_all(0, 0); // also when this program is behind
    }
    ended_s = now_s();
    printf("ended %.6f %ld\n", ended_s, sent_in_all - sent_before);
    fflush(stdout);
    while (now_s() < ended_s + LAST_PONGS_S) {
        int waiting = 0;
        for (int at = 0; at < call_count; at++)
            if (calls[at].state == LIVE) waiting += !flush_out(&calls[at]) || calls[at].ping_sent_s > 0;
        if (!waiting) break;
        receive_all(0.02, 0);
    }
    for (int at = 0; at < call_count; at++)
        if (calls[at].ping_sent_s > 0) take_pong(&calls[at], now_s()); // it waited for at least so long
    return worst_s;
}

// --- Beginning and end

static void encode_frame(const uint8_t *frame, char *text) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (int at = 0; at < FRAME_BYTES; at += 3) {
        int left = FRAME_BYTES - at;
        uint32_t bits = frame[at] << 16 | (left > 1 ? frame[at + 1] << 8 : 0) | (left > 2 ? frame[at + 2] : 0);
        *text++ = digits[bits >> 18], *text++ = digits[bits >> 12 & 63];
        *text++ = left > 1 ? digits[bits >> 6 & 63] : '=', *text++ = left > 2 ? digits[bits & 63] : '=';
    }
    *text = 0;
}

static void read_audio(const char *path) {
    FILE *file = fopen(path, "rb");
    uint8_t frame[FRAME_BYTES];
    if (!file) fail(path);
    for (; fread(frame, 1, FRAME_BYTES, file) == FRAME_BYTES; frame_count++) {
        payloads = realloc(payloads, (frame_count + 1) * sizeof *payloads);
        encode_frame(frame, payloads[frame_count]);
    }
    fclose(file);
}

static void read_phrase_ends(const char *text) {
    char *end;
    while (*text >= '0' && *text <= '9' && phrase_end_count < MOST_ENDS) {
        phrase_ends[phrase_end_count++] = strtol(text, &end, 10);
        text = *end ? end + 1 : end;
    }
}

// Send what is due in the first `open` calls. Twilio sends media from the start of a stream, and a pause would be heard as silence.
static void send_while_opening(int open) {
    double at_s = now_s();
    for (int at = 0; at < open; at++)
        for (struct call *call = &calls[at]; call->state == LIVE && call->next_s <= at_s; call->next_s += FRAME_S) {
            call->due++;
            send_due(call, call->next_s, at_s);
        }
}

static void open_all(const char *path) {
    FILE *file = fopen(path, "r");
    if (!file) fail(path);
    for (int at = 0; at < call_count; at++) {
        struct call *call = &calls[at];
        call->number = at;
        call->first_frame = at * frame_count / call_count;
        call->until_ping = ping_every * (at % 97) / 97 + 1; // so that not all calls ping at once
        if (!fgets(call->start, sizeof call->start, file)) fail("too few start messages");
        call->start[strcspn(call->start, "\n")] = 0;
        open_stream(call);
        for (double until_s = now_s() + 20; call->state == SHAKING;) {
            receive_all(0.002, 0);
            send_while_opening(at);
            if (now_s() > until_s) fail("a handshake was not answered");
        }
        call->next_s = now_s();
    }
    fclose(file);
}

static void close_all(void) {
    for (int at = 0; at < call_count; at++)
        if (calls[at].state == LIVE && flush_out(&calls[at])) put_stop(&calls[at]), flush_out(&calls[at]);
    for (double until_s = now_s() + LAST_CLOSES_S; now_s() < until_s;) {
        int open = 0;
        for (int at = 0; at < call_count; at++) open += calls[at].socket >= 0;
        if (!open) break;
        receive_all(0.02, 1);
    }
}

int main(int count, char **arguments) {
    if (count != 11) return fprintf(stderr, "paced_calls: see the head of paced_calls.c\n"), 2;
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    port = atoi(arguments[1]), call_count = atoi(arguments[2]), ping_every = atoi(arguments[5]);
    const char *header = strcmp(arguments[6], "-") ? arguments[6] : "";
    snprintf(request, sizeof request,
             "GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
             "Sec-WebSocket-Version: 13\r\nUser-Agent: Twilio.TmeWs/1.0\r\n%s%s\r\n",
             port, header, *header ? "\r\n" : "");
    calls = calloc(call_count, sizeof *calls);
    poll_fd = epoll_create1(0);
    read_audio(arguments[8]);
    read_phrase_ends(arguments[9]);
    output = fopen(arguments[10], "w");
    if (!calls || !frame_count || !output) fail("no calls, no audio or no output");
    setvbuf(output, NULL, _IOFBF, 1 << 20);
    double began_s = now_s();
    open_all(arguments[7]);
    printf("connected %.3f\n", now_s() - began_s);
    wait_for_line();
    double worst_s = run(atof(arguments[3]), atof(arguments[4]));
    fclose(output);
    printf("sent %ld %.6f %ld\n", sent_in_all, worst_s, broken);
    wait_for_line();
    close_all();
    puts("closed");
    return 0;
}
