/* The queue's side that any transaction may use. All locking is in migrations/repeat/jobs.sql. */
#include <stdlib.h>
#include <string.h>

#include "jobs_queries.h"
#include "portal/core/id.h"
#include "portal/jobs/jobs.h"

static const char *or_empty(const char *s)
{
    return s ? s : "";
}

int jobs_enqueue(struct db_conn *c, const struct jobs_spec *s, char *ret_id, struct err *e)
{
    if (!s->kind || !*s->kind || !s->subject || !*s->subject)
        return err_set(e, ERR_INVALID, "a job needs a kind and a subject");
    char *args = s->args ? json_dumps(s->args, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    char id[ID_LEN + 1];
    id_new(id);
    DB_RESULT_AUTO row = NULL;
    int r = db_one(c, Q_JOB_ENQUEUE, &row, e, db_text(id), db_text(s->kind), db_text(s->subject), db_text(or_empty(s->team)), db_text(or_empty(s->environment)),
                   db_text(or_empty(s->label)), db_text(args ? args : "{}"), db_int(s->delay_ms > 0 ? s->delay_ms : 0), db_int(s->priority));
    free(args);
    if (!r && ret_id)
        memcpy(ret_id, db_str(row, 0, 0), ID_LEN + 1);
    return r;
}

int jobs_cancel(struct db_conn *c, const char *kind, const char *subject, struct err *e)
{
    DB_RESULT_AUTO row = NULL;
    int r = db_one(c, Q_JOB_CANCEL, &row, e, db_text(kind), db_text(subject));
    return r ? r : db_bool(row, 0, 0);
}

int jobs_set_environment_limit(struct db_conn *c, const char *environment, int max_running, struct err *e)
{
    if (!environment || !*environment)
        return err_set(e, ERR_INVALID, "a limit needs an environment");
    if (max_running <= 0)
        return db_run(c, Q_LIMIT_DROP, NULL, e, db_text(environment));
    return db_run(c, Q_LIMIT_SET, NULL, e, db_text(environment), db_int(max_running));
}

int jobs_guard(struct db_conn *c, const struct job *j, struct err *e)
{
    return db_run(c, Q_JOB_GUARD, NULL, e, db_text(j->id), db_text(j->token));
}

int jobs_leash_begin(struct db_conn *c, const struct job *j, const char *node, const char *run, struct err *e)
{
    int r = jobs_guard(c, j, e);
    return r ? r : db_run(c, Q_LEASH_BEGIN, NULL, e, db_text(node), db_text(run), db_text(j->id));
}

int jobs_leash_ended(struct db_conn *c, const char *node, const char *run, struct err *e)
{
    return db_run(c, Q_LEASH_ENDED, NULL, e, db_text(node), db_text(run));
}

int jobs_release_node(struct db_conn *c, const char *node_id, const char *incarnation, struct err *e)
{
    DB_RESULT_AUTO row = NULL;
    int r = db_one(c, Q_JOB_REAP, &row, e, db_text(node_id), db_text(incarnation), db_null(), db_flag(false));
    return r ? r : (int)db_i64(row, 0, 0);
}

int jobs_count(struct db_conn *c, struct jobs_counts *ret, struct err *e)
{
    DB_RESULT_AUTO row = NULL;
    int r = db_one(c, Q_JOB_COUNTS, &row, e);
    if (!r)
        *ret = (struct jobs_counts){db_i64(row, 0, 0), db_i64(row, 0, 1), db_i64(row, 0, 2), db_i64(row, 0, 3)};
    return r;
}
