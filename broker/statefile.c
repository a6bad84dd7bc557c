/* SPDX-License-Identifier: MIT */
/* statefile - messages of state.proto as files: whole, atomic, 0600 */
#include "broker/statefile.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "libntmcrypto/ntmcrypto.h"

static int path_join(const char *dir, const char *name, char path[PATH_MAX])
{
	int n = snprintf(path, PATH_MAX, "%s/%s", dir, name);

	return n < 0 || n >= PATH_MAX ? -NTM_EINVAL : 0;
}

int statefile_load(const char *dir, const char *name,
		   const ProtobufCMessageDescriptor *desc,
		   ProtobufCMessage **out)
{
	ProtobufCMessage *msg;
	char path[PATH_MAX];
	uint8_t *data;
	size_t len;
	int err;

	err = path_join(dir, name, path);
	if (!err)
		err = file_read_private(path, STATEFILE_MAX, &data, &len);
	if (err)
		return err;
	msg = protobuf_c_message_unpack(desc, NULL, len, data);
	file_free(data, len);
	if (!msg)
		return -NTM_EDECODE;
	*out = msg;
	return 0;
}

int statefile_save(const char *dir, const char *name,
		   const ProtobufCMessage *msg)
{
	size_t len = protobuf_c_message_get_packed_size(msg);
	char path[PATH_MAX];
	uint8_t *data;
	int err;

	err = path_join(dir, name, path);
	if (err)
		return err;
	if (len > STATEFILE_MAX)
		return -NTM_ESTORE;
	data = malloc(len + 1);
	if (!data)
		return -NTM_ENOMEM;
	protobuf_c_message_pack(msg, data);
	err = file_write(path, data, len, 0600);
	ntmc_wipe(data, len);
	free(data);
	return err;
}

void statefile_remove(const char *dir, const char *name)
{
	char path[PATH_MAX];

	if (!path_join(dir, name, path))
		unlink(path);
}

void statefile_free(ProtobufCMessage *msg)
{
	const ProtobufCFieldDescriptor *f;
	ProtobufCBinaryData *b;

	if (!msg)
		return;
	for (unsigned int i = 0; i < msg->descriptor->n_fields; i++) {
		f = &msg->descriptor->fields[i];
		if (f->type != PROTOBUF_C_TYPE_BYTES ||
		    f->label == PROTOBUF_C_LABEL_REPEATED)
			continue;
		b = (void *)((char *)msg + f->offset);
		if (b->data)
			ntmc_wipe(b->data, b->len);
	}
	protobuf_c_message_free_unpacked(msg, NULL);
}

size_t statefile_addr_put(const struct addr *a,
			  uint8_t buf[static STATEFILE_ADDR_MAX])
{
	size_t len;
	const uint8_t *ip = addr_ip(a, &len);

	buf[0] = addr_port(a) >> 8;
	buf[1] = addr_port(a) & 0xff;
	if (len)
		memcpy(buf + 2, ip, len);
	return len + 2;
}

int statefile_addr_get(const ProtobufCBinaryData *data, struct addr *out)
{
	if (data->len < 2 ||
	    addr_from_ip(data->data + 2, data->len - 2,
			 (uint16_t)(data->data[0] << 8 | data->data[1]), out))
		return -NTM_EDECODE;
	return 0;
}
