/* SPDX-License-Identifier: MIT */
/* keysharing - Key Sharing: one server gives another the key of their datagrams */
#include "common/keysharing.h"

int keysharing_send(struct channel *c, const struct keysharing *k)
{
	Ntm__KeySharing body = NTM__KEY_SHARING__INIT;
	Ntm__Envelope msg = NTM__ENVELOPE__INIT;

	body.id = k->id;
	body.key = (ProtobufCBinaryData){NTMC_KEY_LEN, (uint8_t *)k->key->b};
	body.aead = k->aead;
	body.lifetime_s = k->lifetime_s;
	msg.txn = k->txn;
	msg.body_case = NTM__ENVELOPE__BODY_KEY_SHARING;
	msg.key_sharing = &body;
	return channel_send(c, &msg);
}
