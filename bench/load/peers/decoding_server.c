// Peer of the load measurement in C: what a media message costs where almost nothing is left but the kernel's part.
//
//   decoding_server PORT
//
// It unmasks, finds the payload, decodes base64 and mu-law, takes the RMS, and keeps what is voiced. It checks nothing: it is
// a lower bound, not a server to use.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TEXT = 1, CLOSE = 8, PING = 9, PONG = 10 };
enum { BUFFER_BYTES = 16384, FRAME_SAMPLES = 160, MOST_PAYLOAD = 1024, KEPT_FRAMES = 64, SILENCE_FRAMES = 100, THRESHOLD = 500 };

struct call {
    int socket, is_open, bytes;
    int is_speaking, silent_frames, kept;
    uint8_t buffer[BUFFER_BYTES];
    int16_t frames[KEPT_FRAMES][FRAME_SAMPLES];
};

static int16_t sample_of[256]; // by mu-law byte
static uint8_t six_bits_of[256]; // by base64 digit

static void make_tables(void) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (int at = 0; at < 64; at++) six_bits_of[(uint8_t)digits[at]] = at;
    for (int at = 0; at < 256; at++) {
        int bits = ~at & 255, level = (((bits & 15) << 3) + 132) << ((bits & 0x70) >> 4);
        sample_of[at] = bits & 0x80 ? 132 - level : level - 132;
    }
}

static void hear(struct call *call, const uint8_t *digits, const uint8_t *end) {
    uint8_t mulaw[MOST_PAYLOAD];
    int16_t samples[MOST_PAYLOAD];
    int count = 0;
    for (const uint8_t *at = digits; at + 4 <= end && count + 3 <= MOST_PAYLOAD; at += 4) {
        uint32_t bits = six_bits_of[at[0]] << 18 | six_bits_of[at[1]] << 12 | six_bits_of[at[2]] << 6 | six_bits_of[at[3]];
        mulaw[count++] = bits >> 16, mulaw[count++] = bits >> 8, mulaw[count++] = bits;
    }
    count -= (end[-1] == '=') + (end[-2] == '=');
    if (count <= 0) return;
    long energy = 0;
    for (int at = 0; at < count; at++) samples[at] = sample_of[mulaw[at]], energy += samples[at] * samples[at];
    int is_voiced = sqrt((double)energy / count) > THRESHOLD;
    if (!is_voiced && !call->is_speaking) return;
    memcpy(call->frames[call->kept++ % KEPT_FRAMES], samples, (count < FRAME_SAMPLES ? count : FRAME_SAMPLES) * sizeof *samples);
    call->silent_frames = is_voiced ? 0 : call->silent_frames + 1;
    call->is_speaking = call->silent_frames < SILENCE_FRAMES;
}

static void take_text(struct call *call, uint8_t *text, int bytes) {
    uint8_t *payload = memmem(text, bytes, "\"payload\":\"", 11);
    if (!payload) return;
    payload += 11;
    uint8_t *end = memchr(payload, '"', text + bytes - payload);
    if (end && end - payload >= 4) hear(call, payload, end);
}

static void unmask(uint8_t *payload, int bytes, const uint8_t *key) {
    uint32_t mask, word;
    int at = 0;
    memcpy(&mask, key, 4);
    for (; at + 4 <= bytes; at += 4) {
        memcpy(&word, payload + at, 4);
        word ^= mask;
        memcpy(payload + at, &word, 4);
    }
    for (; at < bytes; at++) payload[at] ^= key[at & 3];
}

// Take one frame. Return whether the call goes on.
static int take_frame(struct call *call, int opcode, uint8_t *payload, int bytes) {
    uint8_t answer[130] = {0x80 | PONG, bytes};
    if (opcode == TEXT) take_text(call, payload, bytes);
    else if (opcode == PING) {
        memcpy(answer + 2, payload, bytes);
        send(call->socket, answer, bytes + 2, MSG_NOSIGNAL);
    } else if (opcode == CLOSE) {
        send(call->socket, "\x88\x02\x03\xe8", 4, MSG_NOSIGNAL);
        return 0;
    }
    return 1;
}

// Take the complete frames of the buffer. Return whether the call goes on.
static int take_frames(struct call *call) {
    int at = 0;
    while (call->bytes - at >= 6) {
        uint8_t *head = call->buffer + at;
        int bytes = head[1] & 127, head_bytes = 6;
        if (bytes == 126 && call->bytes - at >= 8) bytes = head[2] << 8 | head[3], head_bytes = 8;
        else if (bytes == 126) break;
        if (call->bytes - at < head_bytes + bytes) break;
        unmask(head + head_bytes, bytes, head + head_bytes - 4);
        if (!take_frame(call, head[0] & 15, head + head_bytes, bytes)) return 0;
        at += head_bytes + bytes;
    }
    memmove(call->buffer, call->buffer + at, call->bytes - at);
    call->bytes -= at;
    return 1;
}

// Read what has arrived. Return whether the call goes on.
static int receive(struct call *call) {
    // The key is the same in each handshake of the callers, and so is its answer.
    static const char accepted[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                   "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    ssize_t bytes = recv(call->socket, call->buffer + call->bytes, BUFFER_BYTES - call->bytes, 0);
    if (bytes <= 0) return bytes < 0 && errno == EAGAIN;
    call->bytes += bytes;
    if (call->is_open) return take_frames(call);
    if (call->bytes < 4 || memcmp(call->buffer + call->bytes - 4, "\r\n\r\n", 4)) return 1;
    send(call->socket, accepted, strlen(accepted), MSG_NOSIGNAL);
    call->is_open = 1, call->bytes = 0;
    return 1;
}

int main(int count, char **arguments) {
    if (count != 2) return fprintf(stderr, "usage: decoding_server PORT\n"), 2;
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    make_tables();
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(arguments[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1, poll_fd = epoll_create1(0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (void *)&address, sizeof address) || listen(listener, 2048)) return perror("decoding_server"), 1;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL}, events[256];
    epoll_ctl(poll_fd, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int ready = epoll_wait(poll_fd, events, 256, -1);
        for (int at = 0; at < ready; at++) {
            struct call *call = events[at].data.ptr;
            if (call && !receive(call)) close(call->socket), free(call);
            if (call) continue;
            int accepted = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
            if (accepted < 0) continue;
            setsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            call = calloc(1, sizeof *call);
            call->socket = accepted;
            event.data.ptr = call;
            epoll_ctl(poll_fd, EPOLL_CTL_ADD, accepted, &event);
        }
    }
}
