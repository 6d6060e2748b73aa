#include "portal/auth/auth_private.h"

#define SECRET (HTTP_IDEMPOTENT | HTTP_SECRET_BODY)

const struct http_route auth_routes[] = {
    {"POST", "/api/v1/session", "createSession", "public", session_create, HTTP_NO_CSRF | HTTP_SECRET_BODY, 4096},
    {"GET", "/api/v1/session", "getSession", "signed-in", session_show, HTTP_SECRET_BODY, 0},
    {"DELETE", "/api/v1/session", "deleteSession", "signed-in", session_delete, 0, 4096},
    {"PUT", "/api/v1/session/password", "changePassword", "signed-in", session_password, HTTP_SECRET_BODY, 4096},
    {"GET", "/api/v1/people", "listPeople", "platform-admin", people_list, 0, 0},
    {"POST", "/api/v1/people", "createPerson", "platform-admin", people_create, SECRET, 16384},
    {"GET", "/api/v1/people/{name}", "getPerson", "signed-in", people_show, 0, 0},
    {"PATCH", "/api/v1/people/{name}", "updatePerson", "signed-in", people_update, HTTP_IDEMPOTENT, 16384},
    {"POST", "/api/v1/people/{name}/disable", "disablePerson", "platform-admin", people_disable, HTTP_IDEMPOTENT, 4096},
    {"POST", "/api/v1/people/{name}/enable", "enablePerson", "platform-admin", people_enable, HTTP_IDEMPOTENT, 4096},
    {"POST", "/api/v1/people/{name}/password", "resetPassword", "platform-admin", people_password, SECRET, 4096},
    {"GET", "/api/v1/service-accounts", "listServiceAccounts", "signed-in", service_accounts_list, 0, 0},
    {"POST", "/api/v1/service-accounts", "createServiceAccount", "team:developer", service_accounts_create, HTTP_IDEMPOTENT, 16384},
    {"GET", "/api/v1/service-accounts/{name}", "getServiceAccount", "signed-in", service_accounts_show, 0, 0},
    {"POST", "/api/v1/service-accounts/{name}/disable", "disableServiceAccount", "signed-in", service_accounts_disable, HTTP_IDEMPOTENT, 4096},
    {"POST", "/api/v1/service-accounts/{name}/enable", "enableServiceAccount", "signed-in", service_accounts_enable, HTTP_IDEMPOTENT, 4096},
    {"GET", "/api/v1/teams", "listTeams", "viewer", teams_list, 0, 0},
    {"POST", "/api/v1/teams", "createTeam", "platform-admin", teams_create, HTTP_IDEMPOTENT, 16384},
    {"GET", "/api/v1/teams/{name}", "getTeam", "team:viewer", teams_show, 0, 0},
    {"GET", "/api/v1/roles/bindings", "listBindings", "signed-in", bindings_list, 0, 0},
    {"POST", "/api/v1/roles/bindings", "createBinding", "platform-admin", bindings_create, HTTP_IDEMPOTENT, 16384},
    {"GET", "/api/v1/roles/bindings/{id}", "getBinding", "signed-in", bindings_show, 0, 0},
    {"DELETE", "/api/v1/roles/bindings/{id}", "deleteBinding", "platform-admin", bindings_delete, HTTP_IDEMPOTENT, 4096},
    {"GET", "/api/v1/tokens", "listTokens", "signed-in", tokens_list, 0, 0},
    {"POST", "/api/v1/tokens", "createToken", "signed-in", tokens_create, HTTP_IDEMPOTENT_REQUIRED | HTTP_SECRET_BODY, 16384},
    {"GET", "/api/v1/tokens/{id}", "getToken", "signed-in", tokens_show, 0, 0},
    {"DELETE", "/api/v1/tokens/{id}", "revokeToken", "signed-in", tokens_revoke, HTTP_IDEMPOTENT, 4096},
    {0},
};
