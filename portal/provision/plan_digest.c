/* One value for what a plan changes, to tell whether a plan made anew changes the same. It is keyed: what is digested holds secrets that could be guessed. */
#include <string.h>

#include "portal/crypto/keyring.h"
#include "portal/json/json.h"
#include "portal/provision/provision_private.h"

#define KEY_ID_LEN 4

static bool changes_something(const json_t *actions)
{
    size_t i;
    const json_t *action;
    json_array_foreach(actions, i, action)
        if (strcmp(json_string_value(action) ? json_string_value(action) : "", "no-op") && strcmp(json_string_value(action) ? json_string_value(action) : "", "read"))
            return true;
    return false;
}

static void take(json_t *to, const json_t *from, const char *const *keys)
{
    for (; *keys; keys++)
        if (json_object_get(from, *keys))
            json_object_set(to, *keys, json_object_get(from, *keys));
}

/* What of the plan's JSON says what it does; how it came to be planned (reasons, which values are sensitive) is left out. */
static json_t *changes_of(const json_t *plan)
{
    static const char *const of_resource[] = {"address", "previous_address", "deposed", "mode", "type", "provider_name", NULL};
    static const char *const of_change[] = {"actions", "before", "after", "after_unknown", "importing", "replace_paths", NULL};
    json_t *all = json_array();
    size_t i;
    const json_t *resource;
    json_array_foreach(json_object_get(plan, "resource_changes"), i, resource) {
        const json_t *change = json_object_get(resource, "change");
        if (!changes_something(json_object_get(change, "actions")))
            continue;
        json_t *one = json_object();
        take(one, resource, of_resource);
        take(one, change, of_change);
        json_array_append_new(all, one);
    }
    return all;
}

static uint32_t key_of(const void *like, size_t len)
{
    const uint8_t *p = like;
    return len >= KEY_ID_LEN ? (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3] : 0;
}

int plan_digest(const void *plan, size_t len, const void *like, size_t like_len, struct buf *out, struct err *e)
{
    json_t *parsed = NULL;
    uint8_t key[CRYPTO_KEY], digest[CRYPTO_DIGEST];
    uint32_t id = 0;
    BUF_AUTO text = BUF_INIT;
    int r = plan ? json_read(plan, len, 200, &parsed, e) : 0;
    if (r)
        return r;
    json_t *changes = changes_of(parsed);
    json_write(changes, &text);
    json_decref(changes);
    json_decref(parsed);
    r = keyring_derive(keyring_instance(), key_of(like, like_len), "approval/plan", key, &id, e);
    if (r == ERR_NOT_FOUND) /* its key was dropped since: the two will differ, and approval is asked for anew */
        r = keyring_derive(keyring_instance(), 0, "approval/plan", key, &id, e);
    if (!r) {
        crypto_hmac(key, sizeof key, text.data, text.len, digest);
        buf_add(out, (uint8_t[]){(uint8_t)(id >> 24), (uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id}, KEY_ID_LEN);
        buf_add(out, digest, sizeof digest);
    }
    crypto_wipe(key, sizeof key);
    buf_wipe(&text);
    return r;
}
