#include "plugins/finops/usage.h"

#include <stdio.h>
#include <string.h>

static bool check_section(const json_t *root, const char *section, char why[DOC_WHY])
{
    const json_t *entries = json_object_get(root, section);
    if (!entries || json_is_null(entries))
        return true;
    if (!json_is_object(entries)) {
        snprintf(why, DOC_WHY, "%s must be a mapping from address to assumptions", section);
        return false;
    }
    const char *address;
    json_t *values;
    json_object_foreach((json_t *)entries, address, values) {
        if (!json_is_object(values) && !json_is_null(values)) {
            snprintf(why, DOC_WHY, "%s: %.120s must be a mapping from key to value", section, address);
            return false;
        }
    }
    return true;
}

bool usage_read(const json_t *root, struct usage *ret_usage, char why[DOC_WHY])
{
    if (!json_is_object(root)) {
        snprintf(why, DOC_WHY, "a usage file is a mapping with resource_usage and resource_type_default_usage");
        return false;
    }
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)root, key, value) {
        if (strcmp(key, "version") && strcmp(key, "resource_usage") && strcmp(key, "resource_type_default_usage")) {
            snprintf(why, DOC_WHY, "%.120s is not a key of a usage file: it has version, resource_usage and resource_type_default_usage", key);
            return false;
        }
    }
    if (!check_section(root, "resource_usage", why) || !check_section(root, "resource_type_default_usage", why))
        return false;
    ret_usage->root = root;
    return true;
}

// `[*]` stands for any key in brackets; a key may hold brackets inside its quotes.
static bool address_matches(const char *pattern, const char *address)
{
    while (*pattern) {
        if (!strncmp(pattern, "[*]", 3) && *address == '[') {
            const char *end = address[1] == '"' ? strstr(address + 2, "\"]") : strchr(address, ']');
            if (!end)
                return false;
            address = end + (address[1] == '"' ? 2 : 1);
            pattern += 3;
        } else if (*pattern++ != *address++) {
            return false;
        }
    }
    return !*address;
}

static const json_t *wildcard_value(const json_t *entries, const char *address, const char *key)
{
    const char *pattern;
    json_t *values;
    json_object_foreach((json_t *)entries, pattern, values) {
        const json_t *value = strstr(pattern, "[*]") && address_matches(pattern, address) ? doc_at(values, key) : NULL;
        if (value)
            return value;
    }
    return NULL;
}

const json_t *usage_value(const struct usage *usage, const char *address, const char *type, const char *key)
{
    const json_t *entries = json_object_get(usage->root, "resource_usage");
    const json_t *value = doc_at(json_object_get(entries, address), key);
    if (!value)
        value = wildcard_value(entries, address, key);
    return value ? value : doc_at(json_object_get(json_object_get(usage->root, "resource_type_default_usage"), type), key);
}

bool usage_number(const struct usage *usage, const char *address, const char *type, const char *key, struct dec *ret_number)
{
    const json_t *value = usage_value(usage, address, type, key);
    return value && doc_number(value, ret_number);
}

const char *usage_text(const struct usage *usage, const char *address, const char *type, const char *key)
{
    return json_string_value(usage_value(usage, address, type, key));
}
