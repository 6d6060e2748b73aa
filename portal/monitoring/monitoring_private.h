/* Shared by the files of portal/monitoring alone. */
#pragma once
#include "portal/core/buf.h"
#include "portal/monitoring/monitoring.h"
#include <jansson.h>

/* The golden path's files with the service's values in place of {{ soma.name }}, {{ soma.outputs.database }}, ... They are parsed, filled in where text
 * stands, and written anew: a value can never change a file's structure. ERR_INVALID in words that begin with `file`. Results live in the arena. */

/* Prometheus alerting and recording rules (YAML): begins with the line "groups:"; group names get "<service>/" in front, each rule the labels service,
 * team, environment and owner. */
int monitoring_render_rules(const char *file, const char *text, size_t len, const json_t *values, struct arena *a, const char **ret, struct err *e);
/* A Grafana dashboard (JSON): gets a uid made of the service's name, and no id. */
int monitoring_render_dashboard(const char *file, const char *text, size_t len, const json_t *values, struct arena *a, const char **ret, struct err *e);

/* The JSON Schema of rule files; owned by the program. */
const struct schema *monitoring_rules_schema(void);
/* Why an expression cannot be one (an open bracket or quote), or NULL. */
const char *monitoring_expression_problem(const char *expression);

/* One target group of HTTP service discovery. `address` is "host:port" or a URL. */
json_t *monitoring_target(const char *address, const char *environments, const char *exporters, const char *services);
/* One line of soma_service_info. labels: JSON object of text. */
void monitoring_info_line(struct buf *out, const char *name, const char *team, const char *environment, const char *owner, const char *template, const json_t *labels);
