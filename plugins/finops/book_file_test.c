#include "plugins/finops/book_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define HEAD "# source: s\n# date: 2025-01-01\nprovider,service,region,sku,term,unit,from,to,price,valid_from,valid_to\n"

static bool has(const struct book *book, const char *region, const char *sku, const char *price)
{
    struct price_list list;
    char room[DEC_TEXT];
    struct price_key key = { "aws", "ec2", region, sku, "on_demand" };
    return book->find(book->data, NULL, &key, &list) && (!price || !strcmp(dec_text(list.tiers[0].amount, 0, room), price));
}

static void test_the_shipped_book_is_whole(void **state)
{
    struct book_file *file = book_file_new();
    char why[DOC_WHY] = "";
    (void)state;
    assert_true(book_file_load_folder(file, FINOPS_PRICES, why));
    assert_true(book_file_count(file) > 90000);
    struct book book = book_file_view(file);
    assert_string_equal(book.as_of, "2025-06-30");
    assert_true(has(&book, "us-east-1", "instance/t3.medium/linux/shared", "0.0416"));
    assert_true(has(&book, "eu-west-1", "storage/gp3", "0.088"));
    assert_false(has(&book, "moon-1", "storage/gp3", NULL));
    for (size_t i = 0; i < book_file_count(file); i++) {
        const struct price *p = &book_file_row(file, i)->price;
        assert_true(*p->source && *p->date && *p->unit);
    }
    book_file_free(file);
}

static void test_everywhere_is_not_china(void **state)
{
    struct book_file *file = book_file_new();
    char why[DOC_WHY];
    const char *text = HEAD "aws,ec2,*,public-ipv4,on_demand,hours,0,,0.005,,\naws,ec2,eu-1,public-ipv4,on_demand,hours,0,,0.009,,\n";
    (void)state;
    assert_true(book_file_read(file, text, strlen(text), "t", why));
    struct book book = book_file_view(file);
    assert_true(has(&book, "us-1", "public-ipv4", "0.005"));
    assert_true(has(&book, "eu-1", "public-ipv4", "0.009"));
    assert_false(has(&book, "cn-north-1", "public-ipv4", NULL));
    assert_false(has(&book, "us-gov-west-1", "public-ipv4", NULL));
    book_file_free(file);
}

static void test_what_is_no_price_file(void **state)
{
    static const char *const wrong[][2] = { { "", "no rows" }, { "a,b\n", "the columns must be" }, { "provider,service,region,sku,term,unit,from,to,price,valid_from,valid_to\na,b,c,d,e,f,0,,1,,\n", "must begin with" },
        { HEAD "a,b,c,d,e,f,0,,1,\n", "11 columns" }, { HEAD "a,b,c,d,e,f,0,,1,,,\n", "11 columns" }, { HEAD "a,b,c,,e,f,0,,1,,\n", "must not be empty" }, { HEAD "a,b,c,d,e,f,0,,-1,,\n", "0 or more" },
        { HEAD "a,b,c,d,e,f,0,,x,,\n", "0 or more" }, { HEAD "a,b,c,d,e,f,5,5,1,,\n", "above `from`" }, { HEAD "a,b,c,d,e,f,0,,1,2025,\n", "are dates" } };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct book_file *file = book_file_new();
        char why[DOC_WHY] = "";
        assert_false(book_file_read(file, wrong[i][0], strlen(wrong[i][0]), "t", why));
        assert_non_null(strstr(why, wrong[i][1]));
        assert_int_equal(book_file_count(file), 0);
        book_file_free(file);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_shipped_book_is_whole),
        cmocka_unit_test(test_everywhere_is_not_china),
        cmocka_unit_test(test_what_is_no_price_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
