/* Messages to Slack: through an incoming webhook, as a bot, or as the answer to a button. Addresses and tokens are secrets: no error names them. */
#include <curl/curl.h>
#include <string.h>

#include "portal/json/json.h"
#include "portal/notify/notify_private.h"

#define ANSWER_MAX 65536

static size_t take(char *p, size_t size, size_t n, void *arg)
{
    struct buf *b = arg;
    if (b->len + size * n > ANSWER_MAX)
        return 0;
    buf_add(b, p, size * n);
    return size * n;
}

static void curl_freep(CURL **c)
{
    curl_easy_cleanup(*c);
}

static void slist_freep(struct curl_slist **l)
{
    curl_slist_free_all(*l);
}

/* One POST; *ret_status is 0 when no answer came. */
static int post(const char *url, const char *token, const struct buf *body, long *ret_status, struct buf *answer, struct err *e)
{
    ARENA_AUTO a = arena_new();
    __attribute__((cleanup(curl_freep))) CURL *c = curl_easy_init();
    __attribute__((cleanup(slist_freep))) struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json; charset=utf-8");
    if (token)
        headers = curl_slist_append(headers, arena_printf(a, "Authorization: Bearer %s", token));
    if (!c || !headers)
        return err_set(e, ERR_NOMEM, "out of memory");
    curl_easy_setopt(c, CURLOPT_URL, url);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "https,http");
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE, (long)body->len);
    curl_easy_setopt(c, CURLOPT_POSTFIELDS, buf_cstr(body));
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, answer);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, 10000L);
    curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, 20000L);
    if (notify_get()->slack_ca)
        curl_easy_setopt(c, CURLOPT_CAINFO, notify_get()->slack_ca);
    CURLcode code = curl_easy_perform(c);
    curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, ret_status);
    return code == CURLE_OK ? 0 : err_set(e, ERR_UNAVAILABLE, "Slack could not be reached: %s", curl_easy_strerror(code));
}

/* A bot's answer is always 200; its body says how it went. */
static int check_bot(const struct buf *answer, struct err *e)
{
    json_t *j = NULL;
    int r = json_read(buf_cstr(answer), answer->len, 0, &j, NULL);
    const char *why = json_string_value(json_object_get(j, "error"));
    if (!r && json_is_true(json_object_get(j, "ok")))
        r = 0;
    else if (!why)
        r = err_set(e, ERR_UNAVAILABLE, "Slack answered with something else than it should");
    else {
        bool later = !strcmp(why, "ratelimited") || !strcmp(why, "internal_error") || !strcmp(why, "fatal_error") || !strcmp(why, "service_unavailable") ||
                     !strcmp(why, "request_timeout");
        r = err_set(e, later ? ERR_UNAVAILABLE : ERR_INVALID, "Slack refused the message: %.80s", why);
    }
    json_decref(j);
    return r;
}

static int check_status(long status, const struct buf *answer, struct err *e)
{
    if (status >= 200 && status < 300)
        return 0;
    bool later = status == 429 || status == 408 || status >= 500;
    return err_set(e, later ? ERR_UNAVAILABLE : ERR_INVALID, "Slack answered %ld: %.80s", status, buf_cstr(answer));
}

/* The host of the address must be Slack's, or be configured. */
bool slack_may_answer(const char *url)
{
    const struct notify_settings *s = notify_get();
    const char *const known[] = {"https://hooks.slack.com/", s->slack_webhook, s->slack_api};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const char *scheme = known[i] ? strstr(known[i], "://") : NULL;
        size_t n = scheme ? (size_t)(scheme - known[i]) + 3 + strcspn(scheme + 3, "/?#@") : 0;
        if (n && !strncmp(url, known[i], n) && url[n] == '/')
            return true;
    }
    return false;
}

int slack_send(const struct notify_delivery *d, const struct notify_message *m, struct err *e)
{
    const struct notify_settings *s = notify_get();
    bool answer_to = !strcmp(d->channel, NOTIFY_SLACK_RESPONSE), bot = !answer_to && !s->slack_webhook;
    if (!answer_to && !notify_has_slack())
        return err_set(e, ERR_INVALID, "no Slack is configured on this node: slack_webhook or slack_bot_token");
    json_t *message = m->slack ? json_copy((json_t *)(uintptr_t)m->slack) : json_object();
    if (!json_object_get(message, "text"))
        json_object_set_new(message, "text", json_text(m->text));
    ARENA_AUTO a = arena_new();
    const char *url = answer_to ? d->secret : s->slack_webhook;
    if (bot) {
        url = arena_printf(a, "%s/chat.postMessage", s->slack_api);
        json_object_set_new(message, "channel", json_text(*d->address ? d->address : s->slack_channel));
    }
    BUF_AUTO body = BUF_INIT;
    BUF_AUTO answer = BUF_INIT;
    long status = 0;
    json_write(message, &body);
    json_decref(message);
    int r = post(url, bot ? s->slack_token : NULL, &body, &status, &answer, e);
    if (!r)
        r = check_status(status, &answer, e);
    if (!r && bot)
        r = check_bot(&answer, e);
    buf_wipe(&body);
    return r;
}
