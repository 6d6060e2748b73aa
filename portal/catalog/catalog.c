#include "portal/catalog/catalog.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "catalog_queries.h"
#include "portal/core/buf.h"
#include "portal/json/json.h"

static const char *text(const json_t *object, const char *key, const char *fallback)
{
    const char *s = json_string_value(json_object_get(object, key));
    return s ? s : fallback;
}

/* A text of the manifest with its ${...} filled in. */
static json_t *filled(const char *raw, const json_t *values, struct arena *a)
{
    return json_text(templates_expand(raw, values, a));
}

static json_t *tags_of(const json_t *described)
{
    const json_t *tags = json_object_get(described, "tags");
    return json_is_array(tags) ? json_deep_copy(tags) : json_array();
}

/* The repository that the golden path made; NULL when it makes none. */
static const char *repository_of(const struct catalog_service *s)
{
    return templates_repository(s->version) ? json_string_value(json_object_get(json_object_get(s->values, "outputs"), TEMPLATES_REPOSITORY_URL)) : NULL;
}

static json_t *links_of(const struct catalog_service *s, const json_t *described, struct arena *a)
{
    const json_t *values = s->values;
    json_t *links = json_array();
    size_t i;
    const json_t *link;
    json_array_foreach(json_object_get(described, "links"), i, link)
        json_array_append_new(links, json_pack("{s:o,s:o}", "url", filled(text(link, "url", ""), values, a), "title", filled(text(link, "title", ""), values, a)));
    if (repository_of(s))
        json_array_append_new(links, json_pack("{s:s,s:s}", "url", repository_of(s), "title", "Repository"));
    return links;
}

static json_t *endpoints_of(const json_t *described, const json_t *values, struct arena *a)
{
    json_t *endpoints = json_array();
    size_t i;
    const json_t *endpoint;
    json_array_foreach(json_object_get(described, "endpoints"), i, endpoint)
        json_array_append_new(endpoints, json_pack("{s:o,s:o}", "title", filled(text(endpoint, "title", ""), values, a), "url", filled(text(endpoint, "url", ""), values, a)));
    return endpoints;
}

static json_t *relations_of(const struct catalog_service *s, const json_t *described, struct arena *a)
{
    json_t *relations = json_array();
    json_array_append_new(relations, json_pack("{s:s,s:s}", "type", "ownedBy", "targetRef", arena_printf(a, "group:default/%s", s->team)));
    json_array_append_new(relations, json_pack("{s:s,s:s}", "type", "madeFrom", "targetRef", arena_printf(a, "template:default/%s", s->template)));
    size_t i;
    const json_t *relation;
    json_array_foreach(json_object_get(described, "relations"), i, relation)
        json_array_append_new(relations, json_pack("{s:s,s:o}", "type", text(relation, "type", ""), "targetRef", filled(text(relation, "target", ""), s->values, a)));
    return relations;
}

static json_t *entity_of(const struct catalog_service *s, const json_t *described, struct arena *a)
{
    const json_t *v = s->values;
    json_t *annotations = json_pack("{s:s,s:s,s:s,s:s}", "soma.dev/service-id", s->id, "soma.dev/template", s->template, "soma.dev/environment", text(v, "environment", ""),
                                    "soma.dev/cost-centre", text(v, "cost_centre", ""));
    if (repository_of(s))
        json_object_set_new(annotations, "backstage.io/source-location", json_text(arena_printf(a, "url:%s", repository_of(s))));
    json_t *labels = json_object_get(v, "tags") ? json_deep_copy(json_object_get(v, "tags")) : json_object();
    json_t *metadata = json_pack("{s:s,s:s,s:s,s:o,s:o,s:o,s:o,s:o,s:o}", "namespace", "default", "name", s->name, "uid", s->id,
                                 "title", filled(text(described, "title", s->name), v, a), "description", filled(text(described, "description", ""), v, a),
                                 "annotations", annotations, "labels", labels, "tags", tags_of(described), "links", links_of(s, described, a));
    json_t *spec = json_pack("{s:s,s:s,s:s,s:s,s:s,s:o}", "type", text(described, "type", s->version->type ? s->version->type : "service"), "owner",
                             arena_printf(a, "group:default/%s", s->team), "lifecycle", text(described, "lifecycle", text(v, "environment", "")), "costCentre",
                             text(v, "cost_centre", ""), "orderedBy", text(v, "owner", ""), "endpoints", endpoints_of(described, v, a));
    if (json_object_get(described, "system"))
        json_object_set_new(spec, "system", filled(text(described, "system", ""), v, a));
    return json_pack("{s:s,s:s,s:o,s:o,s:o}", "apiVersion", "backstage.io/v1alpha1", "kind", text(described, "kind", "Resource"), "metadata", metadata, "spec", spec,
                     "relations", relations_of(s, described, a));
}

int catalog_register_service(struct db_conn *c, const struct catalog_service *s, struct arena *a, struct err *e)
{
    const json_t *described = templates_catalog(s->version);
    const char *kind = text(described, "kind", "Resource");
    char *ref = arena_printf(a, "%s:default/%s", kind, s->name);
    for (char *p = ref; *p; p++)
        *p = (char)tolower((unsigned char)*p);
    json_t *entity = entity_of(s, described, a);
    if (!entity)
        return err_set(e, ERR_INTERNAL, "the entity of %s holds text that is not UTF-8", s->name);
    BUF_AUTO document = BUF_INIT;
    json_write(entity, &document);
    json_decref(entity);
    DB_RESULT_AUTO put = NULL;
    int r = db_run(c, Q_ENTITY_PUT, &put, e, db_text(ref), db_text(kind), db_text(s->name), db_text(s->team), db_text(document.data),
                   db_text(arena_printf(a, "service:%s", s->id)));
    if (!r && db_affected(put) == 0)
        return err_set(e, ERR_CONFLICT, "the catalog holds another entity `%s`", ref);
    return r;
}

int catalog_remove_service(struct db_conn *c, const char *service_id, struct err *e)
{
    char source[64];
    snprintf(source, sizeof source, "service:%s", service_id);
    return db_run(c, Q_ENTITY_REMOVE_SOURCE, NULL, e, db_text(source));
}
