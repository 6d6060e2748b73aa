/* [schema, value]: both from strangers. Compiling and checking end, and the check that only says yes or no agrees with the one that explains. */
#include "portal/json/json.h"
#include "portal/json/schema.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void try_schema(const json_t *doc, const json_t *value, const struct schema_options *o)
{
    struct err e = ERR_INIT;
    SCHEMA_AUTO s = NULL;
    json_t *filled = NULL;
    if (schema_compile(doc, o, &s, &e)) {
        if (e.code != ERR_INVALID || e.n_fields == 0)
            abort();
        return;
    }
    int loud = schema_validate(s, value, "/v", &e), quiet = schema_validate(s, value, "/v", NULL);
    if (loud && !e.msg[0])
        abort();
    if ((loud == ERR_INVALID && e.n_fields == 0) || (loud != quiet && loud != ERR_TOO_LARGE && quiet != ERR_TOO_LARGE))
        abort();
    if (schema_fill_defaults(s, value, &filled, &e) == 0)
        json_decref(filled);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static const struct schema_options strict = {.strict = true, .assert_formats = true};
    json_t *pair;
    if (json_read(data, size, 0, &pair, NULL))
        return 0;
    const json_t *doc = json_array_get(pair, 0), *value = json_array_get(pair, 1);
    if (doc && value) {
        try_schema(doc, value, NULL);
        try_schema(doc, value, &strict);
    }
    json_decref(pair);
    return 0;
}
