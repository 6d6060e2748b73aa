/* The queue's side that any transaction may use. All locking is in migrations/repeat/jobs.sql. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jobs_queries.h"
#include "portal/jobs/jobs_private.h"

#define MANY_MAX 1000

static const char *or_empty(const char *s)
{
    return s ? s : "";
}

static int check(const struct jobs_spec *s, struct err *e)
{
    return s->kind && *s->kind && s->subject && *s->subject ? 0 : err_set(e, ERR_INVALID, "a job needs a kind and a subject");
}

static char *args_text(const struct jobs_spec *s)
{
    char *text = s->args ? json_dumps(s->args, JSON_COMPACT | JSON_ENCODE_ANY) : strdup("{}");
    if (!text)
        abort();
    return text;
}

int jobs_enqueue(struct db_conn *c, const struct jobs_spec *s, char *ret_id, struct err *e)
{
    int r = check(s, e);
    if (r)
        return r;
    char *args = args_text(s);
    char id[ID_LEN + 1];
    id_new(id);
    DB_RESULT_AUTO row = NULL;
    r = db_one(c, Q_JOB_ENQUEUE, &row, e, db_text(id), db_text(s->kind), db_text(s->subject), db_text(or_empty(s->team)), db_text(or_empty(s->environment)),
               db_text(or_empty(s->label)), db_text(args), db_int(s->delay_ms > 0 ? s->delay_ms : 0), db_int(s->priority));
    free(args);
    if (!r && ret_id)
        memcpy(ret_id, db_str(row, 0, 0), ID_LEN + 1);
    return r;
}

enum { M_ID, M_KIND, M_SUBJECT, M_TEAM, M_ENVIRONMENT, M_LABEL, M_ARGS, M_DELAY, M_PRIORITY, M_COLUMNS };

static void add_spec(struct buf columns[M_COLUMNS], const struct jobs_spec *s)
{
    char id[ID_LEN + 1], number[24], *args = args_text(s);
    id_new(id);
    array_add(&columns[M_ID], id);
    array_quote(&columns[M_KIND], s->kind);
    array_quote(&columns[M_SUBJECT], s->subject);
    array_quote(&columns[M_TEAM], or_empty(s->team));
    array_quote(&columns[M_ENVIRONMENT], or_empty(s->environment));
    array_quote(&columns[M_LABEL], or_empty(s->label));
    array_quote(&columns[M_ARGS], args);
    snprintf(number, sizeof number, "%lld", (long long)(s->delay_ms > 0 ? s->delay_ms : 0));
    array_add(&columns[M_DELAY], number);
    snprintf(number, sizeof number, "%d", s->priority);
    array_add(&columns[M_PRIORITY], number);
    free(args);
}

int jobs_enqueue_many(struct db_conn *c, const struct jobs_spec *s, int n, struct err *e)
{
    if (n < 1 || n > MANY_MAX)
        return err_set(e, ERR_INVALID, "1 to %d jobs are enqueued at once", MANY_MAX);
    for (int i = 0; i < n; i++)
        if (check(&s[i], e))
            return ERR_INVALID;
    struct buf columns[M_COLUMNS] = {0};
    struct db_param p[M_COLUMNS];
    for (int i = 0; i < n; i++)
        add_spec(columns, &s[i]);
    for (int i = 0; i < M_COLUMNS; i++)
        p[i] = db_text(array_end(&columns[i]));
    int r = db_run_params(c, &Q_JOB_ENQUEUE_MANY, p, M_COLUMNS, NULL, e);
    for (int i = 0; i < M_COLUMNS; i++)
        buf_done(&columns[i]);
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
