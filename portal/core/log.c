#include "portal/core/log.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "portal/core/buf.h"
#include "portal/core/clock.h"

static const char *const level_names[] = {"debug", "info", "warn", "error"};
static atomic_int least = LOG_LEVEL_INFO;
static _Atomic(const char *) role_name;
static _Thread_local char context_request[64], context_order[64];

void log_set_level(enum log_level level)
{
    atomic_store(&least, (int)level);
}

int log_level_parse(const char *s)
{
    for (int i = 0; i < 4; i++)
        if (!strcmp(s, level_names[i]))
            return i;
    return -1;
}

void log_set_role(const char *role)
{
    atomic_store(&role_name, role);
}

static void keep(char out[64], const char *id)
{
    size_t n = id ? strnlen(id, 63) : 0;
    memcpy(out, id ? id : "", n);
    out[n] = 0;
}

void log_context(const char *request_id, const char *order_id)
{
    keep(context_request, request_id);
    keep(context_order, order_id);
}

static void add_field(struct buf *b, const struct log_field *f)
{
    if (f->kind == 's')
        buf_json_kv(b, f->key, f->s);
    else if (f->kind == 'i')
        buf_json_kint(b, f->key, f->i);
    else {
        buf_json_key(b, f->key);
        buf_printf(b, "%.6g", f->f);
    }
}

void log_write(enum log_level level, const char *msg, const struct log_field *fields)
{
    if ((int)level < atomic_load(&least))
        return;
    char at[32];
    clock_rfc3339(clock_wall_ms(), at);
    BUF_AUTO b = BUF_INIT;
    buf_char(&b, '{');
    buf_json_kv(&b, "at", at);
    buf_json_kv(&b, "level", level_names[level]);
    const char *role = atomic_load(&role_name);
    if (role)
        buf_json_kv(&b, "role", role);
    buf_json_kv(&b, "msg", msg);
    if (context_request[0])
        buf_json_kv(&b, "request_id", context_request);
    if (context_order[0])
        buf_json_kv(&b, "order", context_order);
    for (; fields && fields->key; fields++)
        add_field(&b, fields);
    buf_str(&b, "}\n");
    /* One write a line, so that lines of several threads and processes do not mix. A full or closed log must not stop the node. */
    if (write(STDERR_FILENO, b.data, b.len) < 0)
        return;
}
