/* The JSON Schema of manifests. It stands here as it is, JSON: the preprocessor makes the text. Its defaults are filled in when a version is published. */
#include "portal/json/json.h"
#include "portal/templates/check.h"
#include <pthread.h>

#define TEXT_OF(...) #__VA_ARGS__

static const char text[] = TEXT_OF(
{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "title": "Golden path",
  "type": "object",
  "additionalProperties": false,
  "required": ["apiVersion", "kind", "metadata", "spec"],
  "properties": {
    "apiVersion": { "const": "soma/v1" },
    "kind": { "const": "Template" },
    "metadata": {
      "type": "object",
      "additionalProperties": false,
      "required": ["name"],
      "properties": {
        "name": { "$ref": "#/$defs/name", "not": { "const": "repositories" } },
        "namespace": { "const": "default" },
        "title": { "type": "string", "minLength": 1, "maxLength": 120 },
        "description": { "type": "string", "maxLength": 4000 },
        "tags": { "$ref": "#/$defs/tags" },
        "labels": { "$ref": "#/$defs/texts" },
        "annotations": { "$ref": "#/$defs/texts" },
        "links": { "$ref": "#/$defs/links" }
      }
    },
    "spec": {
      "type": "object",
      "additionalProperties": false,
      "required": ["owner", "type"],
      "properties": {
        "owner": { "$ref": "#/$defs/reference" },
        "type": { "$ref": "#/$defs/word" },
        "lifecycle": { "$ref": "#/$defs/word" },
        "engine": {
          "type": ["string", "object"],
          "minLength": 1,
          "maxLength": 200,
          "minProperties": 1,
          "additionalProperties": false,
          "properties": {
            "tofu": { "type": "string", "minLength": 1, "maxLength": 200 },
            "terraform": { "type": "string", "minLength": 1, "maxLength": 200 }
          }
        },
        "module": { "type": "string", "minLength": 1, "maxLength": 200, "default": "." },
        "environments": { "type": "array", "minItems": 1, "maxItems": 100, "uniqueItems": true, "items": { "$ref": "#/$defs/name" } },
        "typicalSeconds": { "type": "integer", "minimum": 1, "maximum": 86400 },
        "name": {
          "type": "object",
          "properties": { "type": { "const": "string" }, "description": { "type": "string", "minLength": 1, "maxLength": 200 } }
        },
        "parameters": {
          "type": "object",
          "required": ["type"],
          "default": { "type": "object", "additionalProperties": false },
          "properties": {
            "type": { "const": "object" },
            "properties": { "type": "object", "maxProperties": 100 },
            "required": { "type": "array", "items": { "type": "string" } },
            "additionalProperties": { "const": false },
            "unevaluatedProperties": { "const": false }
          }
        },
        "generate": {
          "type": "object",
          "maxProperties": 20,
          "propertyNames": { "$ref": "#/$defs/variable" },
          "additionalProperties": {
            "type": "object",
            "additionalProperties": false,
            "required": ["type"],
            "properties": {
              "type": { "enum": ["password"] },
              "length": { "type": "integer", "minimum": 16, "maximum": 128, "default": 32 },
              "special": { "type": "boolean", "default": false },
              "description": { "type": "string", "maxLength": 1000 }
            }
          }
        },
        "outputs": {
          "type": "object",
          "maxProperties": 100,
          "propertyNames": { "$ref": "#/$defs/variable" },
          "additionalProperties": {
            "type": "object",
            "additionalProperties": false,
            "properties": {
              "title": { "type": "string", "minLength": 1, "maxLength": 120 },
              "description": { "type": "string", "maxLength": 1000 },
              "sensitive": { "type": "boolean", "default": false }
            }
          }
        },
        "destroy": {
          "type": "object",
          "additionalProperties": false,
          "properties": { "endSessions": { "enum": ["postgresql"] } }
        },
        "monitoring": {
          "type": "object",
          "additionalProperties": false,
          "properties": {
            "exporter": { "$ref": "#/$defs/word" },
            "rules": { "type": "string", "minLength": 1, "maxLength": 200 },
            "dashboard": { "type": "string", "minLength": 1, "maxLength": 200 },
            "labels": {
              "type": "object",
              "maxProperties": 20,
              "propertyNames": { "pattern": "^[a-zA-Z_][a-zA-Z0-9_]*$", "not": { "pattern": "^__" } },
              "additionalProperties": { "type": "string", "maxLength": 500 }
            }
          }
        },
        "repository": {
          "type": "object",
          "additionalProperties": false,
          "required": ["skeleton"],
          "properties": {
            "skeleton": { "type": "string", "minLength": 1, "maxLength": 200 },
            "name": { "type": "string", "minLength": 1, "maxLength": 200, "default": "${name}" },
            "branch": { "type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$", "not": { "pattern": "[.][.]|[.]$|[.]lock$" }, "default": "main" },
            "values": {
              "type": "object",
              "maxProperties": 50,
              "default": {},
              "propertyNames": { "pattern": "^[a-zA-Z][a-zA-Z0-9_]{0,62}$" },
              "additionalProperties": { "type": "string", "maxLength": 1000 }
            }
          }
        },
        "catalog": {
          "type": "object",
          "additionalProperties": false,
          "default": {},
          "properties": {
            "kind": { "enum": ["Resource", "Component"], "default": "Resource" },
            "type": { "$ref": "#/$defs/word" },
            "title": { "type": "string", "minLength": 1, "maxLength": 200 },
            "description": { "type": "string", "maxLength": 4000 },
            "lifecycle": { "$ref": "#/$defs/word" },
            "system": { "$ref": "#/$defs/reference" },
            "tags": { "$ref": "#/$defs/tags" },
            "links": { "$ref": "#/$defs/links" },
            "relations": {
              "type": "array",
              "maxItems": 50,
              "items": {
                "type": "object",
                "additionalProperties": false,
                "required": ["type", "target"],
                "properties": {
                  "type": { "enum": ["dependsOn", "partOf", "providesApi", "consumesApi"] },
                  "target": { "type": "string", "minLength": 1, "maxLength": 300, "pattern": "^([a-zA-Z]+:)?([a-z0-9-]+/)?([A-Za-z0-9_.${}-]+)$" }
                }
              }
            },
            "endpoints": {
              "type": "array",
              "maxItems": 50,
              "items": {
                "type": "object",
                "additionalProperties": false,
                "required": ["title", "url"],
                "properties": {
                  "title": { "type": "string", "minLength": 1, "maxLength": 120 },
                  "url": { "type": "string", "minLength": 1, "maxLength": 1000 }
                }
              }
            }
          }
        }
      }
    }
  },
  "$defs": {
    "name": { "type": "string", "pattern": "^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$" },
    "word": { "type": "string", "pattern": "^[a-z0-9]([a-z0-9_.-]{0,62}[a-z0-9])?$" },
    "variable": { "type": "string", "maxLength": 100, "pattern": "^[a-zA-Z_][a-zA-Z0-9_-]*$" },
    "reference": { "type": "string", "maxLength": 300, "pattern": "^([a-zA-Z]+:)?([a-z0-9-]+/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$" },
    "texts": { "type": "object", "maxProperties": 100, "additionalProperties": { "type": "string", "maxLength": 4000 } },
    "tags": {
      "type": "array",
      "maxItems": 50,
      "uniqueItems": true,
      "items": { "type": "string", "pattern": "^[a-z0-9]([a-z0-9:+#.-]{0,61}[a-z0-9+#])?$" }
    },
    "links": {
      "type": "array",
      "maxItems": 50,
      "items": {
        "type": "object",
        "additionalProperties": false,
        "required": ["url"],
        "properties": {
          "url": { "type": "string", "minLength": 1, "maxLength": 1000 },
          "title": { "type": "string", "maxLength": 120 },
          "icon": { "$ref": "#/$defs/word" },
          "type": { "$ref": "#/$defs/word" }
        }
      }
    }
  }
}
);

static json_t *schema;

static void read_schema(void)
{
    json_read(text, sizeof(text) - 1, 0, &schema, NULL);
}

/* Kept for the life of the process: reachable, so that leak checkers are content. */
const json_t *manifest_schema(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, read_schema);
    return schema;
}
