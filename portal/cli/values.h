/* Parameters of an order from the command line: `--set key=text` becomes a value of the type that the golden path's schema asks for.
 * Keys have dots for members ("backup.days"); a property whose own name has dots wins. Thread: any. */
#pragma once
#include "portal/core/err.h"
#include <jansson.h>

/* Sets one key=text. `schema` is the JSON Schema of the parameters; NULL: unknown, then everything is text. A list takes items one by one
 * (`--set tags=a --set tags=b`) or as JSON. A text that is not of the type: ERR_INVALID with the field. Unknown keys are left to the server. */
int values_set(const json_t *schema, json_t *parameters, const char *assignment, struct err *e);
/* The same with JSON behind the '='. */
int values_set_json(const json_t *schema, json_t *parameters, const char *assignment, struct err *e);
/* Merges an object read from a YAML or JSON file ("-": standard input) into `parameters`. */
int values_load(const char *path, json_t *parameters, struct err *e);
