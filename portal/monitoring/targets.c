/* What Prometheus is told: targets of HTTP service discovery, and which series belongs to whom. */
#include "portal/json/json.h"
#include "portal/monitoring/monitoring_private.h"
#include <string.h>

/* Takes "https://host:port/path" apart; a bare "host:port" is the whole target. */
json_t *monitoring_target(const char *address, const char *environments, const char *exporters, const char *services)
{
    json_t *labels = json_object();
    const char *scheme = strstr(address, "://");
    if (scheme) {
        json_object_set_new(labels, "__scheme__", json_textn(address, (size_t)(scheme - address)));
        address = scheme + 3;
    }
    size_t n = strcspn(address, "/");
    if (address[n] && address[n + 1])
        json_object_set_new(labels, "__metrics_path__", json_text(address + n));
    json_object_set_new(labels, "environment", json_text(environments));
    json_object_set_new(labels, "exporter", json_text(exporters));
    /* Several services share an exporter, which is scraped once: their names are there for relabelling, commas around each as Prometheus does it. */
    BUF_AUTO names = BUF_INIT;
    buf_printf(&names, ",%s,", services);
    json_object_set_new(labels, "__meta_soma_services", json_text(buf_cstr(&names)));
    json_t *targets = json_array(), *group = json_object();
    json_array_append_new(targets, json_textn(address, n));
    json_object_set_new(group, "targets", targets);
    json_object_set_new(group, "labels", labels);
    return group;
}

static void add_label(struct buf *out, const char *name, const char *value)
{
    buf_printf(out, "%s%s=\"", out->data[out->len - 1] == '{' ? "" : ",", name);
    for (; *value; value++) {
        if (*value == '\n')
            buf_str(out, "\\n");
        else if (*value == '"' || *value == '\\')
            buf_printf(out, "\\%c", *value);
        else
            buf_char(out, *value);
    }
    buf_char(out, '"');
}

static bool is_own(const char *name)
{
    static const char *const own[] = {"service", "team", "environment", "owner", "template"};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (strcmp(own[i], name) == 0)
            return true;
    return false;
}

void monitoring_info_line(struct buf *out, const char *name, const char *team, const char *environment, const char *owner, const char *template, const json_t *labels)
{
    const char *key;
    const json_t *value;
    buf_str(out, "soma_service_info{");
    add_label(out, "service", name);
    add_label(out, "team", team);
    add_label(out, "environment", environment);
    add_label(out, "owner", owner);
    add_label(out, "template", template);
    json_object_foreach((json_t *)(uintptr_t)labels, key, value)
        if (!is_own(key) && json_is_string(value))
            add_label(out, key, json_string_value(value));
    buf_str(out, "} 1\n");
}
