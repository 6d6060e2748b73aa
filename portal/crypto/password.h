/* Passwords: argon2id, 19 MiB, two passes, one lane; stored as a PHC string. At most two are computed at once in a process: a third gets
 * ERR_RATE at once, so that sign-in can neither fill the memory nor starve other requests. Thread: any. */
#pragma once
#include "portal/core/err.h"

#define PASSWORD_PHC_MAX 128
#define PASSWORD_MIN 8
#define PASSWORD_MAX 256

/* ERR_INVALID with the field `pointer` when the password is too short or too long. */
int password_check(const char *password, const char *pointer, struct err *e);
int password_hash(const char *password, char ret_phc[PASSWORD_PHC_MAX], struct err *e);
/* 0 when it fits; ERR_UNAUTHENTICATED otherwise; ERR_RATE. phc NULL (nobody of that name): takes as long as a wrong password, then ERR_UNAUTHENTICATED. */
int password_verify(const char *phc, const char *password, struct err *e);
