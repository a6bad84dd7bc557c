/* SPDX-License-Identifier: MIT */
/* accounts_withdrawals - identities that the DC has yet to hear are withdrawn */
#include <string.h>

#include "servers/as/accounts_impl.h"

int accounts_queue_withdrawal(struct accounts *a, const void *fps, size_t n,
			      bool release)
{
	store_bind_blob(a->store, WITHDRAWAL_ADD, 1, fps, n * NTMC_FP_LEN);
	store_bind_int(a->store, WITHDRAWAL_ADD, 2, release);
	return store_run(a->store, WITHDRAWAL_ADD);
}

int accounts_withdraw_all(struct accounts *a, const char *name, bool release)
{
	uint8_t fps[ACCOUNTS_BATCH_MAX][NTMC_FP_LEN];
	struct device d;
	size_t n = 0;
	int r;

	store_bind_text(a->store, DEVICES_OF, 1, name);
	while ((r = store_step(a->store, DEVICES_OF)) == 1) {
		accounts_device_read(a, DEVICES_OF, &d);
		if (d.revoked && !release)
			continue;
		memcpy(fps[n++], d.fp, NTMC_FP_LEN);
		if (n < ACCOUNTS_BATCH_MAX)
			continue;
		r = accounts_queue_withdrawal(a, fps, n, release);
		if (r) {
			store_reset(a->store, DEVICES_OF);
			return r;
		}
		n = 0;
	}
	if (!r && n)
		r = accounts_queue_withdrawal(a, fps, n, release);
	return r;
}

int accounts_withdrawal_next(struct accounts *a, int64_t after,
			     struct withdrawal *out)
{
	size_t len;
	int r;

	store_bind_int(a->store, WITHDRAWAL_NEXT, 1, after);
	r = store_step(a->store, WITHDRAWAL_NEXT);
	if (r <= 0)
		return r ? r : -NTM_ENOTFOUND;
	out->id = store_int(a->store, WITHDRAWAL_NEXT, 0);
	len = store_blob(a->store, WITHDRAWAL_NEXT, 1, out->fps,
			 sizeof(out->fps));
	out->n =
		(len < sizeof(out->fps) ? len : sizeof(out->fps)) / NTMC_FP_LEN;
	out->release = store_int(a->store, WITHDRAWAL_NEXT, 2);
	store_reset(a->store, WITHDRAWAL_NEXT);
	return 0;
}

int accounts_withdrawal_done(struct accounts *a, int64_t id)
{
	store_bind_int(a->store, WITHDRAWAL_DONE, 1, id);
	return store_run(a->store, WITHDRAWAL_DONE);
}

int accounts_withdrawal_settled(struct accounts *a,
				const uint8_t fp[static NTMC_FP_LEN])
{
	int r;

	store_bind_blob(a->store, WITHDRAWAL_OF, 1, fp, NTMC_FP_LEN);
	r = store_step(a->store, WITHDRAWAL_OF);
	if (r == 1)
		store_reset(a->store, WITHDRAWAL_OF);
	return r == 1 ? -NTM_EAGAIN : r;
}
