/* What applies that were cut off have left: it is looked for, taken into the state, or named.
 *
 * The journals of a service's applies count until they are settled: by an apply that ended well, or by a destroy that has looked for all that was in flight. As long as
 * they count, the plan that was applied is kept too, because the ids to look by are made of its values. */
#include <string.h>

#include "portal/core/log.h"
#include "portal/json/json.h"
#include "portal/provision/run_private.h"
#include "portal/secrets/secrets.h"
#include "provision_queries.h"

#define TRIES 6

struct reading { struct run_setup *s; struct buf journal; const char *order; const void *plan; size_t plan_len; bool lost; struct flight_list *out; };
struct flight_list { struct tf_recovery *list; size_t n, cap; };

static void add_flight(struct arena *a, struct flight_list *l, const struct tf_recovery *one)
{
    for (size_t i = 0; i < l->n; i++)
        if (!strcmp(l->list[i].address, one->address)) {
            l->list[i] = *one;
            return;
        }
    if (l->n == l->cap) {
        struct tf_recovery *more = arena_alloc(a, (l->cap = l->cap ? l->cap * 2 : 16) * sizeof *more);
        if (l->n)
            memcpy(more, l->list, l->n * sizeof *more);
        l->list = more;
    }
    l->list[l->n++] = *one;
}

/* A run's folder is gone, its journal with it, and it told nothing: anything that its plan creates may have been made. */
static int add_planned(struct reading *g, struct err *e)
{
    struct arena *a = g->s->arena;
    struct tf_plan plan;
    int r = tf_plan_read(a, g->plan, g->plan_len, g->s->secrets, &plan, e);
    for (size_t i = 0; !r && i < plan.n_changes; i++) {
        const struct tf_change *c = &plan.changes[i];
        struct tf_recovery one = {.kind = TF_RECOVERY_UNKNOWN, .address = c->address, .type = c->type, .why = "the journal of the apply that was to make it is lost with its run's folder"};
        if (c->action == TF_ACTION_CREATE && !tf_state_holds(g->s->state, g->s->state_len, c->address))
            add_flight(a, g->out, &one);
    }
    return r;
}

static int end_order(struct reading *g, struct err *e)
{
    struct tf_recovery *found = NULL;
    size_t n = 0;
    int r = g->lost && g->plan ? add_planned(g, e) : 0;
    if (!r)
        r = tf_recovery_imports(g->s->arena, buf_cstr(&g->journal), g->journal.len, g->s->state, g->s->state_len, g->plan ? g->plan : "{}", g->plan ? g->plan_len : 2, &found, &n, e);
    for (size_t i = 0; !r && i < n; i++)
        if (found[i].kind != TF_RECOVERY_NOTHING)
            add_flight(g->s->arena, g->out, &found[i]);
    buf_wipe(&g->journal);
    g->lost = false;
    return r;
}

static int open_column(struct arena *a, const struct db_result *rows, int row, int col, const char *table, const char *id, int64_t version, struct buf *ret, struct err *e)
{
    size_t len;
    const void *sealed = db_blob(rows, row, col, a, &len);
    return secrets_open(table, id, version, sealed, len, ret, e);
}

/* Rows: run id, order id, journal, the order's plan as JSON, its serial, and where the journal is lost what the event log has of it. */
static int read_run(struct reading *g, const struct db_result *rows, int i, struct err *e)
{
    struct arena *a = g->s->arena;
    int r = 0;
    if (!g->order || strcmp(g->order, db_str(rows, i, 1)) != 0) {
        r = g->order ? end_order(g, e) : 0;
        g->order = arena_strdup(a, db_str(rows, i, 1));
        g->plan = NULL;
        if (!r && !db_is_null(rows, i, 3)) {
            BUF_AUTO plain = BUF_INIT;
            if (!(r = open_column(a, rows, i, 3, "saved_plan", g->order, db_i64(rows, i, 4), &plain, e)))
                g->plan = arena_memdup(a, plain.data, g->plan_len = plain.len);
            buf_wipe(&plain);
        }
    }
    if (r)
        return r;
    if (db_is_null(rows, i, 2)) {
        g->lost |= db_is_null(rows, i, 5);
        buf_printf(&g->journal, "{\"type\":\"version\"}\n%s\n", db_is_null(rows, i, 5) ? "" : db_str(rows, i, 5));
        return 0;
    }
    BUF_AUTO plain = BUF_INIT;
    if (!(r = open_column(a, rows, i, 2, "run", db_str(rows, i, 0), 0, &plain, e))) {
        buf_add(&g->journal, plain.data, plain.len);
        buf_char(&g->journal, '\n'); /* the last line may be half a line */
    }
    buf_wipe(&plain);
    return r;
}

int run_in_flight(struct run_setup *s, struct tf_recovery **ret, size_t *ret_n, bool *ret_unsettled, struct err *e)
{
    DB_CONN_AUTO c = NULL;
    DB_RESULT_AUTO rows = NULL;
    struct flight_list all = {0};
    struct reading g = {.s = s, .out = &all};
    int r = db_take(s->order->job->db, &c, e);
    if (!r)
        r = db_run(c, Q_RUN_UNSETTLED, &rows, e, db_text(s->order->service_id));
    db_givep(&c);
    for (int i = 0; !r && i < db_rows(rows); i++)
        r = read_run(&g, rows, i, e);
    if (!r && g.order)
        r = end_order(&g, e);
    buf_wipe(&g.journal);
    *ret = all.list;
    *ret_n = all.n;
    *ret_unsettled = !r && db_rows(rows) > 0;
    return r;
}

/* ---- looking ---- */

static void take_state(struct run_setup *s, const struct tf_result *result)
{
    if (!result->state)
        return;
    s->state = result->state;
    s->state_len = result->state_len;
    s->serial = result->serial;
}

struct look { struct run_setup *s; struct tf_recovery *list; size_t n; struct tf_import *imports; size_t *at; size_t n_imports; const struct tf_result *result; };

/* What was looked for and is there, or is not, is known now; what could not be looked for stays on the list. */
static void note_ends(struct look *k)
{
    size_t kept = 0;
    for (size_t i = 0; i < k->n_imports; i++) {
        struct tf_recovery *f = &k->list[k->at[i]];
        f->kind = k->result->imports[i].end == TF_IMPORT_IMPOSSIBLE ? TF_RECOVERY_UNKNOWN : TF_RECOVERY_NOTHING;
        if (f->kind == TF_RECOVERY_UNKNOWN)
            f->why = arena_printf(k->s->arena, "it could not be looked for: %s", k->result->imports[i].why);
    }
    for (size_t i = 0; i < k->n; i++)
        if (k->list[i].kind == TF_RECOVERY_UNKNOWN)
            k->list[kept++] = k->list[i];
    k->n = kept;
}

static void one_import(struct buf *b, const struct tf_import *import, const struct tf_imported *end)
{
    static const char *const words[] = {"not tried", "found", "absent", "impossible", "failed"};
    buf_str(b, b->data[b->len - 1] == '[' ? "{" : ",{");
    buf_json_kv(b, "address", import->address);
    buf_json_kv(b, "id", import->id);
    buf_json_kv(b, "result", words[end->end]);
    buf_char(b, '}');
}

static int looked_body(struct db_conn *c, void *arg, struct err *e)
{
    const struct look *k = arg;
    BUF_AUTO data = BUF_INIT;
    buf_char(&data, '{');
    buf_json_kv(&data, "message", "what was in flight when an apply was cut off was looked for");
    buf_json_key(&data, "resources");
    buf_char(&data, '[');
    for (size_t i = 0; i < k->n_imports; i++)
        one_import(&data, &k->imports[i], &k->result->imports[i]);
    buf_str(&data, "]}");
    return order_event(c, k->s->order->id, k->s->order->team, "order.recovery", data.data, e);
}

int run_reconcile(struct run_setup *s, struct run_found *ret_found, struct run_outcome *ret, struct err *e)
{
    struct tf_result result = {0};
    struct look k = {.s = s, .result = &result};
    *ret_found = (struct run_found){0};
    int r = run_in_flight(s, &k.list, &k.n, &ret_found->unsettled, e);
    if (r || !ret_found->unsettled)
        return r;
    k.imports = arena_alloc(s->arena, sizeof *k.imports * (k.n + 1));
    k.at = arena_alloc(s->arena, sizeof *k.at * (k.n + 1));
    for (size_t i = 0; i < k.n; i++)
        if (k.list[i].kind == TF_RECOVERY_IMPORT) {
            k.at[k.n_imports] = i;
            k.imports[k.n_imports++] = (struct tf_import){k.list[i].address, k.list[i].id};
        }
    if (k.n_imports)
        r = run_engine(s, TF_IMPORT, &(struct run_input){.imports = k.imports, .n_imports = k.n_imports}, &result, e);
    if (r && run_error_is_ours(r))
        return r;
    if (r || (k.n_imports && !result.ok))
        return run_fail_or_again(s, "look for what an interrupted apply left", &result, TRIES, ret, e);
    if (k.n_imports)
        r = road_tx(s->order, looked_body, &k, e);
    take_state(s, &result);
    note_ends(&k);
    ret_found->left = k.list;
    ret_found->n_left = k.n;
    return r;
}

/* ---- naming what may be left ---- */

static void write_left(const struct tf_recovery *left, size_t n, struct buf *json, struct buf *words)
{
    buf_char(json, '[');
    for (size_t i = 0; i < n; i++) {
        buf_str(json, i ? ",{" : "{");
        buf_json_kv(json, "address", left[i].address);
        buf_json_kv(json, "type", left[i].type);
        buf_json_kv(json, "why", left[i].why);
        buf_char(json, '}');
        buf_printf(words, "%s%s (%s)", i ? "; " : "", left[i].address, left[i].why);
    }
    buf_char(json, ']');
}

/* `lead`: what the list is of. */
static int name_left(struct db_conn *c, const struct order *o, const char *lead, const struct tf_recovery *left, size_t n, struct err *e)
{
    BUF_AUTO json = BUF_INIT;
    BUF_AUTO words = BUF_INIT;
    BUF_AUTO data = BUF_INIT;
    write_left(left, n, &json, &words);
    int r = db_run(c, Q_SERVICE_SET_LEFT, NULL, e, db_text(o->service_id), db_text(json.data));
    if (!r)
        r = service_changed(c, o->name, o->team, "possibly_left", e);
    if (r || !n)
        return r;
    const char *text = arena_printf(o->job->arena, "%s: %s", lead, buf_cstr(&words));
    buf_char(&data, '{');
    buf_json_kv(&data, "step", "recovery");
    buf_json_kv(&data, "message", text);
    buf_json_kraw(&data, "resources", json.data);
    buf_char(&data, '}');
    return order_event(c, o->id, o->team, "order.warning", data.data, e);
}

void run_drop_named(const struct run_setup *s, struct run_found *found)
{
    size_t kept = 0;
    for (size_t i = 0; i < found->n_left; i++)
        if (!found->left[i].by_name || !tf_state_holds(s->state, s->state_len, found->left[i].address))
            found->left[kept++] = found->left[i];
    found->n_left = kept;
}

int run_settle(struct db_conn *c, const struct order *o, const struct run_found *found, struct err *e)
{
    int r = db_run(c, Q_RUN_SETTLE, NULL, e, db_text(o->service_id));
    return r || !found->unsettled ? r : name_left(c, o, "an apply was cut off, and what it may have left cannot be looked for; look for it by hand", found->left, found->n_left, e);
}

struct settling { struct order *o; const struct run_found *found; };

static int settle_body(struct db_conn *c, void *arg, struct err *e)
{
    struct settling *g = arg;
    return run_settle(c, g->o, g->found, e);
}

int run_reconcile_destroy(struct order *o, struct run_outcome *ret, struct err *e)
{
    DB_CONN_AUTO c = NULL;
    DB_RESULT_AUTO rows = NULL;
    int r = db_take(o->job->db, &c, e);
    if (!r)
        r = db_run(c, Q_RUN_UNSETTLED, &rows, e, db_text(o->service_id));
    db_givep(&c);
    if (r || db_rows(rows) == 0)
        return r;
    struct run_setup s = {0};
    struct run_found found = {0};
    r = run_setup(&s, o, e);
    if (!r)
        r = run_reconcile(&s, &found, ret, e);
    else if (!run_error_is_ours(r)) {
        run_fail(&s, "look for what an interrupted apply left", &(struct tf_result){0}, e, ret);
        r = 0;
    }
    if (!r && ret->end == RUN_OK)
        r = road_tx(o, settle_body, &(struct settling){o, &found}, e);
    run_setup_done(&s);
    return r;
}

struct naming { struct order *o; struct tf_recovery *left; size_t n; };

static int name_body(struct db_conn *c, void *arg, struct err *e)
{
    struct naming *g = arg;
    return name_left(c, g->o, arena_printf(g->o->job->arena, "an apply was cut off, and whether these are there is not known until `soma destroy %s` looks for them", g->o->name),
                     g->left, g->n, e);
}

/* A create fails, and what an apply of it had in flight is not known: the order says so, and the service until a destroy has looked. */
int run_fail_unsettled(struct run_setup *s, struct run_outcome *ret, struct err *e)
{
    struct naming g = {.o = s->order};
    bool unsettled = false;
    int r = run_in_flight(s, &g.left, &g.n, &unsettled, e);
    if (r || !g.n)
        return r;
    BUF_AUTO names = BUF_INIT;
    for (size_t i = 0; i < g.n; i++) {
        buf_printf(&names, "%s%s", i ? ", " : "", g.left[i].address);
    }
    ret->reason = arena_printf(s->arena, "%s. An apply of this order was cut off before, and whether these are there is not known: %s. `soma destroy %s` looks for them", ret->reason,
                               buf_cstr(&names), s->order->name);
    return road_tx(s->order, name_body, &g, e);
}
