#include "plugins/finops/import.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char *lines[40];
static size_t count;

static bool note(void *data, const struct import_price *p)
{
    char amount[DEC_TEXT], from[DEC_TEXT], to[DEC_TEXT], line[1000];
    (void)data;
    snprintf(line, sizeof line, "%s %s %s %s %s %s %s-%s %s %s %.10s", p->provider, p->service, p->region, p->sku, p->term, p->unit, dec_text(p->from, 0, from), dec_text(p->to, 0, to),
        dec_text(p->amount, 0, amount), p->currency, p->valid_from);
    lines[count++] = strdup(line);
    return true;
}

static int forget(void **state)
{
    (void)state;
    while (count)
        free(lines[--count]);
    return 0;
}

static struct import_result read_list(const char *text, size_t len, const char *format, const char *published)
{
    char why[DOC_WHY] = "";
    struct import_result result;
    struct import_file *f = import_open(text, len, why);
    assert_non_null(f);
    assert_string_equal(import_head(f)->format, format);
    if (published)
        assert_string_equal(import_head(f)->published, published);
    assert_true(import_read(f, note, NULL, &result, why));
    import_close(f);
    return result;
}

static void test_an_offer_file_of_aws(void **state)
{
    static const char text[] =
        "{\"formatVersion\":\"v1.0\",\"offerCode\":\"AmazonEC2\",\"publicationDate\":\"2024-05-06T07:08:09Z\",\"products\":{"
        "\"A\":{\"productFamily\":\"Compute Instance\",\"attributes\":{\"regionCode\":\"eu-north-1\",\"instanceType\":\"t3.small\",\"operatingSystem\":\"Linux\",\"tenancy\":\"Shared\",\"preInstalledSw\":\"NA\","
        "\"capacitystatus\":\"Used\",\"licenseModel\":\"No License required\",\"usagetype\":\"EUN1-BoxUsage:t3.small\"}},"
        "\"B\":{\"productFamily\":\"System Operation\",\"attributes\":{\"regionCode\":\"eu-north-1\",\"usagetype\":\"EUN1-EBS:VolumeP-Throughput.gp3\"}},"
        "\"C\":{\"productFamily\":\"Compute Instance\",\"attributes\":{\"regionCode\":\"eu-north-1\",\"instanceType\":\"t3.small\",\"operatingSystem\":\"Linux\",\"tenancy\":\"Shared\",\"preInstalledSw\":\"SQL Std\",\"capacitystatus\":\"Used\"}}},"
        "\"terms\":{\"OnDemand\":{\"A\":{\"A.x\":{\"effectiveDate\":\"2024-05-01T00:00:00Z\",\"priceDimensions\":{\"d\":{\"unit\":\"Hrs\",\"beginRange\":\"0\",\"endRange\":\"Inf\",\"pricePerUnit\":{\"USD\":\"0.0216000000\"}}}}},"
        "\"B\":{\"B.x\":{\"effectiveDate\":\"2024-05-01T00:00:00Z\",\"priceDimensions\":{\"d\":{\"unit\":\"GiBps-mo\",\"beginRange\":\"0\",\"endRange\":\"Inf\",\"pricePerUnit\":{\"USD\":\"40.96\"}}}}}},"
        "\"Reserved\":{\"A\":{\"A.y\":{\"effectiveDate\":\"2024-05-01T00:00:00Z\",\"termAttributes\":{\"LeaseContractLength\":\"1yr\",\"PurchaseOption\":\"Partial Upfront\",\"OfferingClass\":\"convertible\"},"
        "\"priceDimensions\":{\"h\":{\"unit\":\"Hrs\",\"beginRange\":\"0\",\"endRange\":\"Inf\",\"pricePerUnit\":{\"USD\":\"0.0074\"}},\"q\":{\"unit\":\"Quantity\",\"pricePerUnit\":{\"USD\":\"65\"}}}}}}}}";
    (void)state;
    struct import_result r = read_list(text, sizeof text - 1, "aws-json", "2024-05-06");
    assert_int_equal(r.taken, 3);
    assert_int_equal(r.skipped, 2); // the one with SQL Server, the sum paid once
    assert_string_equal(lines[0], "aws ec2 eu-north-1 instance/t3.small/linux/shared on_demand hours 0- 0.0216 USD 2024-05-01");
    assert_string_equal(lines[1], "aws ec2 eu-north-1 instance/t3.small/linux/shared reserved/convertible/1_year/partial_upfront hours 0- 0.0074 USD 2024-05-01");
    assert_string_equal(lines[2], "aws ec2 eu-north-1 throughput/gp3 on_demand MiBps-month 0- 0.04 USD 2024-05-01");
}

static void test_a_csv_of_aws(void **state)
{
    static const char text[] = "\"FormatVersion\",\"v1.0\"\r\n\"Disclaimer\",\"a \"\"quoted\"\" word, and a comma\"\r\n\"Publication Date\",\"2020-10-19T20:48:02Z\"\r\n\"OfferCode\",\"AmazonEC2\"\r\n"
                               "\"SKU\",\"TermType\",\"EffectiveDate\",\"StartingRange\",\"EndingRange\",\"Unit\",\"PricePerUnit\",\"Currency\",\"Product Family\",\"Location\",\"usageType\",\"Volume API Name\"\r\n"
                               "\"X\",\"OnDemand\",\"2020-10-01\",\"0\",\"Inf\",\"GB-Mo\",\"0.0530000000\",\"USD\",\"Storage\",\"EU (Paris)\",\"EUW3-EBS:VolumeUsage.st1\",\"st1\"\r\n"
                               "\"Y\",\"OnDemand\",\"2020-10-01\",\"0\",\"Inf\",\"GB-Mo\",\"0.1\",\"USD\",\"Storage\",\"The Moon\",\"MOO1-EBS:VolumeUsage.st1\",\"st1\"\r\n";
    (void)state;
    struct import_result r = read_list(text, sizeof text - 1, "aws-csv", "2020-10-19");
    assert_int_equal(r.taken, 1);
    assert_int_equal(r.skipped, 1);
    assert_string_equal(lines[0], "aws ec2 eu-west-3 storage/st1 on_demand GB-month 0- 0.053 USD 2020-10-01");
}

static void test_retail_prices_of_azure(void **state)
{
    static const char text[] =
        "{\"Items\":[{\"currencyCode\":\"EUR\",\"tierMinimumUnits\":0,\"retailPrice\":0.808,\"armRegionName\":\"francecentral\",\"effectiveStartDate\":\"2021-11-01T00:00:00Z\",\"meterName\":\"D16as v5\","
        "\"productName\":\"Virtual Machines Dasv5 Series Windows\",\"skuName\":\"D16as v5\",\"serviceName\":\"Virtual Machines\",\"unitOfMeasure\":\"1 Hour\",\"type\":\"Consumption\",\"armSkuName\":\"Standard_D16as_v5\"},"
        "{\"retailPrice\":0.1,\"armRegionName\":\"francecentral\",\"meterName\":\"D16as v5 Spot\",\"productName\":\"Virtual Machines Dasv5 Series\",\"skuName\":\"D16as v5 Spot\",\"serviceName\":\"Virtual Machines\","
        "\"unitOfMeasure\":\"1 Hour\",\"type\":\"Consumption\",\"armSkuName\":\"Standard_D16as_v5\",\"effectiveStartDate\":\"2021-11-01T00:00:00Z\",\"tierMinimumUnits\":0},"
        "{\"retailPrice\":0.2,\"serviceName\":\"Virtual Machines\",\"armSkuName\":\"x\",\"type\":\"DevTestConsumption\"},"
        "{\"retailPrice\":0.018,\"armRegionName\":\"francecentral\",\"meterName\":\"LRS Data Stored\",\"productName\":\"Blob Storage\",\"skuName\":\"Hot LRS\",\"serviceName\":\"Storage\",\"unitOfMeasure\":\"1 GB/Month\","
        "\"type\":\"Consumption\",\"tierMinimumUnits\":51200,\"effectiveStartDate\":\"2021-11-01T00:00:00Z\",\"currencyCode\":\"USD\"}]}";
    (void)state;
    struct import_result r = read_list(text, sizeof text - 1, "azure", "2021-11-01");
    assert_int_equal(r.taken, 3);
    assert_int_equal(r.skipped, 1);
    assert_string_equal(lines[0], "azure compute francecentral instance/Standard_D16as_v5/windows/shared on_demand hours 0- 0.808 EUR 2021-11-01");
    assert_string_equal(lines[1], "azure compute francecentral instance/Standard_D16as_v5/linux/shared spot hours 0- 0.1 USD 2021-11-01");
    assert_string_equal(lines[2], "azure Storage francecentral meter/Blob Storage/Hot LRS/LRS Data Stored on_demand 1 GB/Month 51200- 0.018 USD 2021-11-01");
}

static void test_soma_s_own_format(void **state)
{
    static const char text[] = "# source: ours\n# date: 2025-01-01\nprovider,service,region,sku,term,unit,from,to,price,valid_from,valid_to\naws,ec2,*,public-ipv4,on_demand,hours,0,,0.004,,\n";
    (void)state;
    read_list(text, sizeof text - 1, "soma", NULL);
    assert_string_equal(lines[0], "aws ec2 * public-ipv4 on_demand hours 0- 0.004 USD ");
}

static void test_what_is_no_price_list(void **state)
{
    static const char *const wrong[][2] = { { "", "none of" }, { "hello", "none of" }, { "{", "line" }, { "{\"a\":1}", "neither" }, { "\x1f\x8b\x08 not gzip", "damaged" } };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char why[DOC_WHY] = "";
        assert_null(import_open(wrong[i][0], strlen(wrong[i][0]), why));
        assert_non_null(strstr(why, wrong[i][1]));
    }
    static const char untitled[] = "\"FormatVersion\",\"v1.0\"\n\"a\",\"b\"\n";
    char why[DOC_WHY] = "";
    struct import_result result;
    struct import_file *f = import_open(untitled, sizeof untitled - 1, why);
    assert_non_null(f);
    assert_false(import_read(f, note, NULL, &result, why));
    assert_non_null(strstr(why, "titles"));
    import_close(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_an_offer_file_of_aws, forget),
        cmocka_unit_test_teardown(test_a_csv_of_aws, forget),
        cmocka_unit_test_teardown(test_retail_prices_of_azure, forget),
        cmocka_unit_test_teardown(test_soma_s_own_format, forget),
        cmocka_unit_test_teardown(test_what_is_no_price_list, forget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
