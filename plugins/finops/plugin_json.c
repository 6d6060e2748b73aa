#include "plugins/finops/plugin_private.h"

#include <stdlib.h>
#include <string.h>

const char *json_in_call(struct soma_call *c, const json_t *document)
{
    size_t len = json_dumpb(document, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY);
    char *text = soma_alloc(c, len + 1);
    json_dumpb(document, text, len, JSON_COMPACT | JSON_ENCODE_ANY);
    return text;
}

int reply_json(struct soma_call *c, struct soma_reply *ret, int status, const json_t *document)
{
    ret->status = status;
    ret->body = json_in_call(c, document);
    return 0;
}

int body_object(struct soma_call *c, const struct soma_request *q, json_t **ret)
{
    char why[DOC_WHY];
    json_t *body = doc_read_json(q->body ? q->body : "", q->body_len, why);
    if (!body)
        return soma_fail(c, SOMA_INVALID, "the body is not JSON: %s", why);
    if (!json_is_object(body)) {
        json_decref(body);
        return soma_fail(c, SOMA_INVALID, "the body must be a JSON object");
    }
    *ret = body;
    return 0;
}

const char *member_text(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

int member_number(struct soma_call *c, const json_t *object, const char *key, const char **ret)
{
    const json_t *value = json_object_get(object, key);
    struct dec number;
    *ret = NULL;
    if (!value || json_is_null(value))
        return 0;
    if (!doc_number(value, &number))
        return soma_fail_field(c, soma_format(c, "/%s", key), "it must be a number, such as 120 or \"99.50\"");
    *ret = dec_text(number, 0, soma_alloc(c, DEC_TEXT));
    return 0;
}

// jsonb columns are named `..._json`; their name loses that end.
static void add_column(struct soma_call *c, json_t *item, const char *name, const char *value)
{
    size_t len = strlen(name);
    if (len > 5 && !strcmp(name + len - 5, "_json")) {
        char why[DOC_WHY];
        json_t *inner = value ? doc_read_json(value, strlen(value), why) : NULL;
        json_object_set_new(item, soma_format(c, "%.*s", (int)len - 5, name), inner ? inner : json_null());
    } else {
        json_object_set_new(item, name, value ? json_string(value) : json_null());
    }
}

json_t *rows_as_items(struct soma_call *c, const struct soma_rows *rows)
{
    json_t *items = json_array();
    for (size_t i = 0; i < c->host->rows(rows); i++) {
        json_t *item = json_object();
        for (size_t col = 0; col < c->host->columns(rows); col++)
            add_column(c, item, c->host->column(rows, col), c->host->value(rows, i, col));
        json_array_append_new(items, item);
    }
    return json_pack("{s:o}", "items", items);
}

bool may_see(const struct soma_request *q, const char *team)
{
    static const char *const roles[] = { "viewer", "developer", "approver" };
    for (size_t i = 0; i < SOMA_COUNT(roles); i++)
        if (soma_may(q, roles[i], *team ? team : NULL))
            return true;
    return false;
}

int audit_write(struct soma_call *c, const struct soma_request *q, const char *action, const char *subject, const char *team, const json_t *detail)
{
    return c->host->audit(c, &(struct soma_audit){ .size = sizeof(struct soma_audit), .action = action, .subject = subject, .team = team, .actor = q->actor,
                                 .actor_name = q->actor_name, .person = q->person_id, .after = detail ? json_in_call(c, detail) : NULL,
                                 .detail = detail ? json_in_call(c, detail) : NULL, .request_id = q->request_id });
}
