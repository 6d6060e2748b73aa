/* The service catalog: entities in Backstage's envelope. Here: what orders register; its API and history come with the catalog's own issue.
 * Thread: job. */
#pragma once
#include "portal/core/arena.h"
#include "portal/core/err.h"
#include "portal/db/db.h"
#include "portal/templates/templates.h"

struct catalog_service {
    const char *id, *name, *team, *template;
    const struct template_version *version;
    const json_t *values;   /* {name, team, owner, environment, cost_centre, tags, parameters, outputs}: outputs that are no secret */
};
/* In the caller's transaction: makes or replaces the entity that the golden path's `spec.catalog` describes. ERR_CONFLICT: its reference belongs to another source. */
int catalog_register_service(struct db_conn *c, const struct catalog_service *s, struct arena *a, struct err *e);
int catalog_remove_service(struct db_conn *c, const char *service_id, struct err *e);
