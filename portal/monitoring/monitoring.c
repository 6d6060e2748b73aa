/* The monitoring step of an order: rendering and storing. Nothing here talks to Prometheus or Grafana; they come and ask (routes.c). */
#include "portal/monitoring/monitoring.h"
#include "monitoring_queries.h"
#include "portal/json/json.h"
#include "portal/monitoring/monitoring_private.h"
#include <string.h>

static const char *text_of(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));
    return s ? s : "";
}

typedef int (*render_fn)(const char *file, const char *text, size_t len, const json_t *values, struct arena *a, const char **ret, struct err *e);

/* The file that the manifest names under `key`, rendered; "" when it names none. */
static int render_file(struct db_conn *c, const struct monitoring_service *s, const char *key, render_fn render, struct arena *a, const char **ret, struct err *e)
{
    const char *path = text_of(templates_monitoring(s->version), key), *text;
    size_t len;
    *ret = "";
    if (!*path)
        return 0;
    int code = templates_file(c, s->version->id, path, a, &text, &len, e);
    return code ? code : render(path, text, len, s->values, a, ret, e);
}

static const char *labels_of(const struct monitoring_service *s, struct arena *a)
{
    BUF_AUTO out = BUF_INIT;
    const char *key;
    const json_t *value;
    json_t *labels = json_object();
    json_object_foreach((json_t *)(uintptr_t)json_object_get(templates_monitoring(s->version), "labels"), key, value)
        json_object_set_new(labels, key, json_text(templates_expand(json_string_value(value), s->values, a)));
    json_write(labels, &out);
    json_decref(labels);
    return arena_strdup(a, buf_cstr(&out));
}

int monitoring_apply(struct db_conn *c, const struct monitoring_service *s, struct arena *a, struct err *e)
{
    const char *rules, *dashboard;
    int code = render_file(c, s, "rules", monitoring_render_rules, a, &rules, e);
    if (!code)
        code = render_file(c, s, "dashboard", monitoring_render_dashboard, a, &dashboard, e);
    if (code)
        return code;
    return db_run(c, Q_MONITORING_PUT, NULL, e, db_text(s->id), db_text(s->name), db_text(s->team), db_text(s->environment), db_text(text_of(s->values, "owner")),
                  db_text(s->version->name), db_text(text_of(templates_monitoring(s->version), "exporter")), db_text(labels_of(s, a)), db_text(rules), db_text(dashboard));
}

int monitoring_remove(struct db_conn *c, const char *service_id, struct err *e)
{
    return db_run(c, Q_MONITORING_DELETE, NULL, e, db_text(service_id));
}
