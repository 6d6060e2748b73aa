/* What Prometheus and Grafana, or people for them, fetch. */
#include "monitoring_queries.h"
#include "portal/auth/auth.h"
#include "portal/json/json.h"
#include "portal/monitoring/monitoring_private.h"
#include <string.h>

static struct db *pool; /* set once, before the server starts */

void monitoring_set_db(struct db *d)
{
    pool = d;
}

static int targets(struct http_req *r, struct err *e)
{
    DB_CONN_AUTO c = NULL;
    DB_RESULT_AUTO rows = NULL;
    int code = db_take(pool, &c, e);
    if (!code)
        code = db_run(c, Q_MONITORING_TARGETS, &rows, e);
    if (code)
        return code;
    json_auto_t *groups = json_array();
    for (int i = 0; i < db_rows(rows); i++)
        json_array_append_new(groups, monitoring_target(db_str(rows, i, 0), db_str(rows, i, 1), db_str(rows, i, 2), db_str(rows, i, 3)));
    return http_reply_json_t(r, 200, groups);
}

static int info(struct http_req *r, struct err *e)
{
    DB_CONN_AUTO c = NULL;
    DB_RESULT_AUTO rows = NULL;
    BUF_AUTO out = BUF_INIT;
    int code = db_take(pool, &c, e);
    if (!code)
        code = db_run(c, Q_MONITORING_SERVICES, &rows, e);
    if (code)
        return code;
    buf_str(&out, "# HELP soma_service_info Services that are watched, with the labels of their series.\n# TYPE soma_service_info gauge\n");
    for (int i = 0; i < db_rows(rows); i++) {
        json_t *labels = NULL;
        code = json_read(db_str(rows, i, 5), strlen(db_str(rows, i, 5)), 0, &labels, e);
        if (code)
            return code;
        monitoring_info_line(&out, db_str(rows, i, 0), db_str(rows, i, 1), db_str(rows, i, 2), db_str(rows, i, 3), db_str(rows, i, 4), labels);
        json_decref(labels);
    }
    return http_reply(r, 200, "text/plain; version=0.0.4; charset=utf-8", out.data, out.len);
}

/* Each service's rules begin with the line "groups:", so one such line and all the rest make one file. */
static int all_rules(struct http_req *r, struct err *e)
{
    static const char head[] = "groups:\n";
    DB_CONN_AUTO c = NULL;
    DB_RESULT_AUTO rows = NULL;
    BUF_AUTO out = BUF_INIT;
    int code = db_take(pool, &c, e);
    if (!code)
        code = db_run(c, Q_MONITORING_ALL_RULES, &rows, e);
    if (code)
        return code;
    buf_str(&out, db_rows(rows) ? head : "groups: []\n");
    for (int i = 0; i < db_rows(rows); i++)
        buf_str(&out, db_str(rows, i, 0) + strlen(head));
    return http_reply(r, 200, "application/yaml", out.data, out.len);
}

/* One file of a service: column of its text, what to call it. */
static int reply_file(struct http_req *r, int column, const char *what, const char *type, struct err *e)
{
    DB_CONN_AUTO c = NULL;
    DB_RESULT_AUTO row = NULL;
    const char *name = http_param(r, "name");
    int code = db_take(pool, &c, e);
    if (!code)
        code = db_run(c, Q_MONITORING_FILES, &row, e, db_text(name));
    if (code)
        return code;
    if (!db_rows(row) || !auth_has(r->who, ROLE_VIEWER, db_str(row, 0, 0))) /* what one may not read does not exist for one */
        return err_set(e, ERR_NOT_FOUND, "no service `%s` is watched", name);
    const char *text = db_str(row, 0, column);
    if (!*text)
        return err_set(e, ERR_NOT_FOUND, "the golden path of `%s` has no %s", name, what);
    if (http_etag(r, db_str(row, 0, column + 2)))
        return 0;
    return http_reply(r, 200, type, text, strlen(text));
}

static int service_rules(struct http_req *r, struct err *e)
{
    return reply_file(r, 1, "alert rules", "application/yaml", e);
}

static int service_dashboard(struct http_req *r, struct err *e)
{
    return reply_file(r, 2, "dashboard", "application/json", e);
}

const struct http_route monitoring_routes[] = {
    {"GET", "/api/v1/monitoring/targets", "listMonitoringTargets", "scope:monitoring", targets, 0, 0},
    {"GET", "/api/v1/monitoring/info", "getMonitoringInfo", "scope:monitoring", info, 0, 0},
    {"GET", "/api/v1/monitoring/rules", "getMonitoringRules", "scope:monitoring", all_rules, 0, 0},
    {"GET", "/api/v1/services/{name}/monitoring/rules", "getServiceRules", "viewer", service_rules, 0, 0},
    {"GET", "/api/v1/services/{name}/monitoring/dashboard", "getServiceDashboard", "viewer", service_dashboard, 0, 0},
    {0},
};
