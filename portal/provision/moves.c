#include <stdio.h>
#include <string.h>

#include "portal/cluster/cluster.h"
#include "portal/core/buf.h"
#include "portal/provision/approval_private.h"
#include "provision_queries.h"

int order_event(struct db_conn *c, const char *order_id, const char *team, const char *type, const char *data, struct err *e)
{
    char entity[64];
    snprintf(entity, sizeof entity, "order:%s", order_id);
    return events_append(c, entity, team, type, data, e);
}

int order_move(struct db_conn *c, const char *id, const char *team, const char *from, const char *to, const char *actor, const char *reason,
               const char *problem, struct err *e)
{
    DB_RESULT_AUTO moved = NULL;
    int r = db_run(c, Q_ORDER_SET_STATE, &moved, e, db_text(id), db_text(from), db_text(to), db_text(reason ? reason : ""), db_text(problem));
    if (r)
        return r;
    if (db_affected(moved) == 0)
        return err_set(e, ERR_CONFLICT, "the order is not %s any more", from);
    if (!strcmp(from, "awaiting_approval")) {
        const char *ended = !strcmp(to, "applying") ? "approved" : !strcmp(to, "failed") ? "rejected" : "canceled";
        DB_RESULT_AUTO round = NULL;
        r = db_run(c, Q_APPROVAL_CLOSE, &round, e, db_text(id), db_text(ended), db_text(reason ? reason : ""));
        if (!r && db_rows(round) && strcmp(ended, "canceled"))
            r = approval_tell(c, db_str(round, 0, 0), "ended", e);
    }
    if (!r)
        r = db_run(c, Q_ORDER_STEP_ADD, NULL, e, db_text(id), db_text(to), db_text(actor), db_text(reason ? reason : ""));
    if (r)
        return r;
    BUF_AUTO data = BUF_INIT;
    buf_char(&data, '{');
    buf_json_kv(&data, "state", to);
    buf_json_kv(&data, "from", from);
    buf_json_kv(&data, "actor", actor);
    buf_json_kv(&data, "reason", reason ? reason : "");
    if (problem)
        buf_json_kraw(&data, "problem", problem);
    buf_char(&data, '}');
    return order_event(c, id, team, "order.state", data.data, e);
}

static int service_event(struct db_conn *c, const char *name, const char *team, const char *type, const char *data, struct err *e)
{
    char entity[64];
    snprintf(entity, sizeof entity, "service:%s", name);
    return events_append(c, entity, team, type, data, e);
}

static int service_state_event(struct db_conn *c, const char *name, const char *team, const char *state, const char *reason, const char *order, struct err *e)
{
    BUF_AUTO data = BUF_INIT;
    buf_char(&data, '{');
    buf_json_kv(&data, "state", state);
    buf_json_kv(&data, "reason", reason ? reason : "");
    buf_json_kv(&data, "order", order);
    buf_char(&data, '}');
    return service_event(c, name, team, "service.state", data.data, e);
}

int service_created(struct db_conn *c, const char *name, const char *team, const char *order, struct err *e)
{
    return service_state_event(c, name, team, "creating", "", order, e);
}

int service_move(struct db_conn *c, const char *id, const char *name, const char *team, const char *state, const char *reason, const char *order, struct err *e)
{
    int r = db_run(c, Q_SERVICE_SET_STATE, NULL, e, db_text(id), db_text(state), db_text(reason ? reason : ""), db_text(order));
    return r ? r : service_state_event(c, name, team, state, reason, order, e);
}

int service_changed(struct db_conn *c, const char *name, const char *team, const char *what, struct err *e)
{
    BUF_AUTO data = BUF_INIT;
    buf_char(&data, '{');
    buf_json_kv(&data, "what", what);
    buf_char(&data, '}');
    return service_event(c, name, team, "service.changed", data.data, e);
}

int service_set_resources(struct db_conn *c, const char *id, const char *name, const char *team, int64_t resources, struct err *e)
{
    DB_RESULT_AUTO set = NULL;
    int r = db_run(c, Q_SERVICE_SET_RESOURCES, &set, e, db_text(id), db_int(resources));
    return r || db_affected(set) == 0 ? r : service_changed(c, name, team, "resources", e);
}
