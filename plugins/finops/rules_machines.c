// Virtual machines of Azure and Google Cloud: the hours of the machine itself. Their disks have no rule yet and are said to be unpriced.
#include "plugins/finops/rules_private.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

// "France Central" -> francecentral
static const char *azure_region(const struct rule_context *c)
{
    const char *location = rule_text(c, "location");
    char text[64];
    size_t len = 0;
    for (; location && *location && len + 1 < sizeof text; location++)
        if (*location != ' ')
            text[len++] = (char)tolower((unsigned char)*location);
    text[len] = 0;
    return len ? rule_format(c, "%s", text) : NULL;
}

void rule_azure_vm(struct rule_context *c)
{
    const char *size = rule_text(c, "size");
    if (!size)
        size = rule_text(c, "vm_size");
    if (!size) {
        rule_need(c, "size");
        return;
    }
    bool windows = strstr(c->r->type, "windows") || rule_length(c, "os_profile_windows_config");
    bool spot = !strcmp(rule_text_or(c, "priority", "Regular"), "Spot");
    rule_add(c, &(struct rule_line){ .component = rule_format(c, "Instance usage (%s, %s, %s)", windows ? "windows" : "linux", spot ? "spot" : "pay as you go", size),
        .service = "compute", .sku = rule_format(c, "instance/%s/%s/shared", size, windows ? "windows" : "linux"), .term = spot ? "spot" : NULL, .region = azure_region(c),
        .quantity = rule_usage_or(c, "monthly_hrs", 730) });
    rule_unpriced(c, "disks of virtual machines have no rule yet");
}

// europe-west1-b -> europe-west1
static const char *google_region(const struct rule_context *c)
{
    const char *zone = rule_text(c, "zone"), *dash = zone ? strrchr(zone, '-') : NULL;
    return dash ? rule_format(c, "%.*s", (int)(dash - zone), zone) : NULL;
}

void rule_google_vm(struct rule_context *c)
{
    const char *type = rule_need(c, "machine_type");
    if (!type)
        return;
    bool spot = rule_true(c, "scheduling.0.preemptible") || !strcmp(rule_text_or(c, "scheduling.0.provisioning_model", ""), "SPOT");
    rule_add(c, &(struct rule_line){ .component = rule_format(c, "Instance usage (linux, %s, %s)", spot ? "spot" : "on-demand", type), .service = "compute",
        .sku = rule_format(c, "instance/%s/linux/shared", type), .term = spot ? "spot" : NULL, .region = google_region(c), .quantity = rule_usage_or(c, "monthly_hrs", 730) });
    rule_unpriced(c, "disks of virtual machines have no rule yet");
}
