#include "portal/cli/sse.h"

#include <stdlib.h>
#include <string.h>

void sse_init(struct sse *s, int (*event)(const struct sse_event *ev, void *arg), void *arg)
{
    *s = (struct sse){.event = event, .arg = arg};
}

void sse_restart(struct sse *s)
{
    buf_clear(&s->line);
    buf_clear(&s->data);
    s->type[0] = 0;
    memcpy(s->next_id, s->id, sizeof s->id);
    s->after_cr = s->begun = s->has_data = false;
    s->bom = 0;
}

void sse_done(struct sse *s)
{
    buf_done(&s->line);
    buf_done(&s->data);
}

/* An empty line: the event is whole. Without data there is none. */
static int dispatch(struct sse *s)
{
    int answer = 0;
    memcpy(s->id, s->next_id, sizeof s->id); /* only now: half an event that is lost must come again */
    if (s->has_data) {
        struct sse_event ev = {.type = *s->type ? s->type : "message", .data = buf_cstr(&s->data), .id = s->id};
        answer = s->event(&ev, s->arg);
    }
    buf_clear(&s->data);
    s->has_data = false;
    s->type[0] = 0;
    return answer;
}

static void keep(char *to, size_t size, const char *value, size_t n)
{
    if (n < size && !memchr(value, 0, n)) { /* one that does not fit, or holds a NUL, is as if it were not there */
        memcpy(to, value, n);
        to[n] = 0;
    }
}

static void set_retry(struct sse *s, const char *value, size_t n)
{
    int ms = 0;
    for (size_t i = 0; i < n; i++) {
        if (value[i] < '0' || value[i] > '9' || ms > 10000000)
            return;
        ms = ms * 10 + (value[i] - '0');
    }
    if (n)
        s->retry_ms = ms;
}

static int take_line(struct sse *s)
{
    const char *line = buf_cstr(&s->line), *colon = memchr(line, ':', s->line.len);
    if (!s->line.len)
        return dispatch(s);
    size_t n = colon ? (size_t)(colon - line) : s->line.len;
    const char *value = colon ? colon + 1 : line + n;
    size_t len = s->line.len - (size_t)(value - line);
    if (len && *value == ' ') {
        value++;
        len--;
    }
    if (n == 4 && !memcmp(line, "data", 4)) {
        if (s->data.len + len > SSE_EVENT_MAX)
            return -1;
        if (s->has_data)
            buf_char(&s->data, '\n');
        buf_add(&s->data, value, len);
        s->has_data = true;
    } else if (n == 5 && !memcmp(line, "event", 5)) {
        keep(s->type, sizeof s->type, value, len);
    } else if (n == 2 && !memcmp(line, "id", 2)) {
        keep(s->next_id, sizeof s->next_id, value, len);
    } else if (n == 5 && !memcmp(line, "retry", 5)) {
        set_retry(s, value, len);
    }
    return 0;
}

/* Leaves out a byte-order mark, whose bytes may come one by one. */
static bool is_bom(struct sse *s, unsigned char c)
{
    static const unsigned char mark[] = {0xEF, 0xBB, 0xBF};
    if (s->begun)
        return false;
    if (c == mark[s->bom]) {
        s->begun = ++s->bom == 3;
        return true;
    }
    s->begun = true;
    buf_add(&s->line, mark, s->bom);
    return false;
}

int sse_feed(struct sse *s, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char c = bytes[i];
        if (is_bom(s, (unsigned char)c))
            continue;
        bool second = s->after_cr && c == '\n'; /* of CR LF, whose CR ended the line already */
        s->after_cr = c == '\r';
        if (second)
            continue;
        if (c != '\r' && c != '\n') {
            if (s->line.len > SSE_EVENT_MAX)
                return -1;
            buf_char(&s->line, c);
            continue;
        }
        int answer = take_line(s);
        buf_clear(&s->line);
        if (answer)
            return answer;
    }
    return 0;
}
