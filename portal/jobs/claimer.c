/* The claimer: the one thread and connection of a worker that speaks to the leases. Its one complication: the answer to a statement may be
 * lost. Outcomes are told again until they are settled, which changes nothing the second time (the token is gone); leases from a claim whose
 * answer was lost are found by job_reap, which is told what we hold. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jobs_queries.h"
#include "portal/core/clock.h"
#include "portal/core/log.h"
#include "portal/core/thread.h"
#include "portal/jobs/jobs_private.h"

static void complain(struct jobs *j, const struct err *e)
{
    j->stats.failures++; /* read without order by jobs_get_stats: under lock there, so take it here too */
    if (!j->complained)
        log_warn("the queue is out of reach; what runs goes on while its lease lasts", LOG_S("error", e->msg));
    j->complained = true;
}

/* A statement failed: with a dead connection everything waits for a new one. Other nodes' leases are left alone for a while after that, so that
 * their owners, who were cut off as we were, can renew first. */
static void failed(struct jobs *j, const struct err *e)
{
    int64_t now = clock_mono_ms();
    pthread_mutex_lock(&j->lock);
    complain(j, e);
    pthread_mutex_unlock(&j->lock);
    if (j->conn && !db_alive(j->conn)) {
        db_give(j->conn);
        j->conn = NULL;
        j->connect_at = now + 250;
        j->beat_at = 0;
    } else
        j->connect_at = now + 1000;
    j->reap_at = now + j->lease_ms / 3;
}

static bool connected(struct jobs *j)
{
    if (j->conn)
        return true;
    struct err e = ERR_INIT;
    if (db_take(j->db, &j->conn, &e)) {
        j->conn = NULL;
        pthread_mutex_lock(&j->lock);
        complain(j, &e);
        pthread_mutex_unlock(&j->lock);
        j->connect_at = clock_mono_ms() + 1000;
        return false;
    }
    return true;
}

/* --- heartbeat --- */

static void list_held(struct jobs *j, struct buf *ids, struct buf *tokens, bool lost_too)
{
    pthread_mutex_lock(&j->lock);
    for (struct held *h = j->all; h; h = h->next)
        if (lost_too || atomic_load(&h->lease_until)) {
            array_add(ids, h->job.id);
            if (tokens)
                array_add(tokens, h->job.token);
        }
    pthread_mutex_unlock(&j->lock);
}

static bool is_among(const struct db_result *rows, const char *id)
{
    for (int i = 0; i < db_rows(rows); i++)
        if (!strcmp(db_str(rows, i, 0), id))
            return true;
    return false;
}

/* No job was claimed since the statement was sent (this thread claims); some may have been buried by their own thread. */
static void take_over_beat(struct jobs *j, const struct db_result *rows, int64_t until)
{
    pthread_mutex_lock(&j->lock);
    for (struct held *h = j->all; h; h = h->next) {
        if (!atomic_load(&h->lease_until))
            continue;
        if (is_among(rows, h->job.id))
            atomic_store(&h->lease_until, until);
        else
            atomic_store(&h->lease_until, 0);
    }
    j->stats.beats++;
    pthread_mutex_unlock(&j->lock);
}

static int beat(struct jobs *j, struct err *e)
{
    BUF_AUTO ids = BUF_INIT;
    BUF_AUTO tokens = BUF_INIT;
    list_held(j, &ids, &tokens, false);
    if (!ids.len)
        return 0;
    DB_RESULT_AUTO rows = NULL;
    /* Before it is sent: the server's clock starts the lease later than that, never earlier. */
    int64_t until = clock_boot_ms() + j->lease_ms;
    int r = db_run(j->conn, Q_JOB_BEAT, &rows, e, db_text(array_end(&ids)), db_text(array_end(&tokens)), db_int(j->lease_ms));
    if (!r)
        take_over_beat(j, rows, until);
    return r;
}

/* --- what nobody living holds; schedules --- */

static int reap(struct jobs *j, struct err *e)
{
    BUF_AUTO ids = BUF_INIT;
    list_held(j, &ids, NULL, true);
    DB_RESULT_AUTO row = NULL;
    int r = db_one(j->conn, Q_JOB_REAP, &row, e, db_text(j->node_id), db_text(j->incarnation), db_text(array_end(&ids)), db_flag(true));
    if (r || !db_i64(row, 0, 0))
        return r;
    log_info("jobs of dead workers are back in the queue", LOG_I("jobs", db_i64(row, 0, 0)));
    pthread_mutex_lock(&j->lock);
    j->stats.reaped += db_i64(row, 0, 0);
    j->woken = true;
    pthread_mutex_unlock(&j->lock);
    return 0;
}

static int tick(struct jobs *j, struct err *e)
{
    BUF_AUTO ids = BUF_INIT;
    for (int i = 0; i < j->n_ticks; i++) {
        char id[ID_LEN + 1];
        id_new(id);
        array_add(&ids, id);
    }
    DB_RESULT_AUTO row = NULL;
    int r = db_one(j->conn, Q_JOB_TICK, &row, e, db_text(j->tick_kinds), db_text(j->tick_every), db_text(array_end(&ids)));
    if (r)
        return r;
    /* Another node may shorten an interval: looked at now and then anyway. */
    int64_t wait = db_i64(row, 0, 0);
    j->tick_at = clock_mono_ms() + (wait < 20 ? 20 : wait > 10000 ? 10000 : wait);
    pthread_mutex_lock(&j->lock);
    j->woken = true;
    pthread_mutex_unlock(&j->lock);
    return 0;
}

/* Dead letters nobody looked at for 90 days. */
static int forget_dead(struct jobs *j, struct err *e)
{
    int r = db_run(j->conn, Q_JOB_FORGET_DEAD, NULL, e);
    j->forget_at = clock_mono_ms() + FORGET_MS;
    return r;
}

/* For the metrics. */
static int count(struct jobs *j, struct err *e)
{
    struct jobs_counts n;
    int r = jobs_count(j->conn, &n, e);
    pthread_mutex_lock(&j->lock);
    if (!r)
        j->stats.queued = (int)(n.due + n.waiting);
    pthread_mutex_unlock(&j->lock);
    j->count_at = clock_mono_ms() + COUNT_MS;
    return r;
}

/* --- the turn --- */

struct told {
    struct buf done, done_tokens, back, back_tokens, delays, counts, reasons;
    struct line line;
    int want;
};

static void told_done(struct told *t)
{
    struct buf *all[] = {&t->done, &t->done_tokens, &t->back, &t->back_tokens, &t->delays, &t->counts, &t->reasons};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        buf_done(all[i]);
}

static void tell(struct told *t, struct held *h)
{
    if (!h->back) {
        array_add(&t->done, h->job.id);
        array_add(&t->done_tokens, h->job.token);
        return;
    }
    char delay[24];
    snprintf(delay, sizeof delay, "%lld", (long long)h->delay_ms);
    array_add(&t->back, h->job.id);
    array_add(&t->back_tokens, h->job.token);
    array_add(&t->delays, delay);
    array_add(&t->counts, h->counts ? "t" : "f");
    if (h->reason)
        array_quote(&t->reasons, h->reason);
    else
        array_add(&t->reasons, "NULL");
}

/* Under lock. How many to claim: one for each idle thread, and ahead as many as the threads work off in a moment, so that commits are few; then
 * not before half of these are gone. Long jobs are never claimed ahead: another node may be idle. */
static int count_wanted(const struct jobs *j)
{
    if (jobs_draining(j))
        return 0;
    int ahead = 0, have = j->running + j->queued.n;
    if (j->job_us > 0) {
        double each = PREFETCH_US / (j->job_us < 20 ? 20 : j->job_us);
        ahead = each < 1 ? 0 : (int)(each * j->n_threads);
    }
    if (ahead > WANT_MAX)
        ahead = WANT_MAX;
    if (have >= j->n_threads && have > (j->n_threads + ahead) / 2)
        return 0;
    int want = j->n_threads + ahead - have;
    return want < 0 ? 0 : want > WANT_MAX ? WANT_MAX : want;
}

bool jobs_want_more(const struct jobs *j)
{
    return count_wanted(j) > 0;
}

/* Under lock: what was claimed and cannot begin soon goes back. */
static void hand_back(struct jobs *j)
{
    if (!j->queued.n || (!jobs_draining(j) && clock_mono_ms() - j->queued.first->claimed_ms < STALE_MS))
        return;
    struct held *h;
    while ((h = line_pop(&j->queued))) {
        h->state = HELD_ENDED;
        h->back = true;
        line_push(&j->ended, h);
    }
    j->job_us = 1e6; /* what was measured does not hold any more */
}

static void collect(struct jobs *j, struct told *t)
{
    pthread_mutex_lock(&j->lock);
    hand_back(j);
    struct held *h;
    for (int n = 0; n < 2 * WANT_MAX && (h = line_pop(&j->ended)); n++) {
        tell(t, h);
        line_push(&t->line, h);
    }
    t->want = count_wanted(j);
    j->woken = false;
    pthread_mutex_unlock(&j->lock);
}

static struct held *held_new(struct jobs *j, const struct db_result *rows, int i, int64_t until)
{
    struct arena *a = arena_new();
    struct held *h = arena_alloc(a, sizeof *h);
    h->job = (struct job){
        .id = arena_strdup(a, db_str(rows, i, 1)), .kind = arena_strdup(a, db_str(rows, i, 2)), .subject = arena_strdup(a, db_str(rows, i, 3)),
        .team = arena_strdup(a, db_str(rows, i, 4)), .environment = arena_strdup(a, db_str(rows, i, 5)), .token = arena_strdup(a, db_str(rows, i, 7)),
        .fence = db_i64(rows, i, 8), .attempt = (int)db_i64(rows, i, 9), .crashes = (int)db_i64(rows, i, 10), .arena = a, .db = j->db, .jobs = j};
    h->args = arena_strdup(a, db_str(rows, i, 6));
    h->kind = jobs_kind_of(j, h->job.kind);
    h->claimed_ms = clock_mono_ms();
    atomic_store(&h->lease_until, until);
    return h;
}

/* Under lock. */
static void adopt(struct jobs *j, struct held *h)
{
    h->next = j->all;
    if (h->next)
        h->next->prev = h;
    j->all = h;
    j->n_all++;
    j->stats.claimed++;
    h->state = HELD_QUEUED;
    line_push(&j->queued, h);
    pthread_cond_signal(&j->work);
}

/* Under lock: told jobs are settled, unless the answer says busy. */
static void settle(struct jobs *j, struct told *t, const struct db_result *rows, bool any_busy)
{
    struct held *h;
    while ((h = line_pop(&t->line))) {
        bool busy = false;
        for (int i = 0; any_busy && !busy && i < db_rows(rows); i++)
            busy = db_str(rows, i, 0)[0] == 'b' && !strcmp(db_str(rows, i, 1), h->job.id);
        if (busy && atomic_load(&h->lease_until))
            line_push(&j->ended, h);
        else
            held_forget(j, h);
    }
    if (j->ended.n && any_busy)
        j->first_ended_ms = clock_mono_ms() + 200; /* a lock or a leash: later */
}

static void take_answer(struct jobs *j, struct told *t, const struct db_result *rows, int64_t until)
{
    int64_t now = clock_mono_ms(), next = j->poll_ms;
    bool any_busy = false;
    for (int i = 0; i < db_rows(rows); i++) {
        const char *what = db_str(rows, i, 0);
        any_busy |= what[0] == 'b';
        if (what[0] == 'm')
            next = 1 + now % 7; /* others were in the same rows: apart from each other */
        if (what[0] == 'n' && db_i64(rows, i, 8) + 1 < next)
            next = db_i64(rows, i, 8) + 1;
    }
    j->poll_at = now + next;
    pthread_mutex_lock(&j->lock);
    settle(j, t, rows, any_busy);
    for (int i = 0; i < db_rows(rows); i++)
        if (db_str(rows, i, 0)[0] == 'c')
            adopt(j, held_new(j, rows, i, until));
    j->stats.turns++;
    pthread_mutex_unlock(&j->lock);
}

static void untold(struct jobs *j, struct told *t)
{
    struct held *h;
    pthread_mutex_lock(&j->lock);
    while ((h = line_pop(&t->line)))
        line_push(&j->ended, h);
    pthread_mutex_unlock(&j->lock);
}

static int turn(struct jobs *j, struct err *e)
{
    struct told t = {0};
    collect(j, &t);
    DB_RESULT_AUTO rows = NULL;
    int64_t until = clock_boot_ms() + j->lease_ms;
    int r = 0;
    if (t.want || t.line.n)
        r = db_run(j->conn, Q_JOB_TURN, &rows, e, db_text(j->node_id), db_text(j->incarnation), db_text(array_end(&t.done)), db_text(array_end(&t.done_tokens)),
                   db_text(array_end(&t.back)), db_text(array_end(&t.back_tokens)), db_text(array_end(&t.delays)), db_text(array_end(&t.counts)),
                   db_text(array_end(&t.reasons)), db_int(t.want), db_int(j->lease_ms), db_text(j->kinds_array), db_text(j->labels_array));
    if (r)
        untold(j, &t);
    else if (rows)
        take_answer(j, &t, rows, until);
    else
        j->poll_at = clock_mono_ms() + j->poll_ms;
    told_done(&t);
    return r;
}

/* --- the rhythm --- */

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Under lock: when the next thing is due; 0: now. */
static int64_t due_at(struct jobs *j)
{
    if (!j->conn)
        return j->connect_at;
    if (j->woken && !jobs_draining(j) && count_wanted(j))
        return j->connect_at;
    int64_t at = least(j->poll_at, least(j->beat_at, j->reap_at));
    if (j->n_ticks && !jobs_draining(j))
        at = least(at, j->tick_at);
    if (j->ended.n)
        at = least(at, !count_wanted(j) || j->first_ended_ms > clock_mono_ms() ? j->first_ended_ms + GATHER_MS : 0);
    if (j->queued.n)
        at = least(at, jobs_draining(j) ? 0 : j->queued.first->claimed_ms + STALE_MS);
    /* After a failure nothing is tried before connect_at. */
    return at < j->connect_at ? j->connect_at : at;
}

/* Waits until something is due. False: the worker ends. */
static bool wait_due(struct jobs *j)
{
    pthread_mutex_lock(&j->lock);
    while (!j->stop_claimer) {
        int64_t at = due_at(j);
        if (at <= clock_mono_ms())
            break;
        struct timespec t = {at / 1000, (at % 1000) * 1000000L};
        pthread_cond_timedwait(&j->turn, &j->lock, &t);
    }
    bool go_on = !j->stop_claimer;
    pthread_mutex_unlock(&j->lock);
    return go_on;
}

/* One round. The heartbeat first: nothing else is as urgent. */
static int round_of(struct jobs *j, struct err *e)
{
    int64_t now = clock_mono_ms();
    int r = 0;
    if (now >= j->beat_at && !(r = beat(j, e)))
        j->beat_at = now + j->lease_ms / 4;
    if (!r && now >= j->reap_at && !(r = reap(j, e)))
        j->reap_at = now + (j->lease_ms / 4 < 1000 ? j->lease_ms / 4 : 1000);
    if (!r && j->n_ticks && now >= j->tick_at && !jobs_draining(j))
        r = tick(j, e);
    if (!r)
        r = turn(j, e);
    if (!r && now >= j->count_at)
        r = count(j, e);
    return !r && now >= j->forget_at ? forget_dead(j, e) : r;
}

/* The first words on the queue: what earlier processes of this node held is free, if it has no leash. */
static int first_words(struct jobs *j, struct err *e)
{
    int n = jobs_release_node(j->conn, j->node_id, j->incarnation, e);
    if (n > 0)
        log_info("jobs of an earlier process of this node are back in the queue", LOG_I("jobs", n));
    return n < 0 ? n : 0;
}

void *jobs_claimer(void *arg)
{
    struct jobs *j = arg;
    thread_set_role(THREAD_AUX, "jobs");
    bool released = false;
    j->reap_at = clock_mono_ms() + (j->lease_ms / 4 < 1000 ? j->lease_ms / 4 : 1000);
    while (wait_due(j)) {
        if (!connected(j))
            continue;
        struct err e = ERR_INIT;
        int r = released ? 0 : first_words(j, &e);
        released |= !r;
        if (!r)
            r = round_of(j, &e);
        if (r) {
            failed(j, &e);
            continue;
        }
        j->connect_at = 0;
        if (j->complained)
            log_info("the queue is within reach again");
        j->complained = false;
    }
    db_give(j->conn);
    j->conn = NULL;
    return NULL;
}
