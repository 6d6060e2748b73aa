/* Monitoring of services: scrape targets by HTTP service discovery, alert rules and a dashboard as files that Prometheus and Grafana read unchanged.
 *
 * provision calls monitoring_apply() in its step; what it stores is all that the routes answer from. */
#pragma once
#include "portal/core/arena.h"
#include "portal/core/err.h"
#include "portal/db/db.h"
#include "portal/http/http.h"
#include "portal/templates/templates.h"

struct monitoring_service {
    const char *id, *name, *team, *environment;
    const struct template_version *version;
    const json_t *values;   /* {name, team, owner, environment, region, cost_centre, tags, settings, parameters, outputs}: nothing secret; settings are the environment's */
};
/* In the caller's transaction: makes or replaces what is watched of the service. ERR_INVALID in words: the golden path's files cannot be rendered. Thread: job. */
int monitoring_apply(struct db_conn *c, const struct monitoring_service *s, struct arena *a, struct err *e);
int monitoring_remove(struct db_conn *c, const char *service_id, struct err *e);

void monitoring_set_db(struct db *d);   /* for the routes, before the server starts */
extern const struct http_route monitoring_routes[];
