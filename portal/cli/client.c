/* The one complication is when to try again: only what cannot be done twice by it, only for a while, and never silently for long. */
#include "portal/cli/client.h"

#include <curl/curl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "portal/cli/output.h"
#include "portal/core/buf.h"
#include "portal/core/clock.h"
#include "portal/core/id.h"

#define BODY_MAX ((size_t)64 << 20)
#define PATIENCE_MS 10000
#define UNANSWERED_TRIES 3 /* 1.4 s: a node that restarts is back by then, and a wrong address is told soon */
#define QUIET_MS 45000 /* a stream without a byte for so long is dead: the server sends a comment every 15 s */

struct client {
    CURL *curl;
    CURLM *multi;
    struct buf token;  /* wiped */
    char *url, *ca, *csrf;
    bool verbose, cookies;
    int patience_ms;
};

/* What comes back of one exchange. */
struct exchange {
    struct client *client;
    struct buf body;
    struct sse *sse;          /* of a stream: gets the body of a 200 */
    int stopped;              /* what the reader returned */
    int64_t heard;            /* monotonic ms: when bytes came last */
    bool too_large;
    long status;
    char content_type[120], retry_after[32], request_id[80];
    char etag[300], location[600], link[1200];
};

static void exchange_done(struct exchange *x)
{
    buf_wipe(&x->body);
}
#define EXCHANGE_AUTO __attribute__((cleanup(exchange_done))) struct exchange

static void slist_freep(struct curl_slist **l)
{
    curl_slist_free_all(*l);
}

int client_new(const struct client_options *o, struct client **ret, struct err *e)
{
    CURLU *u = curl_url();
    char *scheme = NULL;
    bool good = u && curl_url_set(u, CURLUPART_URL, o->url, 0) == CURLUE_OK && curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
                (!strcmp(scheme, "http") || !strcmp(scheme, "https"));
    curl_free(scheme);
    curl_url_cleanup(u);
    if (!good)
        return err_set(e, ERR_INVALID, "\"%s\" is no address of a server: it looks like https://soma.example.org or http://127.0.0.1:8080", o->url);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    struct client *c = calloc(1, sizeof *c);
    if (!c || !(c->curl = curl_easy_init()) || !(c->multi = curl_multi_init())) {
        client_free(c);
        return err_set(e, ERR_NOMEM, "there is no memory for a connection");
    }
    c->url = strdup(o->url);
    while (c->url && *c->url && c->url[strlen(c->url) - 1] == '/')
        c->url[strlen(c->url) - 1] = 0;
    c->ca = o->ca ? strdup(o->ca) : NULL;
    client_set_token(c, o->token);
    c->verbose = o->verbose;
    c->patience_ms = o->patience_ms ? o->patience_ms : PATIENCE_MS;
    *ret = c;
    return 0;
}

void client_free(struct client *c)
{
    if (!c)
        return;
    curl_easy_cleanup(c->curl);
    curl_multi_cleanup(c->multi);
    curl_global_cleanup();
    buf_wipe(&c->token);
    free(c->url);
    free(c->ca);
    free(c->csrf);
    free(c);
}

const char *client_url(const struct client *c)
{
    return c->url;
}

void client_set_token(struct client *c, const char *token)
{
    buf_wipe(&c->token);
    if (token)
        buf_printf(&c->token, "Authorization: Bearer %s", token);
}

void client_keep_cookies(struct client *c)
{
    c->cookies = true;
}

void client_set_csrf(struct client *c, const char *csrf)
{
    free(c->csrf);
    c->csrf = csrf ? strdup(csrf) : NULL;
    if (!csrf)
        c->cookies = false;
}

void reply_done(struct reply *r)
{
    json_decref(r->body);
    r->body = NULL;
}

/* ---- Paths ---- */

static void add_encoded(struct buf *b, const char *text)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    for (const char *p = text; *p; p++) {
        if (strchr(plain, *p))
            buf_char(b, *p);
        else
            buf_printf(b, "%%%02X", (unsigned char)*p);
    }
}

char *client_path(struct arena *a, const char *pattern, const char *text)
{
    BUF_AUTO b = BUF_INIT;
    const char *mark = strstr(pattern, "{}");
    buf_add(&b, pattern, (size_t)(mark - pattern));
    if (text && (!strcmp(text, ".") || !strcmp(text, "..")))
        buf_str(&b, text[1] ? "%2E%2E" : "%2E"); /* never a step in the path */
    else
        add_encoded(&b, text ? text : "");
    buf_str(&b, mark + 2);
    return arena_strdup(a, buf_cstr(&b));
}

char *client_query(struct arena *a, const char *path, ...)
{
    BUF_AUTO b = BUF_INIT;
    va_list ap;
    buf_str(&b, path);
    va_start(ap, path);
    for (const char *name; (name = va_arg(ap, const char *));) {
        const char *value = va_arg(ap, const char *);
        if (!value)
            continue;
        buf_printf(&b, "%c%s=", strchr(buf_cstr(&b), '?') ? '&' : '?', name);
        add_encoded(&b, value);
    }
    va_end(ap);
    return arena_strdup(a, buf_cstr(&b));
}

/* ---- Errors ---- */

static int code_of(long status)
{
    static const struct { int status, code; } codes[] = {
        {401, ERR_UNAUTHENTICATED}, {403, ERR_DENIED}, {404, ERR_NOT_FOUND}, {409, ERR_CONFLICT}, {412, ERR_PRECONDITION}, {413, ERR_TOO_LARGE},
        {428, ERR_REQUIRED}, {429, ERR_RATE}, {502, ERR_UNAVAILABLE}, {503, ERR_UNAVAILABLE}, {504, ERR_TIMEOUT},
    };
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (codes[i].status == status)
            return codes[i].code;
    return status >= 500 ? ERR_INTERNAL : ERR_INVALID;
}

static const char *text_at(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : "";
}

static void add_fields(const json_t *errors, struct err *e)
{
    size_t i;
    json_t *item;
    json_array_foreach((json_t *)(uintptr_t)errors, i, item) {
        if (e->n_fields == ERR_FIELDS_MAX)
            return;
        struct err_field *f = &e->fields[e->n_fields++];
        snprintf(f->pointer, sizeof f->pointer, "%s", text_at(item, "pointer"));
        snprintf(f->detail, sizeof f->detail, "%s", text_at(item, "detail"));
    }
}

int client_problem(long status, const json_t *problem, const char *retry_after, struct err *e)
{
    const char *detail = text_at(problem, "detail"), *title = text_at(problem, "title"), *trace = text_at(problem, "trace_id");
    int code = code_of(status);
    if (*detail)
        err_set(e, code, "%s", detail);
    else if (*title)
        err_set(e, code, "%s", title);
    else
        err_set(e, code, "the server answered %ld without saying why", status);
    size_t used = strlen(e->msg);
    const char *slug = strrchr(text_at(problem, "type"), '/');
    if (slug)
        snprintf(e->type, sizeof e->type, "%s", slug + 1);
    snprintf(e->link, sizeof e->link, "%s", text_at(problem, "link"));
    if (*e->link && used < sizeof e->msg)
        used += (size_t)snprintf(e->msg + used, sizeof e->msg - used, " (%s)", e->link);
    if (code == ERR_UNAUTHENTICATED && used < sizeof e->msg)
        used += (size_t)snprintf(e->msg + used, sizeof e->msg - used, "\nSign in with: soma login");
    if (status >= 500 && *trace && used < sizeof e->msg)
        snprintf(e->msg + used, sizeof e->msg - used, "\nThe server's log has more under request %s.", trace);
    if (retry_after && *retry_after)
        e->retry_after = atoi(retry_after);
    add_fields(json_object_get(problem, "errors"), e);
    return code;
}

static int transport_error(const struct client *c, CURLcode rc, const char *words, struct err *e)
{
    const char *why = *words ? words : curl_easy_strerror(rc);
    switch (rc) {
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_ISSUER_ERROR:
        return err_set(e, ERR_IO, "%s is not trusted: %s\nIf its certificate comes from an authority of your own, name it with --ca FILE", c->url, why);
    case CURLE_OPERATION_TIMEDOUT:
        return err_set(e, ERR_UNAVAILABLE, "%s did not answer in time: %s", c->url, why);
    case CURLE_OUT_OF_MEMORY:
        return err_set(e, ERR_NOMEM, "out of memory");
    case CURLE_COULDNT_RESOLVE_HOST:
        return err_set(e, ERR_UNAVAILABLE, "%s cannot be reached: %s\nIs the address right? It is given by --url, SOMA_URL or `soma login`", c->url, why);
    default:
        return err_set(e, ERR_UNAVAILABLE, "%s cannot be reached: %s\nIs the server running there? `./dev status` says so for a local one", c->url, why);
    }
}

/* ---- One exchange ---- */

static size_t on_body(char *bytes, size_t one, size_t n, void *arg)
{
    struct exchange *x = arg;
    (void)one;
    x->heard = clock_mono_ms();
    if (x->sse) {
        curl_easy_getinfo(x->client->curl, CURLINFO_RESPONSE_CODE, &x->status);
        if (x->status == 200) {
            x->stopped = sse_feed(x->sse, bytes, n);
            return x->stopped ? CURL_WRITEFUNC_ERROR : n;
        }
    }
    if (x->body.len + n > BODY_MAX) {
        x->too_large = true;
        return CURL_WRITEFUNC_ERROR;
    }
    buf_add(&x->body, bytes, n);
    return n;
}

static void keep_header(const char *line, size_t n, const char *name, char *to, size_t size)
{
    size_t len = strlen(name);
    if (n <= len || line[len] != ':' || strncasecmp(line, name, len) != 0)
        return;
    const char *value = line + len + 1, *end = line + n;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    while (end > value && (end[-1] == '\r' || end[-1] == '\n' || end[-1] == ' '))
        end--;
    if ((size_t)(end - value) < size) {
        memcpy(to, value, (size_t)(end - value));
        to[end - value] = 0;
    }
}

static size_t on_header(char *line, size_t one, size_t n, void *arg)
{
    struct exchange *x = arg;
    (void)one;
    keep_header(line, n, "Content-Type", x->content_type, sizeof x->content_type);
    keep_header(line, n, "Retry-After", x->retry_after, sizeof x->retry_after);
    keep_header(line, n, "X-Request-Id", x->request_id, sizeof x->request_id);
    keep_header(line, n, "ETag", x->etag, sizeof x->etag);
    keep_header(line, n, "Location", x->location, sizeof x->location);
    keep_header(line, n, "Link", x->link, sizeof x->link);
    return n;
}

static bool is_loopback(const char *url)
{
    const char *host = strstr(url, "://");
    host = host ? host + 3 : url;
    return !strncmp(host, "127.", 4) || !strncmp(host, "[::1]", 5) || !strncmp(host, "localhost", 9);
}

/* Settings that every request shares. Cookies live in the handle, so curl_easy_reset keeps them. */
static void prepare(struct client *c, const char *url, struct curl_slist *headers, struct exchange *x, char *words)
{
    CURL *h = c->curl;
    curl_easy_reset(h);
    curl_easy_setopt(h, CURLOPT_URL, url);
    curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(h, CURLOPT_USERAGENT, "soma/" SOMA_VERSION);
    curl_easy_setopt(h, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(h, CURLOPT_WRITEDATA, x);
    curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(h, CURLOPT_HEADERDATA, x);
    curl_easy_setopt(h, CURLOPT_ERRORBUFFER, words);
    curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT, 10L);
    curl_easy_setopt(h, CURLOPT_TCP_KEEPALIVE, 1L);
    if (c->ca)
        curl_easy_setopt(h, CURLOPT_CAINFO, c->ca);
    if (c->cookies) /* turns the engine on; COOKIEFILE would too, but curl_easy_reset loses the list it keeps */
        curl_easy_setopt(h, CURLOPT_COOKIELIST, "Set-Cookie: none=; Max-Age=0; domain=localhost");
    if (is_loopback(c->url))
        curl_easy_setopt(h, CURLOPT_PROXY, ""); /* a proxy of the network cannot reach this machine's own address */
}

static struct curl_slist *make_headers(const struct client *c, const struct request *q, const char *key)
{
    BUF_AUTO line = BUF_INIT;
    struct curl_slist *l = curl_slist_append(NULL, "Accept: application/json");
    if (c->token.len)
        l = curl_slist_append(l, buf_cstr(&c->token));
    if (q->body)
        l = curl_slist_append(l, "Content-Type: application/json");
    if (*key) {
        buf_printf(&line, "Idempotency-Key: %s", key);
        l = curl_slist_append(l, buf_cstr(&line));
        buf_clear(&line);
    }
    if (q->if_match) {
        buf_printf(&line, "If-Match: %s", q->if_match);
        l = curl_slist_append(l, buf_cstr(&line));
        buf_clear(&line);
    }
    if (c->csrf && strcmp(q->method, "GET") != 0) {
        buf_printf(&line, "X-CSRF-Token: %s", c->csrf);
        l = curl_slist_append(l, buf_cstr(&line));
        buf_wipe(&line);
    }
    return curl_slist_append(l, "Expect:"); /* no waiting for 100 Continue */
}

static int perform(struct client *c, const struct request *q, const char *key, const char *body, struct exchange *x, struct err *e)
{
    char words[CURL_ERROR_SIZE] = "";
    BUF_AUTO url = BUF_INIT;
    buf_printf(&url, "%s%s", c->url, q->path);
    __attribute__((cleanup(slist_freep))) struct curl_slist *headers = make_headers(c, q, key);
    prepare(c, buf_cstr(&url), headers, x, words);
    curl_easy_setopt(c->curl, CURLOPT_TIMEOUT, 120L);
    if (strcmp(q->method, "GET") != 0)
        curl_easy_setopt(c->curl, CURLOPT_CUSTOMREQUEST, q->method);
    if (body)
        curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, body);
    int64_t start = clock_mono_ms();
    CURLcode rc = curl_easy_perform(c->curl);
    curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &x->status);
    if (c->verbose)
        output_note("%s %s: %ld in %lld ms%s%s", q->method, q->path, x->status, (long long)(clock_mono_ms() - start), *x->request_id ? ", request " : "",
                    x->request_id);
    if (x->too_large)
        return err_set(e, ERR_TOO_LARGE, "the server's answer to %s is larger than %zu MiB", q->path, BODY_MAX >> 20);
    if (rc != CURLE_OK)
        return transport_error(c, rc, words, e);
    return 0;
}

static int parse_body(const struct exchange *x, json_t **ret, struct err *e)
{
    json_error_t je;
    *ret = NULL;
    if (!x->body.len)
        return 0;
    if (!strstr(x->content_type, "json"))
        return x->status < 300 ? err_set(e, ERR_INTERNAL, "the server answered with %s where JSON was expected: is this address Soma's?", *x->content_type ? x->content_type : "no type") : 0;
    *ret = json_loadb(x->body.data, x->body.len, JSON_DECODE_ANY, &je);
    if (!*ret)
        return err_set(e, ERR_INTERNAL, "the server's answer is no JSON: %s at line %d", je.text, je.line);
    return 0;
}

/* The target of rel="next", as a path of this server. */
static void next_of(const struct client *c, const struct exchange *x, char *ret, size_t size)
{
    const char *open = strchr(x->link, '<'), *close = open ? strchr(open, '>') : NULL;
    if (!close || !strstr(close, "next"))
        return;
    const char *path = open + 1;
    size_t prefix = strlen(c->url);
    if (!strncmp(path, c->url, prefix))
        path += prefix;
    if (*path == '/')
        snprintf(ret, size, "%.*s", (int)(close - path), path);
}

static int finish(struct client *c, const struct exchange *x, struct reply *ret, struct err *e)
{
    json_t *body = NULL;
    int code = parse_body(x, &body, e);
    if (!code && (x->status < 200 || x->status > 299))
        code = client_problem(x->status, body, x->retry_after, e);
    if (code || !ret) {
        json_decref(body);
        return code;
    }
    *ret = (struct reply){.status = x->status, .body = body};
    snprintf(ret->etag, sizeof ret->etag, "%s", x->etag);
    snprintf(ret->location, sizeof ret->location, "%s", x->location);
    next_of(c, x, ret->next, sizeof ret->next);
    return 0;
}

/* How long to wait before the next try: as the server says, else growing from 0.2 s to 3 s. */
static int64_t pause_ms(int attempt, const struct err *e)
{
    int64_t ms = 200LL << (attempt < 4 ? attempt : 4);
    return e->retry_after > 0 ? e->retry_after * 1000LL : ms < 3000 ? ms : 3000;
}

int client_call(struct client *c, const struct request *q, struct reply *ret, struct err *e)
{
    char key[256] = "";
    if (q->key && *q->key)
        snprintf(key, sizeof key, "%s", q->key);
    else if (q->key)
        id_new(key);
    char *body = q->body ? json_dumps(q->body, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    bool repeatable = !strcmp(q->method, "GET") || *key;
    int64_t until = clock_mono_ms() + c->patience_ms;
    int code;
    for (int attempt = 0;; attempt++) {
        EXCHANGE_AUTO x = {.client = c};
        code = perform(c, q, key, body, &x, e);
        if (!code)
            code = finish(c, &x, ret, e);
        if (!repeatable || (code != ERR_UNAVAILABLE && code != ERR_RATE))
            break;
        int64_t pause = pause_ms(attempt, e);
        if (clock_mono_ms() + pause > until || (!x.status && attempt >= UNANSWERED_TRIES))
            break;
        clock_sleep_ms(pause);
    }
    if (body)
        explicit_bzero(body, strlen(body)); /* it may hold a password */
    free(body);
    return code;
}

/* ---- Streams ---- */

/* Drives the transfer; 0 when it ended, > 0 what tick said. (curl's own limit of speed would take the few bytes of a comment for silence.) */
static int drive(struct client *c, const struct exchange *x, int (*tick)(void *arg), void *arg, CURLcode *ret_rc)
{
    int running = 1, queued, stop = 0;
    while (running && !stop) {
        curl_multi_perform(c->multi, &running);
        if (running) {
            curl_multi_poll(c->multi, NULL, 0, 200, NULL);
            stop = tick ? tick(arg) : 0;
        }
        if (clock_mono_ms() - x->heard > QUIET_MS) {
            *ret_rc = CURLE_OPERATION_TIMEDOUT;
            return 0;
        }
    }
    for (CURLMsg *m; (m = curl_multi_info_read(c->multi, &queued));)
        if (m->msg == CURLMSG_DONE)
            *ret_rc = m->data.result;
    return stop;
}

int client_stream(struct client *c, const char *path, struct sse *s, int (*tick)(void *arg), void *arg, struct err *e)
{
    char words[CURL_ERROR_SIZE] = "";
    EXCHANGE_AUTO x = {.client = c, .sse = s, .heard = clock_mono_ms()};
    BUF_AUTO url = BUF_INIT;
    BUF_AUTO last = BUF_INIT;
    struct curl_slist *l = curl_slist_append(NULL, "Accept: text/event-stream");
    if (c->token.len)
        l = curl_slist_append(l, buf_cstr(&c->token));
    if (*s->id) {
        buf_printf(&last, "Last-Event-ID: %s", s->id);
        l = curl_slist_append(l, buf_cstr(&last));
    }
    __attribute__((cleanup(slist_freep))) struct curl_slist *headers = l;
    buf_printf(&url, "%s%s", c->url, path);
    sse_restart(s);
    prepare(c, buf_cstr(&url), headers, &x, words);
    CURLcode rc = CURLE_OK;
    curl_multi_add_handle(c->multi, c->curl);
    int stop = drive(c, &x, tick, arg, &rc);
    curl_multi_remove_handle(c->multi, c->curl);
    curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &x.status);
    if (c->verbose)
        output_note("GET %s: %ld, stream ended", path, x.status);
    if (stop > 0 || x.stopped > 0)
        return stop > 0 ? stop : x.stopped;
    if (x.stopped < 0)
        return err_set(e, ERR_INTERNAL, "the server sent an event of more than %zu MiB", SSE_EVENT_MAX >> 20);
    if (rc != CURLE_OK)
        return transport_error(c, rc, words, e);
    return x.status == 200 ? 0 : finish(c, &x, NULL, e);
}
