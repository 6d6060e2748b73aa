/* A complete input, for tests and for trying things out. What stands here is what docs/policies.md promises. */
#include <stdlib.h>
#include <string.h>

#include "portal/json/json.h"
#include "portal/policy/policy.h"

static const char common[] =
    "{\"kind\":\"create\",\"now\":\"2026-01-15T10:00:00.000Z\",\"order\":\"0190a5f0-0000-7000-8000-000000000001\","
    "\"service\":{\"name\":\"orders-db\",\"template\":\"postgres-database\",\"team\":\"payments\",\"cost_centre\":\"CC-100\"},"
    "\"environment\":{\"name\":\"test\",\"title\":\"Test\",\"protected\":false,\"region\":\"eu-central-1\",\"settings\":{\"region\":\"eu-central-1\"}},"
    "\"person\":{\"name\":\"dana\"},\"parameters\":{},\"plan\":null,\"estimate\":null,\"resources_after\":null}";

static const char route[] =
    "{\"now\":\"2026-01-15T10:00:00.000Z\",\"method\":\"POST\",\"route\":\"/api/v1/orders\",\"operation\":\"createOrder\",\"path\":\"/api/v1/orders\","
    "\"person\":{\"name\":\"dana\",\"account\":\"dana\",\"service_account\":false,\"roles\":[\"developer\"],\"teams\":[{\"name\":\"payments\",\"roles\":[\"developer\"]}]}}";

static void lay_over(json_t *under, const json_t *over)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)over, key, v) {
        json_t *there = json_object_get(under, key);
        if (json_is_object(there) && json_is_object(v) && json_object_size(there))
            lay_over(there, v);
        else
            json_object_set(under, key, v);
    }
}

json_t *policy_sample_input(enum policy_point point, const json_t *over)
{
    const char *text = point == POLICY_ROUTE ? route : common;
    json_t *input = NULL;
    if (json_read(text, strlen(text), 0, &input, NULL))
        abort();
    json_object_set_new(input, "point", json_string(policy_point_name(point)));
    if (point == POLICY_PLAN) {
        json_object_set_new(input, "plan", json_pack("{s:s, s:s, s:[]}", "format_version", "1.2", "terraform_version", "1.12.6", "resource_changes"));
        json_object_set_new(input, "resources_after", json_integer(1));
    } else if (point == POLICY_DESTROY || point == POLICY_REVEAL)
        json_object_set_new(input, "kind", json_string(point == POLICY_DESTROY ? "destroy" : "reveal"));
    if (point == POLICY_REVEAL)
        json_object_set_new(input, "order", json_null());
    lay_over(input, over);
    return input;
}
