/* Log: one JSON object a line on stderr. Fields of the calling thread's context (request id, order id) are added
 * by themselves. Never pass a secret: nothing here can know it is one.  Thread: any.
 *
 *     log_info("order accepted", LOG_S("service", name), LOG_I("parameters", n));
 */
#pragma once
#include <stdint.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };
struct log_field { const char *key; int kind; const char *s; int64_t i; double f; };
#define LOG_S(k, v) ((struct log_field){(k), 's', (v), 0, 0})
#define LOG_I(k, v) ((struct log_field){(k), 'i', 0, (v), 0})
#define LOG_F(k, v) ((struct log_field){(k), 'f', 0, 0, (v)})

void log_write(enum log_level level, const char *msg, const struct log_field *fields);
#define log_at(level, msg, ...) log_write((level), (msg), (struct log_field[]){__VA_ARGS__ __VA_OPT__(,) {0}})
#define log_debug(...) log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(...) log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warn(...) log_at(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_error(...) log_at(LOG_LEVEL_ERROR, __VA_ARGS__)

void log_set_level(enum log_level level);
int log_level_parse(const char *s);           /* "debug|info|warn|error", or -1 */
void log_set_role(const char *role);          /* "serve", "work", ...: on every line; kept by pointer */
/* Context of this thread; NULL or "" clears. Copied (up to 63 bytes). */
void log_context(const char *request_id, const char *order_id);
