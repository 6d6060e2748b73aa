/* Any bytes: read or refused within the limits; what was read is written as YAML that reads back the same, and every value has a place. */
#include "portal/json/json.h"
#include "portal/json/yaml.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static const struct yaml_limits limits = {.bytes = 65536, .nodes = 5000};
    struct err e = ERR_INIT;
    ARENA_AUTO a = arena_new();
    BUF_AUTO out = BUF_INIT;
    struct yaml_marks *marks;
    json_t *v, *again;
    int line, column;
    if (yaml_read((const char *)data, size, "f.yaml", &limits, a, &v, &marks, &e)) {
        if (!e.msg[0])
            abort();
        return 0;
    }
    const char *key;
    json_t *value;
    json_object_foreach(v, key, value) {
        BUF_AUTO pointer = BUF_INIT;
        json_pointer_add(&pointer, key);
        if (pointer.len < 500 && !yaml_marks_find(marks, buf_cstr(&pointer), &line, &column))
            abort();
    }
    yaml_write(v, &out);
    if (yaml_read(out.data, out.len, NULL, &(struct yaml_limits){.bytes = SIZE_MAX, .nodes = 20000}, NULL, &again, NULL, &e))
        abort();
    if (!json_equal(v, again))
        abort();
    json_decref(v);
    json_decref(again);
    return 0;
}
