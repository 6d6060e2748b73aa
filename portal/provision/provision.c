#include "portal/provision/provision.h"

#include <string.h>

#include "portal/http/page.h"
#include "portal/provision/approval_private.h"
#include "portal/provision/provision_private.h"

static struct provision_options options;

void provision_configure(const struct provision_options *o)
{
    options = *o;
}

const struct provision_options *provision_get(void)
{
    return &options;
}

void provision_cache_event(struct read_cache *reads, const struct event *ev)
{
    if (!strncmp(ev->entity, "service:", 8))
        read_cache_drop(reads, ev->entity);
}

void provision_cache_woken(struct read_cache *reads, const char *topic)
{
    if (strcmp(topic, "jobs")) /* events were lost, or the database is another */
        read_cache_clear(reads);
}

const struct secrets_column provision_secrets[] = {
    {"environment_credential", "id", "version", "sealed"}, {"service", "id", NULL, "sealed_values"}, {"service", "id", "outputs_version", "sealed_outputs"},
    {"orders", "id", NULL, "sealed_values"}, {"run", "id", NULL, "journal"}, {"terraform_state", "service_id", "serial", "sealed"},
    {"saved_plan", "order_id", "state_serial", "sealed"}, {"saved_plan", "order_id", "state_serial", "sealed_json"}, {0},
};

const struct config_key provision_config[] = {
    {.name = "engine", .type = CONFIG_STRING, .fallback = "tofu", .help = "Terraform engine of the work role: path or name of tofu or terraform"},
    {.name = "provider_mirror", .type = CONFIG_STRING, .help = "colon-separated folders of unpacked providers: <host>/<namespace>/<type>/<version>/<os_arch>/"},
    {.name = "leash", .type = CONFIG_STRING, .help = "path of soma-leash; beside somad by default"},
    {.name = "plan_minutes", .type = CONFIG_INT, .fallback = "15", .min = 1, .max = 240, .help = "longest time of a plan"},
    {.name = "apply_minutes", .type = CONFIG_INT, .fallback = "120", .min = 1, .max = 1440, .help = "longest time of an apply"},
    {0},
};

const struct http_route provision_routes[] = {
    {"GET", "/approve/{token}", NULL, "public", approve_page_show, HTTP_SECRET_PATH, 0},
    {"POST", "/approve/{token}", NULL, "public", approve_page_post, HTTP_SECRET_PATH | HTTP_RAW_BODY | HTTP_NO_CSRF, 65536},
    {"POST", "/api/v1/orders", "createOrder", "team:developer", orders_create, HTTP_IDEMPOTENT_REQUIRED, 256 * 1024},
    {"GET", "/api/v1/orders", "listOrders", "viewer", orders_list, 0, 0},
    {"GET", "/api/v1/orders/{id}", "getOrder", "viewer", orders_show, 0, 0},
    {"POST", "/api/v1/orders/{id}/cancel", "cancelOrder", "team:developer", orders_cancel, HTTP_IDEMPOTENT, 4096},
    {"POST", "/api/v1/orders/{id}/approval", "decideOrder", "signed-in", orders_decide, HTTP_IDEMPOTENT, 16384},
    {"GET", "/api/v1/approvals", "listApprovals", "viewer", approvals_list, 0, 0},
    {"GET", "/api/v1/approvals/{id}", "getApproval", "viewer", approvals_show, 0, 0},
    {"GET", "/api/v1/approvals/delegations", "listDelegations", "viewer", delegations_list, 0, 0},
    {"POST", "/api/v1/approvals/delegations", "createDelegation", "signed-in", delegations_create, HTTP_IDEMPOTENT, 16384},
    {"POST", "/api/v1/approvals/delegations/{id}/revoke", "revokeDelegation", "signed-in", delegations_revoke, HTTP_IDEMPOTENT, 4096},
    {"GET", "/api/v1/orders/{id}/events", "getOrderEvents", "viewer", orders_events, HTTP_STREAM, 0},
    {"GET", "/api/v1/events", "getEvents", "viewer", all_events, HTTP_STREAM, 0},
    {"GET", "/api/v1/services", "listServices", "viewer", services_list, 0, 0},
    {"GET", "/api/v1/services/{name}", "getService", "viewer", services_show, 0, 0},
    {"GET", "/api/v1/services/{name}/outputs", "getServiceOutputs", "viewer", services_outputs, 0, 0},
    {"POST", "/api/v1/services/{name}/outputs/reveal", "revealServiceOutputs", "team:developer", services_reveal, HTTP_SECRET_BODY, 4096},
    {"GET", "/api/v1/environments", "listEnvironments", "viewer", environments_list, 0, 0},
    {"POST", "/api/v1/environments", "createEnvironment", "platform-admin", environments_create, HTTP_IDEMPOTENT | HTTP_SECRET_BODY, 0},
    {"GET", "/api/v1/environments/{name}", "getEnvironment", "viewer", environments_show, 0, 0},
    {"PATCH", "/api/v1/environments/{name}", "updateEnvironment", "platform-admin", environments_update, HTTP_IDEMPOTENT | HTTP_SECRET_BODY, 0},
    {"DELETE", "/api/v1/environments/{name}", "deleteEnvironment", "platform-admin", environments_delete, HTTP_IDEMPOTENT, 0},
    {"GET", "/api/v1/gates", "listGates", "viewer", gates_list, 0, 0},
    {0},
};

const struct jobs_kind provision_jobs[] = {
    {.kind = "order", .fn = road_run, .max_attempts = 8, .max_crashes = 5, .backoff_ms = 2000, .backoff_max_ms = 60000, .dead = road_dead},
    {.kind = "approval.notify", .fn = approval_notify, .max_attempts = 8, .backoff_ms = 2000, .backoff_max_ms = 60000},
    {.kind = "approval.clock", .fn = approval_clock, .max_attempts = 3, .backoff_ms = 2000, .backoff_max_ms = 10000, .every_ms = 3000},
    {0},
};
