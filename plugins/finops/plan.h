// A Terraform or OpenTofu plan, as `show -json` prints it, seen as resources with values, a region, and references to each other.
//
// The plan borrows its JSON; resources live in the pool. One thread at a time.
#ifndef FINOPS_PLAN_H
#define FINOPS_PLAN_H
#include "plugins/finops/doc.h"
#include "plugins/finops/pool.h"

enum plan_action { PLAN_NOTHING, PLAN_CREATE, PLAN_UPDATE, PLAN_REPLACE, PLAN_DELETE };

struct plan_resource {
    const char *address; // module.web.aws_instance.this[0]
    const char *type, *name, *module; // module: "" or the address of its module instance
    const char *provider; // aws, azurerm, google ..., the last part of the provider's source
    const char *region; // NULL when the plan does not tell
    enum plan_action action;
    const json_t *before, *after, *unknown; // NULL, or an object
    const json_t *before_sensitive, *after_sensitive; // the same shape, true where a value is sensitive
    const json_t *config; // the block in the configuration; NULL when there is none (a resource that is no longer there)
    const json_t *scope; // the configuration of its module
};

struct plan {
    struct pool *pool;
    const json_t *root;
    struct plan_resource *resources;
    size_t count;
};

// Refuses in words (false, `why`) what is not a plan: a state, a plan that failed, another format. `root` must outlive the plan.
bool plan_read(struct pool *pool, const json_t *root, struct plan *ret_plan, char why[DOC_WHY]);

// The resource of `type` that the expression of attribute `path` (`launch_template.0.id`) of `r` refers to, through variables of modules and their outputs
// if need be; where the expression hides behind a local, the only resource of that type whose `attribute` is not known either. NULL when there is none.
const struct plan_resource *plan_reference(const struct plan *plan, const struct plan_resource *r, const char *path, const char *type);
// Whether `r` refers to `to` in `path`.
bool plan_refers(const struct plan *plan, const struct plan_resource *r, const char *path, const struct plan_resource *to);

const char *plan_action_name(enum plan_action action);

#endif
