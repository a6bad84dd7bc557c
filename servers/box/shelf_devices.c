/* SPDX-License-Identifier: MIT */
/* shelf_devices - the devices that the box knows, and their prekeys */
#include <string.h>

#include "common/log.h"
#include "servers/box/shelf_impl.h"

const char *shelf_account(const char *fqdn)
{
	const char *dot = strchr(fqdn, '.');

	return dot ? dot + 1 : fqdn;
}

int shelf_device_get(struct shelf *s, const char *fqdn, uint8_t *fp,
		     size_t *fp_len, int64_t *number)
{
	int r;

	store_bind_text(s->store, DEVICE_GET, 1, fqdn);
	r = store_step(s->store, DEVICE_GET);
	if (r <= 0)
		return r;
	*fp_len = store_blob(s->store, DEVICE_GET, 0, fp, NTMC_FP_LEN);
	*number = store_int(s->store, DEVICE_GET, 1);
	store_reset(s->store, DEVICE_GET);
	return 1;
}

int shelf_forget(struct shelf *s, const char *fqdn)
{
	static const enum shelf_statement all[] = {
		PREKEYS_DELETE, KEYS_FORGET, KEYS_ORPHANED, ENTRIES_FORGET,
		DEVICE_DELETE};
	bool had = false;
	int r = 0;

	for (size_t i = 0; !r && i < sizeof(all) / sizeof(all[0]); i++) {
		store_bind_text(s->store, all[i], 1, fqdn);
		r = store_run(s->store, all[i]);
		had = had || (!r && store_changes(s->store));
	}
	if (!r && !had)
		return -NTM_ENOTFOUND;
	return r ? r : shelf_touch(s, fqdn);
}

static int prekey_put(struct shelf *s, const char *fqdn,
		      const struct shelf_prekey *p)
{
	store_bind_text(s->store, PREKEY_PUT, 1, fqdn);
	store_bind_blob(s->store, PREKEY_PUT, 2, p->id, sizeof(p->id));
	store_bind_blob(s->store, PREKEY_PUT, 3, p->key, sizeof(p->key));
	store_bind_int(s->store, PREKEY_PUT, 4, p->not_before);
	store_bind_int(s->store, PREKEY_PUT, 5, p->not_after);
	store_bind_blob(s->store, PREKEY_PUT, 6, p->sig, sizeof(p->sig));
	store_bind_blob(s->store, PREKEY_PUT, 7, p->cert, p->cert_len);
	return store_run(s->store, PREKEY_PUT);
}

int shelf_put_device(struct shelf *s, const struct shelf_device *d)
{
	uint8_t fp[NTMC_FP_LEN];
	size_t fp_len = 0;
	int64_t number;
	int r = shelf_device_get(s, d->fqdn, fp, &fp_len, &number);

	if (r > 0 && fp_len == NTMC_FP_LEN && memcmp(fp, d->fp, NTMC_FP_LEN)) {
		log_info("shelf",
			 "%s is another device now: what the one "
			 "before had is forgotten",
			 d->fqdn);
		r = shelf_forget(s, d->fqdn);
	}
	if (r < 0)
		return r;
	store_bind_text(s->store, DEVICE_PUT, 1, d->fqdn);
	store_bind_text(s->store, DEVICE_PUT, 2, shelf_account(d->fqdn));
	store_bind_blob(s->store, DEVICE_PUT, 3, d->fp, NTMC_FP_LEN);
	r = store_run(s->store, DEVICE_PUT);
	store_bind_text(s->store, PREKEYS_DELETE, 1, d->fqdn);
	if (!r)
		r = store_run(s->store, PREKEYS_DELETE);
	for (size_t i = 0; !r && i < d->n; i++)
		r = prekey_put(s, d->fqdn, &d->prekeys[i]);
	return r ? r
		 : shelf_touch(s, d->fqdn); /* the DC knows of it from now */
}
