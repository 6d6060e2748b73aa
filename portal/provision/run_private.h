/* Shared by run.c, plan.c, apply.c and sweep.c alone. */
#pragma once
#include "portal/provision/provision_private.h"
#include "portal/terraform/terraform.h"

struct run_setup {
    struct order *order;
    struct arena *arena;
    struct environment_run env;
    json_t *values;                 /* generated; secret */
    const char *owner;              /* of the service */
    const char *tfvars;
    const void *state; size_t state_len; int64_t serial; /* -1: none */
    struct tf_engine engine;
    struct tf_provider *providers; size_t n_providers;
    const char *const *secrets;
    const char *hint;               /* what the engine's words do not say, should the apply fail; NULL: nothing */
};
/* Opens the sealed value of a column into the arena, NUL behind it. */
int run_open_sealed(const struct db_result *row, int col, const char *table, const char *id, int64_t version, struct arena *a, const void **ret, size_t *ret_len,
                    struct err *e);
int run_setup(struct run_setup *s, struct order *o, struct err *e);
void run_setup_done(struct run_setup *s);

struct run_input { const void *plan; size_t plan_len; const struct tf_import *imports; size_t n_imports; };
int run_engine(struct run_setup *s, enum tf_phase phase, const struct run_input *in, struct tf_result *result, struct err *e);
/* Before a destroy is applied: ends the sessions of the databases that its plan drops, where the golden path asks for that. What could not be ended is an event and a
 * hint, not an error. Errors are those of our own database. */
int run_end_sessions(struct run_setup *s, const void *plan_json, size_t len, struct err *e);
/* Managed resources in a state; 0 for what is none. */
int64_t run_count_resources(const void *state, size_t len);
/* The service's count after a state was stored, in its transaction: whoever takes over, or gives up, knows what there is. */
int run_keep_resources(struct db_conn *c, const char *service, const char *name, const char *team, const void *state, size_t len, struct err *e);
void run_providers_json(const struct run_setup *s, struct buf *b);
bool run_event_is_kept(const char *phase, const struct tf_event *ev);
/* Fills ret with the engine's first error, or e's words. */
void run_fail(struct run_setup *s, const char *what, const struct tf_result *result, const struct err *e, struct run_outcome *ret);
/* As run_fail(), but where the reason may pass by itself and this is not the job's `tries`-th attempt: ERR_UNAVAILABLE, and the order goes back to the queue. Else 0. */
int run_fail_or_again(struct run_setup *s, const char *what, const struct tf_result *result, int tries, struct run_outcome *ret, struct err *e);
/* Always ERR_UNAVAILABLE, with words. `why` may not lie in *e. */
int run_again(const char *why, int attempt, int tries, struct err *e);

/* ---- reconcile.c ---- */
/* What was in flight when applies of the service were cut off, and is in no state. `unsettled`: there is such an apply. */
int run_in_flight(struct run_setup *s, struct tf_recovery **ret, size_t *ret_n, bool *ret_unsettled, struct err *e);
struct run_found { bool unsettled; struct tf_recovery *left; size_t n_left; /* may be there, and cannot be looked for */ };
/* Looks for it: what is there comes into the state (stored, and in s->state); nothing is made or changed. ret->end RUN_FAILED: it could not be looked for now. */
int run_reconcile(struct run_setup *s, struct run_found *ret_found, struct run_outcome *ret, struct err *e);
/* Takes from the list what is in the state now and can be there but once. */
void run_drop_named(const struct run_setup *s, struct run_found *found);
/* In the transaction that stores what came of it: the journals count no more, and what may be left is named by an event and by the service. */
int run_settle(struct db_conn *c, const struct order *o, const struct run_found *found, struct err *e);
/* Before a destroy is planned. */
int run_reconcile_destroy(struct order *o, struct run_outcome *ret, struct err *e);
/* Adds to a failed create's reason what is not known because of an apply that was cut off. */
int run_fail_unsettled(struct run_setup *s, struct run_outcome *ret, struct err *e);
/* Whether the error means that trying again later may help (ours, the platform's), not that the template or cloud said no. */
static inline bool run_error_is_ours(int code)
{
    return code == ERR_FENCED || code == ERR_UNAVAILABLE || code == ERR_IO || code == ERR_NOMEM || code == ERR_CANCELED || code == ERR_INTERNAL;
}
