// NAT gateways, load balancers, addresses, Route 53. Prices: aws.amazon.com/vpc/pricing, /elasticloadbalancing/pricing, /route53/pricing.
#include "plugins/finops/rules_private.h"

#include <string.h>

static void add(struct rule_context *c, const char *service, const char *component, const char *sku, struct dec quantity, const char *needs)
{
    rule_add(c, &(struct rule_line){ .component = component, .service = service, .sku = sku, .quantity = quantity, .needs = needs });
}

void rule_aws_nat_gateway(struct rule_context *c)
{
    add(c, "ec2", "NAT gateway", "nat/hours", dec_int(730), NULL);
    add(c, "ec2", "Data processed", "nat/gb", rule_usage(c, "monthly_data_processed_gb"), "monthly_data_processed_gb");
}

void rule_aws_eip(struct rule_context *c) { add(c, "ec2", "Public IPv4 address", "public-ipv4", dec_int(730), NULL); }

void rule_aws_elb(struct rule_context *c)
{
    add(c, "elb", "Classic load balancer", "classic/hours", dec_int(730), NULL);
    add(c, "elb", "Data processed", "classic/gb", rule_usage(c, "monthly_data_processed_gb"), "monthly_data_processed_gb");
}

// Capacity units in a month's hours: the dimension that needs most. aws.amazon.com/elasticloadbalancing/pricing. A unit moves 1 GB an hour, so a month's gigabytes are
// its units as they are. New connections are a number for an hour, active ones at any minute.
static struct dec capacity_units(const struct rule_context *c, bool application)
{
    struct dec moved = rule_usage(c, "processed_bytes_gb"), fresh = rule_usage(c, "new_connections"), active = rule_usage(c, "active_connections");
    bool told = !dec_is_none(moved) || !dec_is_none(fresh) || !dec_is_none(active);
    struct dec units = rule_usage_or(c, "processed_bytes_gb", 0);
    units = dec_max(units, dec_div(rule_hours(rule_usage_or(c, "new_connections", 0)), dec_int((application ? 25 : 800) * 3600LL)));
    units = dec_max(units, dec_div(rule_hours(rule_usage_or(c, "active_connections", 0)), dec_int(application ? 3000 : 100000)));
    if (application)
        units = dec_max(units, dec_div(rule_hours(rule_usage_or(c, "rule_evaluations", 0)), dec_int(1000)));
    return told ? units : dec_none();
}

void rule_aws_lb(struct rule_context *c)
{
    const char *type = rule_text_or(c, "load_balancer_type", "application");
    bool application = !strcmp(type, "application"), network = !strcmp(type, "network");
    const char *kind = application ? "alb" : network ? "nlb" : "gwlb";
    const char *name = application ? "Application load balancer" : network ? "Network load balancer" : "Gateway load balancer";
    add(c, "elb", name, rule_format(c, "%s/hours", kind), dec_int(730), NULL);
    add(c, "elb", "Capacity units", rule_format(c, "%s/capacity-units", kind), capacity_units(c, application),
        "processed_bytes_gb, new_connections and active_connections");
}

static void add_global(struct rule_context *c, const char *component, const char *sku, struct dec quantity, const char *needs)
{
    rule_add(c, &(struct rule_line){ .component = component, .service = "route53", .sku = sku, .region = "global", .quantity = quantity, .needs = needs });
}

void rule_aws_route53_zone(struct rule_context *c) { add_global(c, "Hosted zone", "zone", dec_int(1), NULL); }

void rule_aws_route53_record(struct rule_context *c)
{
    if (rule_length(c, "alias"))
        return; // queries for an alias to a resource of AWS cost nothing
    struct dec latency = rule_usage(c, "monthly_latency_based_queries"), geo = rule_usage(c, "monthly_geo_queries");
    bool by_latency = rule_length(c, "latency_routing_policy"), by_place = rule_length(c, "geolocation_routing_policy");
    struct dec standard = rule_usage(c, "monthly_standard_queries");
    if (!dec_is_none(standard) || (!by_latency && !by_place))
        add_global(c, "Standard queries", "queries/standard", standard, "monthly_standard_queries");
    if (!dec_is_none(latency) || by_latency)
        add_global(c, "Latency based routing queries", "queries/latency", latency, "monthly_latency_based_queries");
    if (!dec_is_none(geo) || by_place)
        add_global(c, "Geo DNS queries", "queries/geo", geo, "monthly_geo_queries");
}
