#include "plugins/finops/doc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define MAX_DEPTH 64
#define MAX_PART 128

json_t *doc_read_json(const char *text, size_t len, char why[DOC_WHY])
{
    json_error_t e;
    json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &e);
    if (!root)
        snprintf(why, DOC_WHY, "line %d: %.180s", e.line, e.text);
    return root;
}

struct reader {
    yaml_parser_t parser;
    char *why;
};

static json_t *fail(struct reader *r, const yaml_mark_t *mark, const char *words)
{
    if (!*r->why)
        snprintf(r->why, DOC_WHY, "line %zu: %s", mark->line + 1, words);
    return NULL;
}

static bool next_event(struct reader *r, yaml_event_t *event)
{
    if (yaml_parser_parse(&r->parser, event))
        return true;
    if (!*r->why)
        snprintf(r->why, DOC_WHY, "line %zu: %.150s", r->parser.problem_mark.line + 1, r->parser.problem ? r->parser.problem : "not readable as YAML");
    return false;
}

static json_t *read_value(struct reader *r, yaml_event_t *event, int depth);

static json_t *read_scalar(struct reader *r, const yaml_event_t *event)
{
    const char *text = (const char *)event->data.scalar.value;
    bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (plain && (!*text || !strcmp(text, "~") || !strcmp(text, "null")))
        return json_null();
    if (plain && (!strcmp(text, "true") || !strcmp(text, "false")))
        return json_boolean(*text == 't');
    json_t *value = json_stringn(text, event->data.scalar.length);
    return value ? value : fail(r, &event->start_mark, "the text is not UTF-8, or holds a NUL");
}

static json_t *read_sequence(struct reader *r, int depth)
{
    json_t *list = json_array();
    for (;;) {
        yaml_event_t event;
        if (!next_event(r, &event))
            break;
        if (event.type == YAML_SEQUENCE_END_EVENT) {
            yaml_event_delete(&event);
            return list;
        }
        json_t *value = read_value(r, &event, depth);
        yaml_event_delete(&event);
        if (!value || json_array_append_new(list, value))
            break;
    }
    json_decref(list);
    return NULL;
}

// One `key: value`; `event` is the key.
static bool read_member(struct reader *r, json_t *object, yaml_event_t *event, int depth)
{
    if (event->type != YAML_SCALAR_EVENT)
        return fail(r, &event->start_mark, "a key must be text"), false;
    const char *key = (const char *)event->data.scalar.value;
    if (strlen(key) != event->data.scalar.length)
        return fail(r, &event->start_mark, "a key holds a NUL"), false;
    if (json_object_get(object, key))
        return fail(r, &event->start_mark, "a key is there twice"), false;
    yaml_event_t inner;
    if (!next_event(r, &inner))
        return false;
    json_t *value = read_value(r, &inner, depth);
    yaml_event_delete(&inner);
    if (!value)
        return false;
    return !json_object_set_new(object, key, value) || (fail(r, &event->start_mark, "a key is not UTF-8"), false);
}

static json_t *read_mapping(struct reader *r, int depth)
{
    json_t *object = json_object();
    for (;;) {
        yaml_event_t event;
        if (!next_event(r, &event))
            break;
        bool end = event.type == YAML_MAPPING_END_EVENT, good = end || read_member(r, object, &event, depth);
        yaml_event_delete(&event);
        if (end)
            return object;
        if (!good)
            break;
    }
    json_decref(object);
    return NULL;
}

static json_t *read_value(struct reader *r, yaml_event_t *event, int depth)
{
    if (depth > MAX_DEPTH)
        return fail(r, &event->start_mark, "nested too deeply");
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return read_scalar(r, event);
    case YAML_SEQUENCE_START_EVENT:
        return read_sequence(r, depth + 1);
    case YAML_MAPPING_START_EVENT:
        return read_mapping(r, depth + 1);
    case YAML_ALIAS_EVENT:
        return fail(r, &event->start_mark, "aliases are not read here: write the value out");
    default:
        return fail(r, &event->start_mark, "something else than a value");
    }
}

static bool skip_event(struct reader *r, yaml_event_type_t type, const char *words)
{
    yaml_event_t event;
    if (!next_event(r, &event))
        return false;
    bool good = event.type == type;
    if (!good)
        fail(r, &event.start_mark, words);
    yaml_event_delete(&event);
    return good;
}

static json_t *read_document(struct reader *r)
{
    yaml_event_t event;
    if (!skip_event(r, YAML_STREAM_START_EVENT, "not readable as YAML") || !next_event(r, &event))
        return NULL;
    yaml_event_type_t type = event.type;
    yaml_event_delete(&event);
    if (type == YAML_STREAM_END_EVENT)
        return json_object();
    if (!next_event(r, &event))
        return NULL;
    json_t *root = read_value(r, &event, 0);
    yaml_event_delete(&event);
    if (root && (!skip_event(r, YAML_DOCUMENT_END_EVENT, "the document does not end") || !skip_event(r, YAML_STREAM_END_EVENT, "more than one document"))) {
        json_decref(root);
        return NULL;
    }
    return root && json_is_null(root) ? json_object() : root;
}

json_t *doc_read_yaml(const char *text, size_t len, char why[DOC_WHY])
{
    struct reader r = { .why = why };
    *why = 0;
    if (!yaml_parser_initialize(&r.parser))
        abort();
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, len);
    json_t *root = read_document(&r);
    yaml_parser_delete(&r.parser);
    return root;
}

static const json_t *step_into(const json_t *value, const char *part)
{
    if (json_is_array(value)) {
        char *end;
        unsigned long i = strtoul(part, &end, 10);
        return *end || end == part ? NULL : json_array_get(value, i);
    }
    return json_object_get(value, part);
}

const json_t *doc_at(const json_t *root, const char *path)
{
    char part[MAX_PART];
    while (root && *path) {
        size_t len = strcspn(path, ".");
        if (len >= sizeof part)
            return NULL;
        memcpy(part, path, len);
        part[len] = 0;
        root = step_into(root, part);
        path += len + (path[len] == '.');
    }
    return json_is_null(root) ? NULL : root;
}

bool doc_number(const json_t *value, struct dec *ret_number)
{
    struct dec number = dec_none();
    if (json_is_integer(value))
        number = dec_int(json_integer_value(value));
    else if (json_is_real(value))
        number = dec_from_real(json_real_value(value));
    else if (json_is_string(value) && !dec_parse(json_string_value(value), &number))
        return false;
    if (dec_is_none(number))
        return false;
    *ret_number = number;
    return true;
}
