/* Ids: UUID version 7 (RFC 9562) in text, sortable by time. Thread: any. */
#pragma once
#include <stdbool.h>

#define ID_LEN 36

void id_new(char out[ID_LEN + 1]);
bool id_valid(const char *s);                /* any UUID in lower-case text form */
/* The name rule of the installation: ^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$ */
bool id_name_valid(const char *s);
