#include <string.h>

#include "portal/core/log.h"
#include "portal/provision/run_private.h"
#include "portal/secrets/secrets.h"
#include "provision_queries.h"


/* The last state of a run that was cut off, unless a later one is stored already. */
static int keep_state(struct db_conn *c, const struct tf_leftover *l, const struct db_result *run, struct err *e)
{
    const char *service = db_str(run, 0, 1);
    DB_RESULT_AUTO last = NULL;
    int r = db_run(c, Q_STATE_LAST, &last, e, db_text(service));
    if (r || (db_rows(last) && db_i64(last, 0, 0) >= l->serial))
        return r;
    BUF_AUTO sealed = BUF_INIT;
    r = secrets_seal("terraform_state", service, l->serial, l->state, l->state_len, &sealed, e);
    if (!r)
        r = db_run(c, Q_STATE_PUT, NULL, e, db_text(service), db_int(l->serial), db_text(l->lineage ? l->lineage : ""), db_bytes(sealed.data, sealed.len), db_text(l->run));
    return r ? r : run_keep_resources(c, service, db_str(run, 0, 2), db_str(run, 0, 3), l->state, l->state_len, e);
}

static int swept_body(struct db_conn *c, void *arg, struct err *e)
{
    const struct tf_leftover *l = arg;
    DB_RESULT_AUTO row = NULL;
    int r = db_run(c, Q_RUN_ORDER, &row, e, db_text(l->run));
    if (!r && db_rows(row) && !db_is_null(row, 0, 1) && l->state)
        r = keep_state(c, l, row, e);
    BUF_AUTO journal = BUF_INIT;
    if (!r && l->journal_len)
        r = secrets_seal("run", l->run, 0, l->journal, l->journal_len, &journal, e);
    if (!r)
        r = db_run(c, Q_RUN_SWEPT, NULL, e, db_text(l->run), l->state ? db_int(l->serial) : db_null(), journal.len ? db_bytes(journal.data, journal.len) : db_null());
    return r ? r : jobs_leash_ended(c, provision_get()->node_id, l->run, e);
}

static int put_in_order(int *swept, const struct tf_leftover *l, struct err *e)
{
    int r = db_tx(provision_get()->db, swept_body, (void *)l, e);
    if (r)
        return r;
    ++*swept;
    log_info("a run that was cut off is put in order", LOG_S("run", l->run), LOG_I("serial", l->state ? l->serial : -1));
    return 0;
}

/* A folder without a journal tells that nothing was begun. Only where there is no folder nobody knows. */
static int on_leftover(void *user, const struct tf_leftover *l, struct err *e)
{
    struct tf_leftover known = *l;
    if (!known.journal_len) {
        known.journal = "\n";
        known.journal_len = 1;
    }
    return put_in_order(user, &known, e);
}

/* Runs of this node that have no folder: they ended, or died, before or after it. */
static int sweep_rows(int *swept, struct err *e)
{
    DB_CONN_AUTO c = NULL;
    DB_RESULT_AUTO rows = NULL;
    int r = db_take(provision_get()->db, &c, e);
    if (!r)
        r = db_run(c, Q_RUN_OPEN_ELSEWHERE, &rows, e, db_text(provision_get()->node_id));
    for (int i = 0; !r && i < db_rows(rows); i++) {
        struct tf_leftover l = {.run = db_str(rows, i, 0), .serial = -1};
        r = put_in_order(swept, &l, e);
    }
    return r;
}

int provision_sweep(bool at_start, struct err *e)
{
    int swept = 0, held = 0;
    if (at_start)
        repository_sweep();
    int r = tf_sweep(provision_get()->runs_dir, at_start ? 15000 : 0, on_leftover, &swept, &held, e);
    if (!r && at_start && !held)
        r = sweep_rows(&swept, e);
    if (!r && swept)
        cluster_poke(provision_get()->cluster);
    return r ? r : swept;
}
