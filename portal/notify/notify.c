/* Deliveries and the job that sends them. */
#include "portal/notify/notify.h"

#include <stdatomic.h>
#include <string.h>

#include "notify_queries.h"
#include "portal/cluster/cluster.h"
#include "portal/core/id.h"
#include "portal/core/log.h"
#include "portal/json/json.h"
#include "portal/notify/notify_private.h"

#define KINDS_MAX 32
static const struct notify_kind *kinds[KINDS_MAX]; /* written before threads start */
static size_t n_kinds;
static atomic_llong sent, failed, retried;

const struct secrets_column notify_secrets[] = {{"notify_delivery", "id", NULL, "sealed"}, {0}};

const struct jobs_kind notify_jobs[] = {
    {.kind = "notify", .fn = notify_run, .max_attempts = 12, .backoff_ms = 2000, .backoff_max_ms = 900000, .dead = notify_dead},
    {.kind = "notify.collect", .fn = notify_collect, .max_attempts = 3, .backoff_ms = 5000, .backoff_max_ms = 60000, .every_ms = 600000},
    {0},
};

void notify_register(const struct notify_kind *k)
{
    if (n_kinds < KINDS_MAX)
        kinds[n_kinds++] = k;
    else
        log_error("more kinds of messages than there is room for", LOG_S("kind", k->kind));
}

static const struct notify_kind *find_kind(const char *kind)
{
    for (size_t i = 0; i < n_kinds; i++)
        if (!strcmp(kinds[i]->kind, kind))
            return kinds[i];
    return NULL;
}

void notify_get_stats(struct notify_stats *ret)
{
    *ret = (struct notify_stats){atomic_load(&sent), atomic_load(&failed), atomic_load(&retried)};
}

int notify_enqueue(struct db_conn *c, const struct notify_spec *s, char *ret_id, struct err *e)
{
    char id[ID_LEN + 1];
    BUF_AUTO sealed = BUF_INIT;
    id_new(id);
    int r = s->secret ? secrets_seal("notify_delivery", id, 0, s->secret, strlen(s->secret), &sealed, e) : 0;
    if (!r)
        r = db_run(c, Q_DELIVERY_INSERT, NULL, e, db_text(id), db_text(s->kind), db_text(s->channel), db_text(s->address ? s->address : ""), db_text(s->person),
                   db_text(s->about ? s->about : ""), db_text(s->data), s->secret ? db_bytes(sealed.data, sealed.len) : db_null());
    /* A limit of its own (migrations) and the lowest priority: orders go first. */
    struct jobs_spec job = {.kind = "notify", .subject = id, .environment = ".notify", .priority = -10};
    if (!r)
        r = jobs_enqueue(c, &job, NULL, e);
    if (!r && ret_id)
        memcpy(ret_id, id, sizeof id);
    return r;
}

/* ---- the job ---- */

struct sending {
    struct job *j;
    struct notify_delivery d;
    struct notify_message m;
    json_t *data;
    bool over;                    /* nothing is to be sent: it was, or is not wanted any more */
    const char *state, *error;    /* for end_tx */
};

static int open_secret(struct sending *s, const struct db_result *row, struct err *e)
{
    if (db_is_null(row, 0, 7))
        return 0;
    size_t len;
    BUF_AUTO plain = BUF_INIT;
    const void *sealed = db_blob(row, 0, 7, s->j->arena, &len);
    int r = secrets_open("notify_delivery", s->d.id, 0, sealed, len, &plain, e);
    if (!r)
        s->d.secret = arena_strndup(s->j->arena, plain.data ? plain.data : "", plain.len);
    buf_wipe(&plain);
    return r;
}

static int load(struct db_conn *c, struct sending *s, struct err *e)
{
    struct arena *a = s->j->arena;
    DB_RESULT_AUTO row = NULL;
    int r = db_run(c, Q_DELIVERY_LOAD, &row, e, db_text(s->j->subject));
    if (r)
        return r;
    s->over = db_rows(row) == 0 || strcmp(db_str(row, 0, 8), "queued") != 0;
    if (s->over)
        return 0;
    s->d = (struct notify_delivery){.id = s->j->subject, .kind = arena_strdup(a, db_str(row, 0, 0)), .channel = arena_strdup(a, db_str(row, 0, 1)),
                                    .address = arena_strdup(a, db_str(row, 0, 2)), .person = arena_strdup(a, db_str_or_null(row, 0, 3)),
                                    .person_name = arena_strdup(a, db_str(row, 0, 4)), .about = arena_strdup(a, db_str(row, 0, 5))};
    json_decref(s->data);
    s->data = NULL;
    r = json_read(db_str(row, 0, 6), strlen(db_str(row, 0, 6)), 0, &s->data, e);
    s->d.data = s->data;
    if (!r && db_bool(row, 0, 9))
        return err_set(e, ERR_CANCELED, "the account is disabled");
    return r ? r : open_secret(s, row, e);
}

static int compose_tx(struct db_conn *c, void *arg, struct err *e)
{
    struct sending *s = arg;
    int r = jobs_guard(c, s->j, e);
    struct err why = ERR_INIT;
    json_decref((json_t *)(uintptr_t)s->m.slack);
    s->m = (struct notify_message){0};
    if (r)
        return r;
    r = load(c, s, &why);
    const struct notify_kind *k = r || s->over ? NULL : find_kind(s->d.kind);
    if (!r && !s->over)
        r = k ? k->compose(c, &s->d, s->j->arena, &s->m, &why) : err_set(&why, ERR_CANCELED, "nothing here composes messages of the kind %.40s", s->d.kind);
    if (r == ERR_CANCELED) {
        s->over = true;
        return db_run(c, Q_DELIVERY_END, NULL, e, db_text(s->j->subject), db_text("dropped"), db_text(why.msg));
    }
    if (r)
        *e = why;
    return r;
}

static int end_tx(struct db_conn *c, void *arg, struct err *e)
{
    struct sending *s = arg;
    int r = jobs_guard(c, s->j, e);
    if (!r)
        r = db_run(c, Q_DELIVERY_TRIED, NULL, e, db_text(s->j->subject), db_text(s->error));
    if (!r && s->state)
        r = db_run(c, Q_DELIVERY_END, NULL, e, db_text(s->j->subject), db_text(s->state), db_text(s->error));
    return r;
}

static int send_it(struct sending *s, struct err *e)
{
    struct err why = ERR_INIT;
    int r = !strcmp(s->d.channel, NOTIFY_MAIL) ? mail_send(&s->d, &s->m, &why) : slack_send(&s->d, &s->m, &why);
    s->state = r ? NULL : "sent";
    s->error = r ? why.msg : "";
    if (r == ERR_INVALID)
        s->state = "failed";
    int x = db_tx(s->j->db, end_tx, s, e);
    if (x)
        return JOBS_RETRY;
    atomic_fetch_add(!r ? &sent : r == ERR_INVALID ? &failed : &retried, 1);
    if (r)
        *e = why;
    return !r ? JOBS_DONE : r == ERR_INVALID ? JOBS_DEAD : JOBS_RETRY;
}

int notify_run(struct job *j, struct err *e)
{
    struct sending s = {.j = j};
    int r = db_tx(j->db, compose_tx, &s, e) ? JOBS_RETRY : JOBS_DONE;
    if (r == JOBS_DONE && !s.over)
        r = send_it(&s, e);
    json_decref(s.data);
    json_decref((json_t *)(uintptr_t)s.m.slack);
    return r;
}

int notify_dead(struct db_conn *c, const char *subject, json_t *args, const char *reason, struct err *e)
{
    (void)args;
    log_warn("a message was given up", LOG_S("delivery", subject), LOG_S("reason", reason));
    return db_run(c, Q_DELIVERY_END, NULL, e, db_text(subject), db_text("failed"), db_text(reason));
}

static int collect_tx(struct db_conn *c, void *arg, struct err *e)
{
    int r = jobs_guard(c, arg, e);
    if (!r)
        r = db_run(c, Q_DELIVERY_COLLECT, NULL, e);
    if (!r)
        r = db_run(c, Q_SLACK_FORGET, NULL, e);
    return r ? r : db_run(c, Q_SLACK_CODES_FORGET, NULL, e);
}

int notify_collect(struct job *j, struct err *e)
{
    return db_tx(j->db, collect_tx, j, e) ? JOBS_RETRY : JOBS_DONE;
}
