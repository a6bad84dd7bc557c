/* SPDX-License-Identifier: MIT */
/* room - may more come onto the disk of the state folder? */
#include "broker/post/room.h"

#include <sys/statvfs.h>

#include "broker/post/inbox_impl.h"

int room_check(struct post *p, const struct fetching *but, uint64_t bytes,
	       uint64_t files)
{
	const struct fetching *f;
	struct statvfs v;

	for (f = p->inbox->jobs; f; f = f->next) {
		if (f == but || !f->unpack)
			continue;
		bytes += f->size - f->at;
		files += unpack_files(f->unpack);
	}
	if (statvfs(p->who.dir, &v))
		return -NTM_ESTORE;
	/* a disk that does not count its files says 0 of them */
	if (files && v.f_files && files + ROOM_SPARED_FILES > v.f_favail)
		return -NTM_ELIMIT;
	bytes += ROOM_SPARED + files * ROOM_FILE;
	return bytes < (uint64_t)v.f_bavail * v.f_frsize ? 0 : -NTM_ESTORE;
}
