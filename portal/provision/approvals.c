/* What gates ask of people before an order may be applied. */
#include <string.h>

#include "portal/provision/provision_private.h"
#include "provision_queries.h"

static bool role_is_known(const char *role)
{
    static const char *const known[] = {"approver", "developer", "viewer", "platform-admin"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(known[i], role))
            return true;
    return false;
}

int demand_check(const struct gate_input *in, struct gate_approval *a, struct err *e)
{
    if (!a->role)
        a->role = "approver";
    if (!role_is_known(a->role))
        return err_set(e, ERR_INVALID, "it asks for the approval of the role `%.40s`, which there is not", a->role);
    if (!a->count)
        a->count = 1;
    if (!a->expires_in)
        a->expires_in = GATE_APPROVAL_SECONDS;
    if (a->count < 1 || a->count > GATE_APPROVERS_MAX)
        return err_set(e, ERR_INVALID, "it asks for the approval of %d people; 1 to %d can be asked for", a->count, GATE_APPROVERS_MAX);
    if (a->expires_in < 1 || a->expires_in > GATE_APPROVAL_SECONDS_MAX)
        return err_set(e, ERR_INVALID, "it asks for approval within %lld s; 1 to %d can be asked for", (long long)a->expires_in, GATE_APPROVAL_SECONDS_MAX);
    if (!strcmp(a->role, "platform-admin")) {
        a->team = "";
        return 0;
    }
    if (!a->team) {
        a->team = in->team;
        return 0;
    }
    DB_RESULT_AUTO row = NULL;
    int r = db_one(in->c, Q_DEMAND_TEAM, &row, e, db_text(a->team));
    if (!r && !db_bool(row, 0, 0))
        r = err_set(e, ERR_INVALID, "it asks for the approval of the team `%.40s`, which there is not", a->team);
    return r;
}

int demand_put(const struct gate_input *in, const char *gate, const struct gate_verdict *v, struct err *e)
{
    const struct gate_approval *a = &v->approval;
    return db_run(in->c, Q_DEMAND_PUT, NULL, e, db_text(in->order_id), db_text(gate_point_name(in->point)), db_text(gate), db_text(a->role), db_text(a->team),
                  db_int(a->count), db_int(a->expires_in), db_text(v->message ? v->message : ""));
}

int demands_forget(const struct gate_input *in, struct err *e)
{
    return db_run(in->c, Q_DEMANDS_FORGET, NULL, e, db_text(in->order_id), db_text(gate_point_name(in->point)));
}
