/* The queue for administrators: what waits, runs or was given up; a dead letter's second chance. */
#include <string.h>

#include "jobs_queries.h"
#include "portal/audit/audit.h"
#include "portal/auth/auth.h"
#include "portal/core/id.h"
#include "portal/core/thread.h"
#include "portal/crypto/cursor.h"
#include "portal/jobs/jobs.h"

static struct db *routes_db;

void jobs_set_db(struct db *db)
{
    routes_db = db;
}

static int list_jobs(struct http_req *r, struct err *e)
{
    THREAD_ASSERT(THREAD_HTTP);
    int64_t limit;
    const char *after = NULL;
    DB_CONN_AUTO c = NULL;
    DB_RESULT_AUTO rows = NULL;
    int x = http_query_int(r, "limit", 50, 1, 500, &limit, e);
    if (!x)
        x = cursor_open(http_query(r, "cursor"), "listJobs", r->arena, &after, e);
    if (!x)
        x = db_take(routes_db, &c, e);
    if (!x)
        x = db_run(c, Q_JOB_LIST, &rows, e, db_text(http_query(r, "state")), db_text(http_query(r, "kind")), db_text(after), db_int(limit + 1));
    return x ? x : auth_reply_page(r, rows, limit, e);
}

static int bad_id(const char *id, struct err *e)
{
    return id_valid(id) ? 0 : err_set(e, ERR_NOT_FOUND, "there is no job of this id");
}

static int reply_job(struct http_req *r, const struct db_result *row)
{
    BUF_AUTO b = BUF_INIT;
    buf_str(&b, db_str(row, 0, 0));
    return http_reply_json(r, 200, &b);
}

static int get_job(struct http_req *r, struct err *e)
{
    THREAD_ASSERT(THREAD_HTTP);
    const char *id = http_param(r, "id");
    DB_CONN_AUTO c = NULL;
    DB_RESULT_AUTO row = NULL;
    int x = bad_id(id, e);
    if (!x)
        x = db_take(routes_db, &c, e);
    if (!x)
        x = db_one(c, Q_JOB_GET, &row, e, db_text(id));
    if (x == ERR_NOT_FOUND)
        return err_set(e, ERR_NOT_FOUND, "there is no job of this id; what is done leaves the queue");
    return x ? x : reply_job(r, row);
}

static int revive(struct db_conn *c, struct http_req *r, const char *id, struct db_result **ret, struct err *e)
{
    int x = db_begin(c, e);
    if (!x)
        x = db_one(c, Q_JOB_REVIVE, ret, e, db_text(id));
    if (x)
        return x;
    struct audit_entry a = {.action = "job.retry", .subject = arena_printf(r->arena, "job:%s", id), .after = db_str(*ret, 0, 0)};
    audit_from_request(&a, r);
    x = audit_append(c, &a, e);
    return x ? x : db_commit(c, e);
}

static int retry_job(struct http_req *r, struct err *e)
{
    THREAD_ASSERT(THREAD_HTTP);
    const char *id = http_param(r, "id");
    DB_CONN_AUTO c = NULL;
    DB_RESULT_AUTO row = NULL;
    int x = bad_id(id, e);
    if (!x)
        x = db_take(routes_db, &c, e);
    if (!x)
        x = revive(c, r, id, &row, e);
    return x ? x : reply_job(r, row);
}

const struct http_route jobs_routes[] = {
    {"GET", "/api/v1/jobs", "listJobs", "platform-admin", list_jobs, 0, 0},
    {"GET", "/api/v1/jobs/{id}", "getJob", "platform-admin", get_job, 0, 0},
    {"POST", "/api/v1/jobs/{id}/retry", "retryJob", "platform-admin", retry_job, HTTP_IDEMPOTENT, 0},
    {0},
};
