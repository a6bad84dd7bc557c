/* SPDX-License-Identifier: MIT */
/* exchange_words - what is said to the box, and what its answer says */
#include <string.h>

#include "common/log.h"
#include "servers/cs/exchange_impl.h"

/* --- what is said ----------------------------------------------------------------------- */

static json_t *base64(const uint8_t *data, size_t len)
{
	char text[NTMC_BASE64URL_LEN(NTMC_HASH_LEN) + 4];

	ntmc_base64url_encode(data, len, text);
	return json_string(text);
}

json_t *exchange_own(const struct exchange *x)
{
	json_t *list = json_array();
	char text[ADDR_TEXT_LEN];

	for (size_t i = 0; i < x->conf.n_own; i++)
		json_array_append_new(
			list, json_string(addr_format(&x->conf.own[i], text)));
	return json_pack("{s:s, s:o}", "name", x->conf.name, "addresses", list);
}

static json_t *to_json(struct exchange *x, const struct ask *asks, size_t n,
		       const struct item *item)
{
	json_t *to = json_array(), *entry;
	struct receiver r;

	if (asks->kind == ASK_STATUS) {
		json_array_append_new(to,
				      json_pack("{s:s}", "name", item->sender));
		return to;
	}
	for (size_t i = 0; i < n; i++) {
		/* forgotten, or answered, a moment ago: so is its row */
		if (items_receiver(x->items, item->number, asks[i].name, &r) ||
		    !r.has_ticket)
			continue;
		entry = json_pack("{s:s, s:o}", "name", r.name, "ticket",
				  base64(r.ticket, ITEMS_TICKET_LEN));
		if (asks->kind == ASK_KEY)
			json_object_set_new(entry, "hash",
					    base64(r.key_hash, NTMC_HASH_LEN));
		json_array_append_new(to, entry);
		ntmc_wipe(&r, sizeof(r));
	}
	return to;
}

/* Is @e the data of the item whose keys are @before, for the same receivers? Those of
 * small items become due at once. */
static bool goes_with(const struct question *q, const struct entry *before,
		      const struct entry *e)
{
	const struct ask *key = &q->asks[before->first],
			 *data = &q->asks[e->first];

	if (!before->said || before->with || key->kind != ASK_KEY ||
	    data->kind != ASK_DATA || key->number != data->number ||
	    before->n != e->n)
		return false;
	for (size_t i = 0; i < e->n; i++)
		if (strcmp(key[i].name, data[i].name))
			return false;
	return true;
}

/* @j, of an item's keys, says the blob as well. Return: false: there is none */
static bool add_blob(struct exchange *x, const struct ask *ask, json_t *j)
{
	struct item item;

	return !items_get(x->items, ask->number, &item) && item.has_hash &&
	       !json_object_set_new(j, "blob",
				    json_pack("{s:o, s:I}", "hash",
					      base64(item.hash, NTMC_HASH_LEN),
					      "size", (json_int_t)item.size));
}

/* Return: NULL: nothing is to be said any more */
static json_t *entry_json(struct exchange *x, const struct ask *asks, size_t n,
			  json_t *own)
{
	static const char *const kinds[] = {[ASK_KEY] = "key",
					    [ASK_DATA] = "data",
					    [ASK_STATUS] = "status"};
	enum ask_kind kind = asks->kind;
	struct item item;
	json_t *j, *to;

	if (items_get(x->items, asks->number, &item))
		return NULL;
	to = to_json(x, asks, n, &item);
	if (!json_array_size(to)) {
		json_decref(to);
		return NULL;
	}
	j = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:O, s:o}",
		      "kind", kinds[kind], "from",
		      kind == ASK_STATUS ? asks->name : item.sender,
		      "application", item.application, "service", item.service,
		      "item", item.item, "message", item.message, "expires",
		      (json_int_t)item.expires, "since",
		      (json_int_t)item.created, "cs", own, "to", to);
	if (j && kind == ASK_DATA) {
		json_object_set_new(j, "hash",
				    base64(item.hash, NTMC_HASH_LEN));
		json_object_set_new(j, "size",
				    json_integer((json_int_t)item.size));
	}
	return j;
}

bool exchange_body(struct exchange *x, struct question *q)
{
	json_t *own = exchange_own(x), *list = json_array(), *all, *one = NULL;

	for (size_t i = 0; i < q->n_entries; i++) {
		struct entry *e = &q->entries[i];

		e->with = i && goes_with(q, e - 1, e) &&
			  add_blob(x, &q->asks[e->first], one);
		e->said = e->with;
		if (e->with)
			continue;
		one = entry_json(x, &q->asks[e->first], e->n, own);
		e->said = one &&
			  !json_array_append_new(
				  list, json_pack("{s:s, s:s, s:o}", "method",
						  "POST", "path",
						  "/v1/exchange", "json", one));
	}
	all = json_array_size(list) ? json_pack("{s:O}", "requests", list)
				    : NULL;
	q->body = all ? json_dumps(all, JSON_COMPACT) : NULL;
	json_decref(all);
	json_decref(list);
	json_decref(own);
	return q->body;
}

/* --- what is answered -------------------------------------------------------------------- */

bool exchange_may_pass(int code)
{
	switch (code) {
	case NTM_ENONAME:
	case NTM_ENOTOURS:
	case NTM_EPERM:
	case NTM_EPOLICY:
	case NTM_EINVAL:
	case NTM_ETOOBIG:
	case NTM_EDISABLED:
		return false;
	default:
		return true;
	}
}

static void set_codes(struct question *q, const struct entry *e, int code)
{
	for (size_t i = 0; i < e->n; i++)
		q->codes[e->first + i] = code;
}

/* the code for each that was asked for. Return: false: there are none */
static bool read_results(struct question *q, const struct entry *e,
			 const json_t *answer)
{
	const json_t *results = json_object_get(answer, "results"), *one;
	const struct ask *asks = &q->asks[e->first];
	size_t k;

	json_array_foreach(results, k, one)
	{
		const char *to = json_string_value(json_object_get(one, "to"));
		const json_t *code = json_object_get(one, "code");
		json_int_t n = json_integer_value(code);

		for (size_t i = 0; to && json_is_integer(code) && i < e->n; i++)
			if (asks->kind == ASK_STATUS ||
			    !strcmp(asks[i].name, to))
				q->codes[e->first + i] =
					n >= 0 && n <= UINT16_MAX ? (int)n
								  : CODE_LATER;
	}
	return json_is_array(results);
}

/* Return: 0: the box has decided; or as exchange_read() */
static int read_entry(struct question *q, const struct entry *e,
		      const json_t *answer)
{
	int status = (int)json_integer_value(json_object_get(answer, "status"));

	set_codes(q, e, CODE_LATER);
	switch (status) {
	case 200:
		return read_results(q, e, json_object_get(answer, "json"))
			       ? 0
			       : -NTM_ESERVER;
	case 400:
	case 413:
		set_codes(q, e, status == 400 ? NTM_EINVAL : NTM_ETOOBIG);
		log_warn("cs",
			 "the box refuses what it is told of item %lld: it "
			 "says %d",
			 (long long)q->asks[e->first].number, status);
		return 0;
	case 429:
	case 503:
		set_codes(q, e, CODE_NONE);
		return -NTM_EUNREACHABLE;
	default:
		return -NTM_ESERVER;
	}
}

/* What was said with the entry before: a box that does not know that is asked again.
 * Return: as read_entry() */
static int read_with(struct question *q, const struct entry *e,
		     const json_t *answer)
{
	const json_t *json = json_object_get(answer, "json");

	set_codes(q, e, CODE_NONE);
	if (!json_is_true(json_object_get(json, "blob")))
		return -NTM_ESERVER;
	set_codes(q, e, CODE_LATER);
	return read_results(q, e, json) ? 0 : -NTM_ESERVER;
}

int exchange_read(struct question *q)
{
	json_t *j = json_loadb(q->got, q->got_len, 0, NULL);
	const json_t *answers = json_object_get(j, "answers");
	size_t k = 0, n = 0, decided = 0;
	int r = 0;

	for (size_t i = 0; i < q->n_entries; i++) {
		set_codes(q, &q->entries[i],
			  q->entries[i].said ? CODE_LATER : CODE_NONE);
		n += q->entries[i].said && !q->entries[i].with;
	}
	if (json_array_size(answers) != n) {
		json_decref(j);
		return -NTM_ESERVER;
	}
	for (size_t i = 0; i < q->n_entries; i++) {
		const struct entry *e = &q->entries[i];
		int one = -NTM_ESERVER;

		if (e->with)
			one = read_with(q, e, json_array_get(answers, k - 1));
		else if (e->said)
			one = read_entry(q, e, json_array_get(answers, k++));

		decided += !one;
		if (one == -NTM_EUNREACHABLE)
			r = one;
	}
	json_decref(j);
	return r ? r : decided ? 0 : -NTM_ESERVER;
}
