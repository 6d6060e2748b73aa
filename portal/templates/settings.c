/* What the process was told at start. */
#include "portal/templates/store.h"
#include <stdlib.h>
#include <string.h>

static struct templates_options settings;

const struct config_key templates_config[] = {
    {.name = "templates_refresh_seconds", .type = CONFIG_INT, .fallback = "60", .min = 0, .max = 86400, .help = "how often each template repository is looked at; 0: on demand and by webhook only"},
    {.name = "templates_fetch_seconds", .type = CONFIG_INT, .fallback = "120", .min = 1, .max = 3600, .help = "how long one look at a template repository may take"},
    {.name = "templates_fetch_mib", .type = CONFIG_INT, .fallback = "256", .min = 1, .max = 4096, .help = "how much one fetch of a template repository may receive, in MiB"},
    {0},
};

const struct templates_options *templates_settings(void)
{
    return &settings;
}

void templates_configure(const struct templates_options *o)
{
    free((char *)settings.data_dir);
    settings = *o;
    settings.data_dir = o->data_dir ? strdup(o->data_dir) : NULL;
    if (settings.fetch_ms <= 0)
        settings.fetch_ms = 120000;
    if (settings.fetch_bytes <= 0)
        settings.fetch_bytes = 256 << 20;
    /* The schedule looks often enough that a repository waits at most half a turn too long. */
    int64_t every = settings.refresh_ms / 2;
    templates_jobs[1].every_ms = settings.refresh_ms <= 0 ? 0 : every < 1000 ? 1000 : every > 30000 ? 30000 : every;
    repositories_register();
}

void templates_set_db(struct db *d)
{
    templates_configure(&(struct templates_options){.db = d});
}
