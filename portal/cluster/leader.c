/* Leadership: a lease row, a term, and a trust window. Its one complication is time: the lease ends by the database's clock, our belief in it by
 * the boot clock, counted from before the renewal was sent and cut by a fifth, so that two nodes never believe at once. */
#include <stdlib.h>
#include <string.h>

#include "cluster_queries.h"
#include "portal/cluster/cluster_private.h"
#include "portal/core/clock.h"

struct leader {
    struct leader *next;
    char *topic;
    int64_t term, trusted_until; /* boot clock */
    int64_t ask_at;              /* mono clock */
};

bool cluster_leads(struct cluster *c, const char *topic, int64_t *ret_term)
{
    pthread_mutex_lock(&c->lock);
    struct leader *l = c->leaders;
    while (l && strcmp(l->topic, topic))
        l = l->next;
    if (!l) {
        l = calloc(1, sizeof *l);
        if (!l || !(l->topic = strdup(topic)))
            abort();
        l->next = c->leaders;
        c->leaders = l;
        cluster_wake(c);
    }
    bool leads = l->trusted_until > clock_boot_ms();
    if (leads && ret_term)
        *ret_term = l->term;
    pthread_mutex_unlock(&c->lock);
    return leads;
}

static int renew(struct cluster *c, struct leader *l, struct err *e)
{
    DB_RESULT_AUTO row = NULL;
    int64_t trusted_until = clock_boot_ms() + c->leader_lease_ms / 5 * 4;
    int r = db_one(c->conn, Q_LEADER_TAKE, &row, e, db_text(l->topic), db_text(c->node_id), db_text(c->incarnation), db_int(c->leader_lease_ms));
    if (r)
        return r;
    bool leads = !db_is_null(row, 0, 0);
    pthread_mutex_lock(&c->lock);
    l->trusted_until = leads ? trusted_until : 0;
    l->term = leads ? db_i64(row, 0, 0) : 0;
    l->ask_at = clock_mono_ms() + c->leader_lease_ms / 5;
    pthread_mutex_unlock(&c->lock);
    return 0;
}

int leaders_renew(struct cluster *c, int64_t *ret_next, struct err *e)
{
    pthread_mutex_lock(&c->lock);
    struct leader *l = c->leaders;
    pthread_mutex_unlock(&c->lock);
    int r = 0;
    for (; l && !r; l = l->next) { /* entries are only ever put in front */
        if (l->ask_at <= clock_mono_ms())
            r = renew(c, l, e);
        if (!r && l->ask_at < *ret_next)
            *ret_next = l->ask_at;
    }
    return r;
}

void leaders_free(struct cluster *c)
{
    while (c->leaders) {
        struct leader *l = c->leaders;
        c->leaders = l->next;
        free(l->topic);
        free(l);
    }
}

int cluster_leader_guard(struct db_conn *c, const char *topic, int64_t term, struct err *e)
{
    return db_run(c, Q_LEADER_GUARD, NULL, e, db_text(topic), db_int(term));
}
