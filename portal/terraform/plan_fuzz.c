/* Any bytes as a plan: refused with words, or read into a masked document that is JSON, is read again with the same counts, and holds neither the
 * secret that was named nor the value of a sensitive variable. */
#include "portal/terraform/terraform_private.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

#define SECRET "hunter-22"
static const char *const secrets[] = {SECRET, NULL};

static void check_change(const struct tf_change *c)
{
    if (!c->address || !c->type || !c->reason || !c->before_json || strstr(c->before_json, SECRET) || strstr(c->after_json, SECRET))
        abort();
    for (size_t i = 0; i < c->n_replace_paths; i++)
        if (!c->replace_paths[i])
            abort();
    if (!tf_action_name(c->action))
        abort();
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    ARENA_AUTO a = arena_new();
    struct tf_plan p, again;
    struct err e = ERR_INIT;
    if (tf_plan_read(a, (const char *)data, size, secrets, &p, &e)) {
        if (e.code != ERR_INVALID || !e.msg[0])
            abort();
        return 0;
    }
    if (strlen(p.masked) != p.masked_len || strstr(p.masked, SECRET))
        abort();
    for (size_t i = 0; i < p.n_changes; i++)
        check_change(&p.changes[i]);
    for (size_t i = 0; i < p.n_drift; i++)
        check_change(&p.drift[i]);
    if (tf_plan_read(a, p.masked, p.masked_len, secrets, &again, &e))
        abort();
    if (again.add != p.add || again.change != p.change || again.destroy != p.destroy || again.replace != p.replace || again.n_changes != p.n_changes)
        abort();
    return 0;
}
