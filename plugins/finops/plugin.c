// The plugin's tables: routes, gates, jobs, metrics, settings, verbs.
#include "plugins/finops/plugin_private.h"

static const struct soma_route routes[] = {
    { .method = "POST", .pattern = "/api/v1/finops/estimates", .operation = "finopsEstimate", .need = "viewer", .fn = route_estimate, .body_max = 32u << 20, .deadline_ms = 30000 },
    { .method = "GET", .pattern = "/api/v1/finops/estimates/{order}", .operation = "finopsOrderEstimate", .need = "viewer", .fn = route_order_estimate },
    { .method = "GET", .pattern = "/api/v1/finops/prices", .operation = "finopsPrices", .need = "viewer", .fn = route_prices },
    { .method = "POST", .pattern = "/api/v1/finops/prices", .operation = "finopsSetPrice", .need = "platform-admin", .fn = route_price_set },
    { .method = "DELETE", .pattern = "/api/v1/finops/prices/{id}", .operation = "finopsRemovePrice", .need = "platform-admin", .fn = route_price_remove },
    { .method = "GET", .pattern = "/api/v1/finops/imports", .operation = "finopsImports", .need = "viewer", .fn = route_imports },
    { .method = "POST", .pattern = "/api/v1/finops/imports", .operation = "finopsImport", .need = "platform-admin", .fn = route_import, .flags = SOMA_RAW_BODY, .body_max = 64u << 20,
        .deadline_ms = 120000 },
    { .method = "DELETE", .pattern = "/api/v1/finops/imports/{id}", .operation = "finopsRemoveImport", .need = "platform-admin", .fn = route_import_remove, .deadline_ms = 60000 },
    { .method = "GET", .pattern = "/api/v1/finops/discounts", .operation = "finopsDiscounts", .need = "viewer", .fn = route_discounts },
    { .method = "PUT", .pattern = "/api/v1/finops/discounts/{name}", .operation = "finopsSetDiscount", .need = "platform-admin", .fn = route_discount_set },
    { .method = "DELETE", .pattern = "/api/v1/finops/discounts/{name}", .operation = "finopsRemoveDiscount", .need = "platform-admin", .fn = route_discount_remove },
    { .method = "GET", .pattern = "/api/v1/finops/budgets", .operation = "finopsBudgets", .need = "viewer", .fn = route_budgets },
    { .method = "PUT", .pattern = "/api/v1/finops/budgets/{name}", .operation = "finopsSetBudget", .need = "platform-admin", .fn = route_budget_set },
    { .method = "DELETE", .pattern = "/api/v1/finops/budgets/{name}", .operation = "finopsRemoveBudget", .need = "platform-admin", .fn = route_budget_remove },
    { .method = "GET", .pattern = "/api/v1/finops/quotas", .operation = "finopsQuotas", .need = "viewer", .fn = route_quotas },
    { .method = "PUT", .pattern = "/api/v1/finops/quotas/{name}", .operation = "finopsSetQuota", .need = "platform-admin", .fn = route_quota_set },
    { .method = "DELETE", .pattern = "/api/v1/finops/quotas/{name}", .operation = "finopsRemoveQuota", .need = "platform-admin", .fn = route_quota_remove },
};

static const struct soma_gate gates[] = {
    { .name = "estimate", .title = "Monthly cost", .points = SOMA_AT_PLAN, .number = 300, .decide = gate_estimate, .deadline_ms = 30000 },
    { .name = "budget", .title = "Budgets and quotas of cost", .points = SOMA_AT_PLAN, .number = 400, .decide = gate_budget },
};

static const struct soma_job_kind jobs[] = { { .kind = "measure", .run = job_measure, .max_attempts = 1, .deadline_ms = 30000 } };

static const struct soma_schedule schedules[] = { { .name = "measure", .kind = "measure", .every_s = 60 } };

static const struct soma_metric metrics[] = {
    { .name = "finops_estimates_total", .help = "Estimates made or refused, of sent plans (request) and of orders (order).", .kind = SOMA_COUNTER, .labels = "of,result" },
    { .name = "finops_budget_decisions_total", .help = "Decisions of the gate budget.", .kind = SOMA_COUNTER, .labels = "outcome" },
    { .name = "finops_prices_imported_total", .help = "Prices taken from vendors' lists.", .kind = SOMA_COUNTER, .labels = "format" },
    { .name = "finops_budget_monthly", .help = "What a budget allows a month.", .kind = SOMA_GAUGE, .labels = "budget,currency" },
    { .name = "finops_budget_running", .help = "What running services take of a budget.", .kind = SOMA_GAUGE, .labels = "budget,currency" },
    { .name = "finops_budget_in_flight", .help = "What orders in flight take of a budget.", .kind = SOMA_GAUGE, .labels = "budget,currency" },
};

static const struct soma_config_key config[] = {
    { .name = "prices_as_of", .type = "text", .help = "The day listed prices are taken at, YYYY-MM-DD; without it the newest day of the lists." },
    { .name = "usage", .type = "text", .help = "Usage assumptions for estimates of orders: the text of a usage file." },
};

// --- verbs

static const struct soma_flag estimate_flags[] = {
    { .name = "plan", .kind = SOMA_FLAG_FILE, .value = "FILE", .required = true, .help = "what `terraform show -json PLANFILE` prints", .as = SOMA_FILE_JSON },
    { .name = "usage", .kind = SOMA_FLAG_FILE, .value = "FILE", .help = "usage assumptions, as in infracost-usage.yml", .as = SOMA_FILE_TEXT },
    { .name = "date", .kind = SOMA_FLAG_TEXT, .value = "YYYY-MM-DD", .help = "the day whose prices are taken" },
};
static const struct soma_column estimate_columns[] = { { "ADDRESS", "address" }, { "COMPONENT", "component" }, { "QUANTITY", "quantity" }, { "UNIT", "unit" }, { "PRICE", "unit_price" },
    { "A MONTH", "monthly_cost" }, { "", "currency" } };

static const struct soma_flag price_filters[] = {
    { .name = "provider", .kind = SOMA_FLAG_TEXT, .value = "NAME", .help = "aws, azure, gcp", .query = "provider" },
    { .name = "service", .kind = SOMA_FLAG_TEXT, .value = "NAME", .help = "ec2, rds, s3 ...", .query = "service" },
    { .name = "region", .kind = SOMA_FLAG_TEXT, .value = "NAME", .help = "eu-west-1", .query = "region" },
    { .name = "sku", .kind = SOMA_FLAG_TEXT, .value = "START", .help = "what the sku begins with", .query = "sku" },
    { .name = "term", .kind = SOMA_FLAG_TEXT, .value = "NAME", .help = "on_demand, spot, reserved/...", .query = "term" },
    { .name = "limit", .kind = SOMA_FLAG_INT, .value = "N", .help = "at most so many (100)", .query = "limit" },
};
static const struct soma_column price_columns[] = { { "ID", "id" }, { "PROVIDER", "provider" }, { "SERVICE", "service" }, { "REGION", "region" }, { "SKU", "sku" }, { "TERM", "term" },
    { "FROM", "from" }, { "PRICE", "price" }, { "", "currency" }, { "UNIT", "unit" }, { "KIND", "kind" }, { "DATE", "dated" } };

static const struct soma_flag price_flags[] = {
    { .name = "provider", .kind = SOMA_FLAG_TEXT, .value = "NAME", .required = true, .help = "aws, azure, gcp" },
    { .name = "service", .kind = SOMA_FLAG_TEXT, .value = "NAME", .required = true, .help = "ec2, rds, s3 ..." },
    { .name = "region", .kind = SOMA_FLAG_TEXT, .value = "NAME", .required = true, .help = "eu-west-1; * is every commercial region" },
    { .name = "sku", .kind = SOMA_FLAG_TEXT, .value = "SKU", .required = true, .help = "as `soma finops prices list` shows it" },
    { .name = "unit", .kind = SOMA_FLAG_TEXT, .value = "UNIT", .required = true, .help = "hours, GB-month, requests ..." },
    { .name = "price", .kind = SOMA_FLAG_TEXT, .value = "AMOUNT", .required = true, .help = "what one unit costs" },
    { .name = "term", .kind = SOMA_FLAG_TEXT, .value = "NAME", .help = "on_demand" },
    { .name = "currency", .kind = SOMA_FLAG_TEXT, .value = "CODE", .help = "USD" },
    { .name = "from", .kind = SOMA_FLAG_TEXT, .value = "N", .help = "where the tier begins" },
    { .name = "to", .kind = SOMA_FLAG_TEXT, .value = "N", .help = "where it ends" },
    { .name = "source", .kind = SOMA_FLAG_TEXT, .value = "TEXT", .help = "where the price comes from, such as a contract" },
    { .name = "valid-from", .kind = SOMA_FLAG_TEXT, .value = "YYYY-MM-DD", .help = "today" },
    { .name = "valid-to", .kind = SOMA_FLAG_TEXT, .value = "YYYY-MM-DD", .help = "the last day" },
};

static const struct soma_flag import_flags[] = {
    { .name = "file", .kind = SOMA_FLAG_FILE, .value = "FILE", .required = true, .help = "AWS Price List (JSON, CSV), Azure Retail Prices, or Soma's CSV; may be gzip", .as = SOMA_FILE_BODY },
    { .name = "name", .kind = SOMA_FLAG_TEXT, .value = "TEXT", .help = "what to call it", .query = "name" },
    { .name = "source", .kind = SOMA_FLAG_TEXT, .value = "TEXT", .help = "what estimates give as the source of its prices", .query = "source" },
};
static const struct soma_column import_columns[] = { { "ID", "id" }, { "KIND", "kind" }, { "NAME", "name" }, { "FORMAT", "format" }, { "AS OF", "as_of" }, { "PRICES", "prices" },
    { "SKIPPED", "skipped" }, { "BY", "imported_by" } };

static const struct soma_flag discount_flags[] = {
    { .name = "percent", .kind = SOMA_FLAG_TEXT, .value = "N", .required = true, .help = "how much is taken off listed prices" },
    { .name = "provider", .kind = SOMA_FLAG_TEXT, .value = "NAME", .help = "aws" },
    { .name = "service", .kind = SOMA_FLAG_TEXT, .value = "NAME", .help = "of one service alone" },
    { .name = "region", .kind = SOMA_FLAG_TEXT, .value = "NAME", .help = "of one region alone" },
    { .name = "sku-prefix", .kind = SOMA_FLAG_TEXT, .value = "START", .help = "of what begins so, such as instance/m5" },
    { .name = "reason", .kind = SOMA_FLAG_TEXT, .value = "TEXT", .help = "such as the contract" },
    { .name = "valid-from", .kind = SOMA_FLAG_TEXT, .value = "YYYY-MM-DD", .help = "today" },
    { .name = "valid-to", .kind = SOMA_FLAG_TEXT, .value = "YYYY-MM-DD", .help = "the last day" },
};
static const struct soma_column discount_columns[] = { { "NAME", "name" }, { "PERCENT", "percent" }, { "PROVIDER", "provider" }, { "SERVICE", "service" }, { "REGION", "region" },
    { "SKU", "sku_prefix" }, { "UNTIL", "valid_to" }, { "REASON", "reason" } };

static const struct soma_flag budget_flags[] = {
    { .name = "scope", .kind = SOMA_FLAG_TEXT, .value = "team|environment|cost_centre|all", .required = true, .help = "whose budget it is" },
    { .name = "of", .kind = SOMA_FLAG_TEXT, .value = "NAME", .help = "the team's, environment's or cost centre's name" },
    { .name = "monthly", .kind = SOMA_FLAG_TEXT, .value = "AMOUNT", .required = true, .help = "the sum a month" },
    { .name = "currency", .kind = SOMA_FLAG_TEXT, .value = "CODE", .help = "USD" },
    { .name = "on-exceed", .kind = SOMA_FLAG_TEXT, .value = "deny|approve|warn", .help = "what an order meets that is too much (deny)" },
    { .name = "approver-role", .kind = SOMA_FLAG_TEXT, .value = "approver|platform-admin", .help = "who may approve" },
};
static const struct soma_column budget_columns[] = { { "NAME", "name" }, { "SCOPE", "scope" }, { "OF", "of" }, { "MONTHLY", "monthly" }, { "RUNNING", "running" }, { "IN FLIGHT", "in_flight" },
    { "LEFT", "left" }, { "", "currency" }, { "TOO MUCH", "on_exceed" } };

static const struct soma_flag quota_flags[] = {
    { .name = "scope", .kind = SOMA_FLAG_TEXT, .value = "team|environment|cost_centre|all", .required = true, .help = "whose quota it is" },
    { .name = "of", .kind = SOMA_FLAG_TEXT, .value = "NAME", .help = "the team's, environment's or cost centre's name" },
    { .name = "what", .kind = SOMA_FLAG_TEXT, .value = "services|order_monthly", .required = true, .help = "services that live, or what one order may cost a month" },
    { .name = "maximum", .kind = SOMA_FLAG_TEXT, .value = "N", .required = true, .help = "how many, or how much" },
    { .name = "currency", .kind = SOMA_FLAG_TEXT, .value = "CODE", .help = "USD" },
};
static const struct soma_column quota_columns[] = { { "NAME", "name" }, { "SCOPE", "scope" }, { "OF", "of" }, { "WHAT", "what" }, { "MAXIMUM", "maximum" }, { "", "currency" } };

#define FLAGS(table) .flags = table, .n_flags = SOMA_COUNT(table)
#define COLUMNS(table) .columns = table, .n_columns = SOMA_COUNT(table)

static const struct soma_verb verbs[] = {
    { .name = "estimate", .usage = "", .words = "", .help = "what a plan costs a month", .method = "POST", .path = "/api/v1/finops/estimates", FLAGS(estimate_flags), COLUMNS(estimate_columns) },
    { .name = "estimates show", .usage = "ORDER", .words = "order", .help = "the estimate of an order", .method = "GET", .path = "/api/v1/finops/estimates/{order}",
        COLUMNS(estimate_columns), .items = "result.items" },
    { .name = "prices list", .usage = "", .words = "", .help = "prices of the book", .method = "GET", .path = "/api/v1/finops/prices", FLAGS(price_filters), COLUMNS(price_columns) },
    { .name = "prices set", .usage = "", .words = "", .help = "set a price of your own", .method = "POST", .path = "/api/v1/finops/prices", FLAGS(price_flags) },
    { .name = "prices remove", .usage = "ID", .words = "id", .help = "remove a price of your own", .method = "DELETE", .path = "/api/v1/finops/prices/{id}" },
    { .name = "prices import", .usage = "", .words = "", .help = "take in a vendor's price list", .method = "POST", .path = "/api/v1/finops/imports", FLAGS(import_flags) },
    { .name = "imports list", .usage = "", .words = "", .help = "where prices came from", .method = "GET", .path = "/api/v1/finops/imports", COLUMNS(import_columns) },
    { .name = "imports remove", .usage = "ID", .words = "id", .help = "remove an import with its prices", .method = "DELETE", .path = "/api/v1/finops/imports/{id}" },
    { .name = "discounts list", .usage = "", .words = "", .help = "discounts", .method = "GET", .path = "/api/v1/finops/discounts", COLUMNS(discount_columns) },
    { .name = "discounts set", .usage = "NAME", .words = "name", .help = "set a discount on listed prices", .method = "PUT", .path = "/api/v1/finops/discounts/{name}", FLAGS(discount_flags) },
    { .name = "discounts remove", .usage = "NAME", .words = "name", .help = "remove a discount", .method = "DELETE", .path = "/api/v1/finops/discounts/{name}" },
    { .name = "budgets list", .usage = "", .words = "", .help = "budgets and how far they are used", .method = "GET", .path = "/api/v1/finops/budgets", COLUMNS(budget_columns) },
    { .name = "budgets set", .usage = "NAME", .words = "name", .help = "set a budget", .method = "PUT", .path = "/api/v1/finops/budgets/{name}", FLAGS(budget_flags) },
    { .name = "budgets remove", .usage = "NAME", .words = "name", .help = "remove a budget", .method = "DELETE", .path = "/api/v1/finops/budgets/{name}" },
    { .name = "quotas list", .usage = "", .words = "", .help = "quotas", .method = "GET", .path = "/api/v1/finops/quotas", COLUMNS(quota_columns) },
    { .name = "quotas set", .usage = "NAME", .words = "name", .help = "set a quota", .method = "PUT", .path = "/api/v1/finops/quotas/{name}", FLAGS(quota_flags) },
    { .name = "quotas remove", .usage = "NAME", .words = "name", .help = "remove a quota", .method = "DELETE", .path = "/api/v1/finops/quotas/{name}" },
};

static const struct soma_audit_kind audits[] = {
    { "finops.price.set", "Set a price" }, { "finops.price.remove", "Removed a price" }, { "finops.prices.import", "Imported a price list" },
    { "finops.prices.remove", "Removed an imported price list" }, { "finops.discount.set", "Set a discount" }, { "finops.discount.remove", "Removed a discount" },
    { "finops.budget.set", "Set a budget" }, { "finops.budget.remove", "Removed a budget" }, { "finops.quota.set", "Set a quota" }, { "finops.quota.remove", "Removed a quota" },
};

static int start(struct soma_call *c)
{
    return stored_book_fill(c);
}

SOMA_PLUGIN = {
    SOMA_PLUGIN_HEAD,
    .name = "finops",
    .version = "1.0.0",
    .start = start,
    .routes = routes,
    .n_routes = SOMA_COUNT(routes),
    .gates = gates,
    .n_gates = SOMA_COUNT(gates),
    .jobs = jobs,
    .n_jobs = SOMA_COUNT(jobs),
    .schedules = schedules,
    .n_schedules = SOMA_COUNT(schedules),
    .metrics = metrics,
    .n_metrics = SOMA_COUNT(metrics),
    .config = config,
    .n_config = SOMA_COUNT(config),
    .verbs = verbs,
    .n_verbs = SOMA_COUNT(verbs),
    .audits = audits,
    .n_audits = SOMA_COUNT(audits),
};
