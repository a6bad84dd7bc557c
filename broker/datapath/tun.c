/* SPDX-License-Identifier: MIT */
/* tun - the packets of the namespace: reads and writes with a virtio header */
#include "broker/datapath/tun.h"

#include <errno.h>
#include <linux/if_tun.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* A header of 12 bytes has two more at its end, num_buffers, unused here. */
struct tun_header {
	struct virtio_net_hdr vh;
	uint16_t num_buffers;
};

void tun_init(struct tun *tun, int fd)
{
	int size = 0;

	*tun = (struct tun){.fd = fd, .header = sizeof(struct virtio_net_hdr)};
	if (ioctl(fd, TUNGETVNETHDRSZ, &size) == 0 &&
	    size == (int)sizeof(struct tun_header))
		tun->header = sizeof(struct tun_header);
}

long tun_read(struct tun *tun, struct virtio_net_hdr *vh, uint8_t *buf)
{
	struct tun_header header;
	struct iovec iov[2] = {
		{.iov_base = &header, .iov_len = tun->header},
		{.iov_base = buf, .iov_len = TUN_PACKET_MAX},
	};
	ssize_t len;

	do {
		len = readv(tun->fd, iov, 2);
	} while (len < 0 && errno == EINTR);
	if (len < 0)
		return errno == EAGAIN ? 0 : -1;
	if (len <= (ssize_t)tun->header) {
		errno = EIO;
		return -1;
	}
	*vh = header.vh;
	return len - (long)tun->header;
}

int tun_writev(struct tun *tun, const struct virtio_net_hdr *vh,
	       struct iovec *iov, unsigned int n)
{
	struct tun_header header = {.vh = *vh};
	ssize_t len;

	iov[0].iov_base = &header;
	iov[0].iov_len = tun->header;
	do {
		len = writev(tun->fd, iov, (int)n);
	} while (len < 0 && errno == EINTR);
	return len < 0 ? errno : 0;
}

void tun_write(struct tun *tun, const struct virtio_net_hdr *vh,
	       const uint8_t *pkt, size_t len)
{
	struct iovec iov[2] = {{0}, {.iov_base = (void *)pkt, .iov_len = len}};

	if (tun_writev(tun, vh, iov, 2))
		tun->failed++;
}
