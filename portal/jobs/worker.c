/* The worker: job threads, and what becomes of a job when its function returns. The claimer (claimer.c) alone speaks to job_lease; a job thread
 * hands it the outcome. Only a dead letter is written by the job thread itself, because the kind's last words belong into its transaction. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "jobs_queries.h"
#include "portal/core/clock.h"
#include "portal/core/log.h"
#include "portal/core/thread.h"
#include "portal/jobs/jobs_private.h"

#define REASON_MAX 2000

static void *must(void *p)
{
    if (!p)
        abort();
    return p;
}

void line_push(struct line *l, struct held *h)
{
    h->line_next = NULL;
    if (l->last)
        l->last->line_next = h;
    else
        l->first = h;
    l->last = h;
    l->n++;
}

struct held *line_pop(struct line *l)
{
    struct held *h = l->first;
    if (!h)
        return NULL;
    l->first = h->line_next;
    if (!l->first)
        l->last = NULL;
    l->n--;
    return h;
}

void held_free(struct held *h)
{
    json_decref(h->job.args);
    arena_free(h->job.arena); /* holds h itself */
}

void held_forget(struct jobs *j, struct held *h)
{
    if (h->prev)
        h->prev->next = h->next;
    else
        j->all = h->next;
    if (h->next)
        h->next->prev = h->prev;
    j->n_all--;
    held_free(h);
    if (!j->n_all)
        pthread_cond_broadcast(&j->drained);
}

const struct jobs_kind *jobs_kind_of(const struct jobs *j, const char *kind)
{
    for (const struct jobs_kind *k = j->kinds; k->kind; k++)
        if (!strcmp(k->kind, kind))
            return k;
    return NULL;
}

int64_t jobs_lease_until(const struct job *job)
{
    return atomic_load(&((struct held *)(uintptr_t)job)->lease_until);
}

void *jobs_user(const struct job *job)
{
    return job->jobs->user;
}

bool jobs_draining(const struct jobs *j)
{
    return atomic_load(&j->draining);
}

/* Full jitter: anywhere between nothing and the doubled step, so that what failed together does not come back together. */
static int64_t backoff_ms(const struct jobs_kind *k, int attempt)
{
    int64_t most = k->backoff_max_ms > 0 ? k->backoff_max_ms : 60000;
    int64_t step = k->backoff_ms > 0 ? k->backoff_ms : 1000;
    for (int i = 1; i < attempt && step < most; i++)
        step *= 2;
    if (step > most)
        step = most;
    uint32_t dice = 0;
    if (getrandom(&dice, sizeof dice, GRND_NONBLOCK) != sizeof dice)
        dice = (uint32_t)clock_mono_ms() * 2654435761u;
    return (int64_t)((double)step * dice / UINT32_MAX);
}

/* Length of the UTF-8 sequence at p, 0 when it is none (overlong, surrogate, cut off). */
static size_t utf8_len(const unsigned char *p)
{
    static const struct { unsigned char mask, lead; unsigned least; } kinds_of[] = {{0x80, 0, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};
    for (size_t n = 0; n < 4; n++) {
        if ((p[0] & kinds_of[n].mask) != kinds_of[n].lead)
            continue;
        unsigned code = p[0] & (unsigned char)~kinds_of[n].mask;
        for (size_t i = 1; i <= n; i++) {
            if ((p[i] & 0xc0) != 0x80)
                return 0;
            code = code << 6 | (p[i] & 0x3f);
        }
        return code < kinds_of[n].least || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? 0 : n + 1;
    }
    return 0;
}

/* A reason is words from anywhere, and may have been cut in the middle of a character. PostgreSQL refuses such text, and with it the whole round. */
static char *clean_reason(struct arena *a, const char *text)
{
    char *out = arena_alloc(a, REASON_MAX + 1);
    size_t used = 0;
    for (const unsigned char *p = (const unsigned char *)text; *p;) {
        size_t n = utf8_len(p);
        if (used + (n ? n : 1) > REASON_MAX)
            break;
        memcpy(out + used, n ? (const char *)p : "?", n ? n : 1);
        used += n ? n : 1;
        p += n ? n : 1;
    }
    return out;
}

static void give_back(struct held *h, bool counts, int64_t delay_ms, const char *reason)
{
    h->back = true;
    h->counts = counts;
    h->delay_ms = delay_ms;
    h->reason = reason ? clean_reason(h->job.arena, reason) : NULL;
}

struct burial { struct held *h; const char *reason; bool waits; };

static int bury(struct db_conn *c, void *arg, struct err *e)
{
    struct burial *b = arg;
    struct job *job = &b->h->job;
    char id[ID_LEN + 1];
    id_new(id);
    DB_RESULT_AUTO row = NULL;
    int r = db_one(c, Q_JOB_BURY, &row, e, db_text(job->id), db_text(job->token), db_text(b->reason), db_text(id));
    if (r)
        return r;
    b->waits = !db_bool(row, 0, 0);
    return !b->waits && b->h->kind->dead ? b->h->kind->dead(c, job->subject, job->args, b->reason, e) : 0;
}

/* To the dead letters. The lease stays ours by the heartbeat meanwhile, so an absent database is waited for. True: buried. */
static bool end_dead(struct held *h, const char *why, struct err *e)
{
    struct jobs *j = h->job.jobs;
    const char *reason = clean_reason(h->job.arena, why);
    struct burial b = {.h = h, .reason = reason};
    int r;
    while ((r = db_tx(j->db, bury, &b, e)) == ERR_UNAVAILABLE && !jobs_draining(j) && jobs_lease_until(&h->job))
        clock_sleep_ms(500);
    if (!r && !b.waits) {
        log_warn("job is a dead letter now", LOG_S("kind", h->kind->kind), LOG_S("subject", h->job.subject), LOG_S("job", h->job.id), LOG_S("reason", reason));
        return true;
    }
    if (r && r != ERR_FENCED)
        log_error("a job could not be put to the dead letters; it will be tried again", LOG_S("kind", h->kind->kind), LOG_S("subject", h->job.subject), LOG_S("error", e->msg));
    give_back(h, false, r == ERR_FENCED ? 0 : backoff_ms(h->kind, h->job.attempt), reason);
    return false;
}

enum ending { END_DONE, END_BACK, END_DEAD, END_FENCED };

static enum ending decide(struct held *h, int result, const struct err *why, struct err *e)
{
    const struct jobs_kind *k = h->kind;
    if (result == JOBS_DONE)
        return END_DONE;
    if (result == ERR_FENCED || (result != JOBS_DEAD && why->code == ERR_FENCED)) {
        /* If the lease is ours after all, what fenced it was something else: come back, but not in a tight loop. */
        give_back(h, false, 1000 + backoff_ms(k, 1), NULL);
        return END_FENCED;
    }
    const char *reason = why->msg[0] ? why->msg : "the job gave no reason";
    if (result == JOBS_DEAD)
        return end_dead(h, reason, e) ? END_DEAD : END_BACK;
    if (jobs_draining(h->job.jobs)) {
        give_back(h, false, 0, NULL);
        return END_BACK;
    }
    if (h->job.attempt >= (k->max_attempts > 0 ? k->max_attempts : 10)) {
        char *last = arena_printf(h->job.arena, "failed %d times; the last: %s", h->job.attempt, reason);
        return end_dead(h, last, e) ? END_DEAD : END_BACK;
    }
    give_back(h, true, backoff_ms(k, h->job.attempt), reason);
    log_info("job will be tried again", LOG_S("kind", k->kind), LOG_S("subject", h->job.subject), LOG_I("attempt", h->job.attempt), LOG_I("delay_ms", h->delay_ms),
             LOG_S("reason", reason));
    return END_BACK;
}

static enum ending run(struct held *h)
{
    struct err why = ERR_INIT, e = ERR_INIT;
    if (jobs_lease_until(&h->job) <= clock_boot_ms()) { /* the database is away: nothing was begun */
        give_back(h, false, 0, NULL);
        return END_BACK;
    }
    h->job.args = json_loads(h->args, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    int most = h->kind->max_crashes > 0 ? h->kind->max_crashes : 5;
    if (h->job.crashes >= most) {
        char *reason = arena_printf(h->job.arena, "%d workers died while they ran this job; it is not tried again by itself", h->job.crashes);
        return end_dead(h, reason, &e) ? END_DEAD : END_BACK;
    }
    int result = h->kind->fn(&h->job, &why);
    return decide(h, result, &why, &e);
}

/* Under lock. */
static void account(struct jobs *j, struct held *h, enum ending end, int64_t took_us)
{
    j->running--;
    j->job_us = j->job_us > 0 ? j->job_us * 0.9 + (double)took_us * 0.1 : (double)took_us;
    j->stats.done += end == END_DONE;
    j->stats.retried += end == END_BACK && h->counts;
    j->stats.dead += end == END_DEAD;
    j->stats.fenced += end != END_DEAD && !jobs_lease_until(&h->job);
    if (end == END_DEAD) {
        held_forget(j, h);
        return;
    }
    h->state = HELD_ENDED;
    if (!j->ended.n)
        j->first_ended_ms = clock_mono_ms();
    line_push(&j->ended, h);
}

static int64_t mono_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static void *job_thread(void *arg)
{
    struct jobs *j = arg;
    thread_set_role(THREAD_JOB, "job");
    pthread_mutex_lock(&j->lock);
    for (;;) {
        while (!j->queued.n && !j->stop_threads)
            pthread_cond_wait(&j->work, &j->lock);
        if (j->stop_threads)
            break;
        struct held *h = line_pop(&j->queued);
        h->state = HELD_RUNNING;
        j->running++;
        pthread_mutex_unlock(&j->lock);
        int64_t begun = mono_us();
        enum ending end = run(h);
        log_context(NULL, NULL);
        int64_t took = mono_us() - begun;
        pthread_mutex_lock(&j->lock);
        account(j, h, end, took);
        /* The claimer sleeps until the first that ended has waited long enough, or until there is room for more. */
        if (j->ended.n == 1 || jobs_want_more(j))
            pthread_cond_signal(&j->turn);
    }
    pthread_mutex_unlock(&j->lock);
    return NULL;
}

static char *array_of_kinds(const struct jobs_kind *kinds)
{
    struct buf b = BUF_INIT;
    for (const struct jobs_kind *k = kinds; k->kind; k++)
        array_quote(&b, k->kind);
    array_end(&b);
    return buf_take(&b, NULL);
}

static char *array_of_labels(const char *labels)
{
    struct buf b = BUF_INIT;
    char *copy = must(strdup(labels ? labels : "")), *rest = NULL;
    for (char *label = strtok_r(copy, ", \t", &rest); label; label = strtok_r(NULL, ", \t", &rest))
        array_quote(&b, label);
    free(copy);
    array_end(&b);
    return buf_take(&b, NULL);
}

static void list_ticks(struct jobs *j)
{
    struct buf kinds = BUF_INIT, every = BUF_INIT;
    for (const struct jobs_kind *k = j->kinds; k->kind; k++)
        if (k->every_ms > 0) {
            char ms[24];
            snprintf(ms, sizeof ms, "%lld", (long long)k->every_ms);
            array_quote(&kinds, k->kind);
            array_add(&every, ms);
            j->n_ticks++;
        }
    array_end(&kinds);
    array_end(&every);
    j->tick_kinds = buf_take(&kinds, NULL);
    j->tick_every = buf_take(&every, NULL);
}

static void init_sync(struct jobs *j)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&j->lock, NULL);
    pthread_cond_init(&j->work, NULL);
    pthread_cond_init(&j->turn, &monotonic);
    pthread_cond_init(&j->drained, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

static void jobs_done(struct jobs *j)
{
    while (j->all)
        held_forget(j, j->all);
    pthread_mutex_destroy(&j->lock);
    pthread_cond_destroy(&j->work);
    pthread_cond_destroy(&j->turn);
    pthread_cond_destroy(&j->drained);
    free(j->node_id);
    free(j->kinds_array);
    free(j->labels_array);
    free(j->tick_kinds);
    free(j->tick_every);
    free(j->threads);
    free(j);
}

static void stop_threads(struct jobs *j, int n, bool claimer)
{
    pthread_mutex_lock(&j->lock);
    j->stop_threads = true;
    pthread_cond_broadcast(&j->work);
    pthread_mutex_unlock(&j->lock);
    for (int i = 0; i < n; i++)
        pthread_join(j->threads[i], NULL);
    pthread_mutex_lock(&j->lock);
    j->stop_claimer = true;
    pthread_cond_signal(&j->turn);
    pthread_mutex_unlock(&j->lock);
    if (claimer)
        pthread_join(j->claimer, NULL);
}

int jobs_start(const struct jobs_options *o, struct jobs **ret, struct err *e)
{
    if (!o->kinds || !o->kinds->kind)
        return err_set(e, ERR_INVALID, "a worker needs at least one kind of job");
    struct jobs *j = must(calloc(1, sizeof *j));
    j->db = o->db;
    j->node_id = must(strdup(o->node_id));
    id_new(j->incarnation);
    j->kinds = o->kinds;
    j->user = o->user;
    j->n_threads = o->threads > 0 ? o->threads : 4;
    j->lease_ms = o->lease_ms > 0 ? o->lease_ms : 30000;
    j->poll_ms = o->poll_ms > 0 ? o->poll_ms : 1000;
    j->kinds_array = array_of_kinds(o->kinds);
    j->labels_array = array_of_labels(o->labels);
    list_ticks(j);
    init_sync(j);
    j->threads = must(calloc((size_t)j->n_threads, sizeof *j->threads));
    int started = 0, r = pthread_create(&j->claimer, NULL, jobs_claimer, j);
    bool claimer = !r;
    while (!r && started < j->n_threads)
        if (!(r = pthread_create(&j->threads[started], NULL, job_thread, j)))
            started++;
    if (r) {
        stop_threads(j, started, claimer);
        jobs_done(j);
        return err_errno(e, ERR_IO, r, "cannot start the job threads");
    }
    *ret = j;
    return 0;
}

void jobs_wake(struct jobs *j)
{
    pthread_mutex_lock(&j->lock);
    j->woken = true;
    pthread_cond_signal(&j->turn);
    pthread_mutex_unlock(&j->lock);
}

/* Under lock: until nothing is held, or the time (mono ms) has come. */
static void wait_drained(struct jobs *j, int64_t until)
{
    struct timespec t = {until / 1000, (until % 1000) * 1000000L};
    while (j->n_all && pthread_cond_timedwait(&j->drained, &j->lock, &t) != ETIMEDOUT)
        ;
}

void jobs_drain(struct jobs *j, int timeout_ms)
{
    int64_t until = clock_mono_ms() + (timeout_ms > 0 ? timeout_ms : 0);
    pthread_mutex_lock(&j->lock);
    atomic_store(&j->draining, true);
    pthread_cond_signal(&j->turn); /* the claimer hands back what was not begun */
    wait_drained(j, until);
    pthread_mutex_unlock(&j->lock);
}

void jobs_free(struct jobs *j)
{
    if (!j)
        return;
    jobs_drain(j, 0);
    /* Job threads end after the job they are in; the claimer keeps their leases alive meanwhile, and then has 5 s to settle what ended. */
    pthread_mutex_lock(&j->lock);
    while (j->running || j->queued.n)
        wait_drained(j, clock_mono_ms() + 100);
    wait_drained(j, clock_mono_ms() + 5000);
    pthread_mutex_unlock(&j->lock);
    stop_threads(j, j->n_threads, true);
    jobs_done(j);
}

int jobs_get_stats(struct jobs *j, struct jobs_stats *ret)
{
    pthread_mutex_lock(&j->lock);
    *ret = j->stats;
    ret->running = j->running;
    ret->ahead = j->queued.n;
    pthread_mutex_unlock(&j->lock);
    return 0;
}
