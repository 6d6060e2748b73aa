/* What Prometheus takes as a rule file. It is strict, and one wrong key would make it refuse the file of all services. */
#include "portal/json/json.h"
#include "portal/json/schema.h"
#include "portal/monitoring/monitoring_private.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_OF(...) #__VA_ARGS__

static const char text[] = TEXT_OF(
{
  "type": "object",
  "additionalProperties": false,
  "required": ["groups"],
  "properties": {
    "groups": {
      "type": "array",
      "minItems": 1,
      "maxItems": 50,
      "items": {
        "type": "object",
        "additionalProperties": false,
        "required": ["name", "rules"],
        "properties": {
          "name": { "type": "string", "minLength": 1, "maxLength": 200 },
          "interval": { "$ref": "#/$defs/duration" },
          "limit": { "type": "integer", "minimum": 0 },
          "rules": { "type": "array", "minItems": 1, "maxItems": 200, "items": { "$ref": "#/$defs/rule" } }
        }
      }
    }
  },
  "$defs": {
    "duration": { "type": "string", "pattern": "^(0|(?=[0-9])([0-9]+y)?([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?)$" },
    "labels": {
      "type": "object",
      "maxProperties": 30,
      "propertyNames": { "pattern": "^[a-zA-Z_][a-zA-Z0-9_]*$", "not": { "pattern": "^__" } },
      "additionalProperties": { "type": "string", "maxLength": 2000 }
    },
    "annotations": {
      "type": "object",
      "maxProperties": 30,
      "propertyNames": { "pattern": "^[a-zA-Z_][a-zA-Z0-9_]*$" },
      "additionalProperties": { "type": "string", "maxLength": 4000 }
    },
    "rule": {
      "type": "object",
      "additionalProperties": false,
      "required": ["expr"],
      "properties": {
        "alert": { "type": "string", "minLength": 1, "maxLength": 200 },
        "record": { "type": "string", "pattern": "^[a-zA-Z_:][a-zA-Z0-9_:]*$" },
        "expr": { "type": "string", "minLength": 1, "maxLength": 8000 },
        "for": { "$ref": "#/$defs/duration" },
        "keep_firing_for": { "$ref": "#/$defs/duration" },
        "labels": { "$ref": "#/$defs/labels" },
        "annotations": { "$ref": "#/$defs/annotations" }
      },
      "if": { "required": ["record"] },
      "then": { "properties": { "alert": false, "for": false, "keep_firing_for": false, "annotations": false } },
      "else": { "required": ["alert"] }
    }
  }
}
);

static struct schema *schema;

static void compile(void)
{
    json_t *doc = NULL;
    if (json_read(text, sizeof text - 1, 0, &doc, NULL) || schema_compile(doc, &(struct schema_options){.strict = true}, &schema, NULL))
        abort(); /* the text above is wrong, which the tests see */
    json_decref(doc);
}

/* Kept for the life of the process: reachable, so that leak checkers are content. */
const struct schema *monitoring_rules_schema(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, compile);
    return schema;
}

const char *monitoring_expression_problem(const char *p)
{
    char open[100];
    size_t depth = 0;
    for (; *p; p++) {
        if (*p == '#') {
            p += strcspn(p, "\n");
            if (!*p)
                break;
        } else if (*p == '"' || *p == '\'' || *p == '`') {
            char quote = *p++;
            while (*p && *p != quote)
                p += *p == '\\' && quote != '`' && p[1] ? 2 : 1;
            if (!*p)
                return "has a quote that is not closed";
        } else if (strchr("([{", *p)) {
            if (depth == sizeof open)
                return "is nested too deep";
            open[depth++] = *p == '(' ? ')' : *p == '[' ? ']' : '}';
        } else if (strchr(")]}", *p) && (depth == 0 || open[--depth] != *p)) {
            return "closes a bracket that is not open";
        }
    }
    return depth ? "has a bracket that is not closed" : NULL;
}
