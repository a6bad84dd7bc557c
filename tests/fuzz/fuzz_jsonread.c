/* SPDX-License-Identifier: MIT */
/* fuzz_jsonread - any bytes as JSON read in place: what jansson reads is read as the same */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/jsonread.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* as @j says, and it must be right */
static void same(struct jsonread *r, const json_t *j)
{
	const char *key;
	size_t n = 0;

	if (json_is_array(j)) {
		while (jsonread_element(r, &n))
			same(r, json_array_get(j, n - 1));
		if (n != json_array_size(j))
			abort();
	} else if (json_is_object(j)) {
		while ((key = jsonread_member(r, &n)))
			same(r, json_object_get(j, key));
		if (n != json_object_size(j))
			abort();
	} else if (json_is_string(j)) {
		if (strcmp(jsonread_string(r), json_string_value(j)) != 0)
			abort();
	} else if (json_is_integer(j)) {
		if (jsonread_number(r) != json_integer_value(j))
			abort();
	} else if (json_is_boolean(j)) {
		if (jsonread_bool(r) != json_is_true(j))
			abort();
	} else {
		jsonread_skip(r);
	}
	if (r->bad)
		abort();
}

/* by what each value begins with */
static void walk(struct jsonread *r, unsigned int depth)
{
	size_t n = 0;

	switch (*r->at) {
	case '[':
		while (depth && jsonread_element(r, &n))
			walk(r, depth - 1);
		break;
	case '{':
		while (depth && jsonread_member(r, &n))
			walk(r, depth - 1);
		break;
	case '"':
		jsonread_string(r);
		break;
	case 't':
		jsonread_bool(r);
		break;
	case 'n':
		jsonread_skip(r);
		break;
	default:
		jsonread_number(r);
	}
	if (!depth)
		jsonread_skip(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size), *copy;
	struct jsonread r;
	json_t *j;

	if (!text)
		return 0;
	j = json_loads(text, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
	copy = strdup(text);
	if (j && copy) {
		jsonread_begin(&r, copy);
		same(&r, j);
		if (!jsonread_end(&r))
			abort();
	}
	free(copy);
	json_decref(j);
	copy = strdup(text);
	if (copy) {
		jsonread_begin(&r, copy);
		jsonread_skip(&r);
		(void)jsonread_end(&r);
	}
	free(copy);
	jsonread_begin(&r, text);
	walk(&r, 64);
	(void)jsonread_end(&r);
	free(text);
	return 0;
}
