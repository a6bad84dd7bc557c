/* SPDX-License-Identifier: MIT */
/*
 * fetching - one item on its way here
 *
 * Theory of operation
 *
 * T from our box, K from the CS, and with it the blob where that is small, else the blob
 * from the CS; then it is verified and on
 * the disk, and only then confirmed to the CS and taken off the box's list. Each
 * result is in the store before the next question. A confirmation that is made
 * twice is the same confirmation.
 *
 * What fails for good (not sealed to us, not signed by whom it says, a path that
 * leads outside) is refused: the CS is told the code, so that the sender sees it.
 * What a person can mend (a changed key, a domain that is not known) is held.
 */
#include "broker/post/fetching.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/post/prekeys.h"
#include "common/log.h"

const char *fetching_refusal(int err)
{
	switch (-err) {
	case NTM_EAUTH:
		return "what came is not what its sender sent; ask for it "
		       "again";
	case NTM_EDECODE:
		return "it breaks a rule for items (a name or size that must "
		       "not be); nothing of it was kept";
	case NTM_EEXPIRED:
		return "it is sealed to a key of this device that is gone; ask "
		       "its sender to send it again";
	default:
		return err_text(err);
	}
}

static void held_by_pin(struct fetching *f, int err)
{
	char text[FQDN_MAX + 160];

	if (err == -NTM_EUNVERIFIED)
		snprintf(text, sizeof(text),
			 "%s is a new device of a verified "
			 "account; `ntm verify` it, then "
			 "`ntm receive` with the number",
			 f->sender);
	else
		snprintf(text, sizeof(text),
			 "its sender's key differs from "
			 "the one known before; if that is "
			 "right, `ntm forget %s` lets it in",
			 f->sender);
	fetching_state(f, IN_HELD, err, text);
}

static void failed(struct fetching *f, int err)
{
	switch (-err) {
	case NTM_EPIN:
	case NTM_EUNVERIFIED:
		held_by_pin(f, err);
		break;
	case NTM_ECERT:
	case NTM_ECONSTRAINT:
		fetching_state(f, IN_HELD, err,
			       "the sender's certificate is of no domain that "
			       "is allowed here; see `ntm allow`");
		break;
	case NTM_EEXPIRED:
		if (!post_clock_agrees(f->post)) {
			fetching_later(f, -NTM_ECLOCK, POST_CLOCK_TEXT, 0);
			break;
		}
		/* fall through */
	case NTM_EAUTH:
	case NTM_EDECODE:
	case NTM_EVERSION:
		fetching_state(f, IN_REFUSED, err, fetching_refusal(err));
		break;
	default:
		fetching_later(f, err, NULL, 0);
	}
}

/* An answer that is no success; @gone: 404 means that it is withdrawn */
static void refused(struct fetching *f, const struct web_answer *a, bool gone)
{
	bool again;
	int err = web_error(a, &again);

	if (gone && !a->err && a->status == 404)
		fetching_gone(f);
	else
		fetching_later(f, err, web_text(a), a->retry_s);
}

/* --- K
 * ------------------------------------------------------------------------------------ */

int fetching_key_keep(struct fetching *f)
{
	struct store *st = f->post->store;

	store_bind_int(st, IN_KEY, 1, f->id);
	store_bind_blob(st, IN_KEY, 2, f->k.b, sizeof(f->k.b));
	store_bind_blob(st, IN_KEY, 3, f->signer, sizeof(f->signer));
	return store_run(st, IN_KEY);
}

int fetching_key(struct fetching *f, const uint8_t *wrapped, size_t len)
{
	struct post *p = f->post;
	struct item_names names = {f->item, f->sender, p->who.fqdn};
	uint8_t id[PREKEY_ID_LEN], pub[NTMC_KEY_LEN];
	struct ntmc_key prekey;
	struct ntmc_cert cert;
	int err = item_key_prekey(wrapped, len, id);

	if (err)
		return err;
	err = prekeys_find(p->prekeys, id, &prekey, pub);
	if (err)
		return err == -NTM_ENOTFOUND ? -NTM_EEXPIRED : err;
	err = item_key_unwrap(p->env, p->who.trust, &names, &prekey, pub,
			      &p->agreed, wrapped, len, &f->k, &cert);
	ntmc_key_clear(&prekey);
	if (!err)
		err = post_pin(p, f->sender, cert.ed_pub);
	if (err)
		return err;
	memcpy(f->signer, cert.ed_pub, sizeof(f->signer));
	f->has_key = true;
	return 0;
}

/* Two seals off, and who made the inner one */
static int key_open(struct fetching *f, const uint8_t *sealed, size_t len)
{
	uint8_t wrapped[ITEM_SEALED_MAX];
	size_t n = 0;
	int err;

	err = item_temporal_open(&f->t, f->item, sealed, len, wrapped, &n);
	if (!err)
		err = fetching_key(f, wrapped, n);
	return err ? err : fetching_key_keep(f);
}

static void on_key(void *arg, const struct web_answer *a)
{
	struct fetching *f = arg;
	uint8_t sealed[ITEM_SEALED_MAX], hash[NTMC_HASH_LEN];
	char text[NTMC_BASE64URL_LEN(NTMC_HASH_LEN) + 3];
	const char *data = json_string_value(json_object_get(a->json, "data"));
	bool again;
	long len;
	int err;

	f->call = NULL;
	if (web_error(a, &again)) {
		refused(f, a, true);
		return;
	}
	len = post_binary_any(a->json, "key", sealed, sizeof(sealed));
	if (len < 0) {
		failed(f, -NTM_EDECODE);
		return;
	}
	ntmc_sha256(sealed, (size_t)len, hash);
	ntmc_base64url_encode(hash, sizeof(hash), text);
	err = strcmp(text, f->key_hash) ? -NTM_EAUTH
					: key_open(f, sealed, (size_t)len);
	if (err)
		failed(f, err);
	else if (data)
		fetching_given(f, data);
	else
		fetching_step(f);
}

static int ask_key(struct fetching *f)
{
	char path[128];
	struct post_ask ask = {.server = &f->cs,
			       .method = "GET",
			       .path = path,
			       .together = true,
			       .bearer = f->ticket};

	if (f->size <= WEB_TOGETHER_BYTES)
		ask.more[0] = "NTM-With: data";
	snprintf(path, sizeof(path), "/v1/keys/%s", f->key_hash);
	return post_ask(f->post, &ask, on_key, f, &f->call);
}

/* --- T
 * ------------------------------------------------------------------------------------ */

static void on_temporal(void *arg, const struct web_answer *a)
{
	struct fetching *f = arg;
	uint8_t hash[NTMC_HASH_LEN];
	char text[NTMC_BASE64URL_LEN(NTMC_HASH_LEN) + 3];
	bool again;
	int err;

	f->call = NULL;
	if (web_error(a, &again)) {
		refused(f, a, false);
		return;
	}
	err = post_binary_get(a->json, "key", f->t.b, sizeof(f->t.b));
	if (!err) {
		item_temporal_hash(&f->t, hash);
		ntmc_base64url_encode(hash, sizeof(hash), text);
		err = strcmp(text, f->temporal) ? -NTM_EAUTH : 0;
	}
	if (err)
		fetching_later(f, err, "the box gave another key", 0);
	else if ((err = ask_key(f)))
		fetching_later(f, err, NULL, 0);
}

static int ask_temporal(struct fetching *f)
{
	char path[128];
	struct post_ask ask = {.method = "GET", .path = path, .together = true};

	if (!*f->temporal)
		return -NTM_EAGAIN; /* the list will have it */
	snprintf(path, sizeof(path), "/v1/temporal-keys/%s", f->temporal);
	return post_ask(f->post, &ask, on_temporal, f, &f->call);
}

/* --- the end
 * ------------------------------------------------------------------------------ */

static void on_off_list(void *arg, const struct web_answer *a)
{
	struct fetching *f = arg;
	bool again;
	int err = web_error(a, &again);

	f->call = NULL;
	if (err && again)
		refused(f, a, false);
	else
		fetching_done(f);
}

static int ask_off_list(struct fetching *f)
{
	return inbox_off_list(f->post, f->entry, on_off_list, f, &f->call);
}

void fetching_unlist(struct fetching *f)
{
	int err = ask_off_list(f);

	if (err)
		fetching_later(f, err, NULL, 0);
}

static void on_confirmed(void *arg, const struct web_answer *a)
{
	struct fetching *f = arg;
	bool again;
	int err = web_error(a, &again);

	f->call = NULL;
	/* a CS that knows nothing of it any more needs no word either */
	if (err && again)
		refused(f, a, false);
	else
		fetching_unlist(f);
}

static int ask_confirm(struct fetching *f)
{
	struct post_ask ask = {.server = &f->cs,
			       .method = "POST",
			       .path = "/v1/confirmations",
			       .together = true,
			       .bearer = f->ticket};
	json_t *j = json_pack("{s:s, s:i}", "hash", f->data_hash, "code",
			      in_refused(f->state) ? f->code : 0);
	int err;

	if (f->has_receipt)
		json_object_set_new(j, "receipt",
				    post_binary(f->receipt, RECEIPT_LEN));
	ask.json = j;
	err = j ? post_ask(f->post, &ask, on_confirmed, f, &f->call)
		: -NTM_ENOMEM;
	json_decref(j);
	return err;
}

void fetching_step(struct fetching *f)
{
	int err = 0;

	if (f->state != IN_LISTED)
		err = ask_confirm(f);
	else if (!f->has_key)
		err = ask_temporal(f);
	else
		fetching_data(f);
	if (err)
		fetching_later(f, err, NULL, 0);
}
