/* The one complication: the stream may end at any time (the node restarts, the network drops), and events may say what is no longer so. So the stream
 * only wakes; what ends the watch is the order itself, asked for over a second connection. */
#include "portal/cli/watch.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "portal/cli/progress.h"
#include "portal/core/clock.h"
#include "portal/json/json.h"

#define LOOK_MS 15000         /* without an event for so long, the order is looked at */
#define SETTLE_MS 400         /* an end that an event told of is believed after so long */
#define PAUSE_MAX_MS 8000
#define GIVE_UP_MS (15 * 60000)
#define STREAM_OVER 1

static volatile sig_atomic_t interrupted;

struct watch {
    struct cli *cli;
    const struct watch_options *options;
    const char *id;
    struct client *stream;
    struct progress progress;
    struct sse sse;
    json_t *order;          /* newest document; owned */
    int exit;               /* enum exit_status once it is known, else -1 */
    int64_t look_at;        /* monotonic ms: when to look at the order next */
    int64_t away_since;     /* monotonic ms; 0: the server answers */
    int failures;           /* in a row */
};

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

int watch_exit_of(const char *state)
{
    if (!state)
        return -1;
    if (!strcmp(state, "ready"))
        return EXIT_DONE;
    if (!strcmp(state, "failed"))
        return EXIT_FAILED;
    if (!strcmp(state, "canceled"))
        return EXIT_ORDER_CANCELED;
    return !strcmp(state, "awaiting_approval") ? EXIT_WAITING : -1;
}

static const char *state_of(const json_t *order)
{
    return json_string_value(json_object_get(order, "state"));
}

/* Whether this state ends the watch; the exit status, or -1. */
static int end_of(const struct watch *w, const char *state)
{
    int code = watch_exit_of(state);
    return code == EXIT_WAITING && w->options->past_approval ? -1 : code;
}

/* Asks for the order; fills w->exit when it has ended. */
static int look(struct watch *w, struct err *e)
{
    json_t *order = NULL;
    int code = cli_get(w->cli, client_path(w->cli->arena, "/api/v1/orders/{}", w->id), &order, e);
    w->look_at = clock_mono_ms() + LOOK_MS;
    if (code)
        return code;
    json_decref(w->order);
    w->order = order;
    w->exit = end_of(w, state_of(order));
    return 0;
}

static int on_event(const struct sse_event *ev, void *arg)
{
    struct watch *w = arg;
    json_auto_t *envelope = NULL;
    if (!strcmp(ev->type, "gap")) {
        progress_say(&w->progress, "(the log no longer reaches back to the start: some events are not shown)");
        return 0;
    }
    if (json_read(ev->data, strlen(ev->data), 0, &envelope, NULL) || !json_is_object(envelope))
        return 0; /* of a kind this version does not know */
    const json_t *inner = json_object_get(envelope, "data");
    const json_t *data = json_is_object(inner) ? inner : envelope;
    const char *type = !strcmp(ev->type, "message") ? json_string_value(json_object_get(envelope, "type")) : ev->type;
    w->away_since = 0;
    w->failures = 0;
    progress_waiting(&w->progress, "");
    progress_event(&w->progress, type ? type : "", json_string_value(json_object_get(envelope, "at")), data);
    bool ends = type && !strcmp(type, "order.state") && end_of(w, state_of(data)) >= 0;
    w->look_at = clock_mono_ms() + (ends ? SETTLE_MS : LOOK_MS);
    return 0;
}

static int on_tick(void *arg)
{
    struct watch *w = arg;
    struct err e = ERR_INIT;
    progress_tick(&w->progress);
    if (interrupted)
        return STREAM_OVER;
    if (clock_mono_ms() < w->look_at)
        return 0;
    return look(w, &e) == 0 && w->exit >= 0 ? STREAM_OVER : 0; /* if nobody answers, the stream will tell */
}

/* Waits before the next connection: as the server asks, else longer each time. */
static void pause_between(struct watch *w, int retry_after)
{
    int64_t ms = 250LL << (w->failures < 5 ? w->failures : 5);
    if (retry_after > 0)
        ms = retry_after * 1000LL;
    else if (w->sse.retry_ms > 0 && !w->failures)
        ms = w->sse.retry_ms;
    ms = ms < PAUSE_MAX_MS ? ms : PAUSE_MAX_MS;
    for (int64_t until = clock_mono_ms() + ms; clock_mono_ms() < until && !interrupted;) {
        progress_tick(&w->progress);
        clock_sleep_ms(100);
    }
}

static bool is_passing(int code)
{
    return code == ERR_UNAVAILABLE || code == ERR_TIMEOUT || code == ERR_RATE;
}

/* The server is away: says so once, waits, gives up after a while. */
static int outage(struct watch *w, struct err *e)
{
    int64_t now = clock_mono_ms();
    if (!w->away_since)
        w->away_since = now;
    if (now - w->away_since > GIVE_UP_MS)
        return err_prefix(e, "gave up after 15 minutes (the order goes on; `soma orders watch %s` looks again)", w->id);
    if (w->failures > 0) /* the first try again is quiet: a node restarts in less than a second */
        progress_waiting(&w->progress, "The server does not answer; trying again. The order itself goes on.");
    pause_between(w, e->retry_after);
    w->failures++;
    return 0;
}

static int follow(struct watch *w, struct err *e)
{
    const char *path = client_path(w->cli->arena, "/api/v1/orders/{}/events", w->id);
    while (w->exit < 0 && !interrupted) {
        int code = client_stream(w->stream, path, &w->sse, on_tick, w, e);
        if (code >= 0 && w->exit < 0 && !interrupted) { /* closed by the server: it drains, or the order has ended */
            code = look(w, e);
            if (!code && w->exit < 0)
                pause_between(w, 0);
        }
        if (code < 0 && !is_passing(code))
            return code;
        if (code < 0 && (code = outage(w, e)))
            return code;
    }
    return 0;
}

/* An order that has ended before: its steps from the document, which may outlive its events. */
static void tell_steps(struct watch *w)
{
    size_t i;
    json_t *step;
    json_array_foreach(json_object_get(w->order, "steps"), i, step)
        progress_event(&w->progress, "order.state", json_string_value(json_object_get(step, "at")), step);
}

static const char *text_of(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : "";
}

static int start(struct watch *w, struct err *e)
{
    struct cli *c = w->cli;
    struct client_options o = {.url = c->profile.url, .token = c->profile.token, .ca = c->profile.ca, .verbose = args_has(&c->args, "verbose")};
    int code = client_new(&o, &w->stream, e);
    if (code)
        return code;
    bool create = strcmp(text_of(w->order, "kind"), "destroy") != 0;
    const char *template = json_string_value(output_at(w->order, "template.name|template"));
    char *title = arena_printf(c->arena, "%s: %s %s in %s  (order %s)", text_of(w->order, "name"), create ? "create" : "destroy",
                               template ? template : "", text_of(w->order, "environment"), w->id);
    bool live = !w->options->plain && isatty(STDERR_FILENO) && output_wants_live();
    progress_init(&w->progress, stderr, live, c->out.notes_colour, title);
    if (!live)
        progress_say(&w->progress, "%s", title);
    sse_init(&w->sse, on_event, w);
    return 0;
}

int watch_order(struct cli *c, const json_t *order, const struct watch_options *o, json_t **ret_order, struct err *e)
{
    struct watch w = {.cli = c, .options = o, .exit = -1, .id = arena_strdup(c->arena, text_of(order, "id")), .order = json_incref((json_t *)(uintptr_t)order)};
    struct sigaction act = {.sa_handler = on_signal}, before_int, before_term;
    sigaction(SIGINT, &act, &before_int);
    sigaction(SIGTERM, &act, &before_term);
    int code = cli_client(c, e);
    if (!code)
        code = start(&w, e);
    if (!code)
        code = look(&w, e);
    if (!code && w.exit >= 0 && w.exit != EXIT_WAITING)
        tell_steps(&w);
    else if (!code) {
        w.exit = -1;
        w.look_at = clock_mono_ms() + LOOK_MS;
        code = follow(&w, e);
    }
    progress_end(&w.progress);
    if (!code && w.exit < 0) {
        output_note("\nThe order goes on. `soma orders watch %s` looks again, `soma cancel %s` takes it back while it is queued or waits.", w.id, w.id);
        code = EXIT_INTERRUPTED;
    }
    if (!code)
        code = w.exit;
    if (code >= 0 && ret_order)
        *ret_order = json_incref(w.order);
    sigaction(SIGINT, &before_int, NULL);
    sigaction(SIGTERM, &before_term, NULL);
    json_decref(w.order);
    progress_done(&w.progress);
    sse_done(&w.sse);
    client_free(w.stream);
    return code;
}

static double seconds_of(const json_t *order)
{
    int64_t from = text_time_ms(text_of(order, "requested_at")), to = text_time_ms(text_of(order, "finished_at"));
    return from < 0 || to < from ? -1 : (double)(to - from) / 1000;
}

static void tell_failure(const json_t *order)
{
    const json_t *detail = output_at(order, "problem.detail|problem.message|reason");
    output_note("%s: the order failed: %s", text_of(order, "name"), json_is_string(detail) ? json_string_value(detail) : "the server does not say why");
    output_note("`soma orders logs %s` has the whole log.", text_of(order, "id"));
}

void watch_tell(const json_t *order)
{
    const char *name = text_of(order, "name"), *id = text_of(order, "id");
    BUF_AUTO time = BUF_INIT;
    if (seconds_of(order) >= 0) {
        buf_str(&time, " after ");
        text_duration(&time, seconds_of(order));
    }
    switch (watch_exit_of(state_of(order))) {
    case EXIT_DONE:
        if (json_is_true(json_object_get(order, "plan_only")))
            output_note("%s: planned%s; nothing was applied.", name, buf_cstr(&time));
        else if (!strcmp(text_of(order, "kind"), "destroy"))
            output_note("%s is destroyed%s.", name, buf_cstr(&time));
        else
            output_note("%s is ready%s. `soma services outputs %s` tells how to use it.", name, buf_cstr(&time), name);
        return;
    case EXIT_FAILED:
        tell_failure(order);
        return;
    case EXIT_WAITING:
        output_note("%s waits for an approval. Who is asked says `soma approve %s` or `soma reject %s`.", name, id, id);
        return;
    case EXIT_ORDER_CANCELED:
        output_note("%s: the order is canceled%s%s", name, *text_of(order, "reason") ? ": " : ".", text_of(order, "reason"));
        return;
    default:
        output_note("%s: the order is %s. `soma orders watch %s` follows it.", name, text_of(order, "state"), id);
    }
}
