/* SPDX-License-Identifier: MIT */
/* test_base64url - one form for each value, both ways; every other is refused */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "libntmcrypto/ntmcrypto.h"

/* RFC 4648, 10, and the two digits that differ from base64 */
static const struct {
	const char *data, *text;
	size_t len;
} rows[] = {
	{"", "", 0},
	{"f", "Zg", 1},
	{"fo", "Zm8", 2},
	{"foo", "Zm9v", 3},
	{"foob", "Zm9vYg", 4},
	{"fooba", "Zm9vYmE", 5},
	{"foobar", "Zm9vYmFy", 6},
	{"\xfb\xff", "-_8", 2},
};

static void vectors(void **state)
{
	char text[16];
	uint8_t data[16];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ntmc_base64url_encode(rows[i].data, rows[i].len, text);
		assert_string_equal(text, rows[i].text);
		assert_int_equal(strlen(text), NTMC_BASE64URL_LEN(rows[i].len));
		assert_int_equal(ntmc_base64url_decode(text, data, rows[i].len),
				 0);
		assert_memory_equal(data, rows[i].data, rows[i].len);
		/* neither longer nor shorter than it is */
		assert_int_equal(
			ntmc_base64url_decode(text, data, rows[i].len + 1),
			-NTM_EDECODE);
		if (rows[i].len)
			assert_int_equal(ntmc_base64url_decode(text, data,
							       rows[i].len - 1),
					 -NTM_EDECODE);
	}
}

static void refused(void **state)
{
	static const char *const bad[] = {"Zh",	 "Zg==", "Z+",	"Z/",  "Z ",
					  " Zg", "Z",	 "Zg=", "Zg\n"};
	uint8_t data[4];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(ntmc_base64url_decode(bad[i], data, 1),
				 -NTM_EDECODE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors),
		cmocka_unit_test(refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
