/* SPDX-License-Identifier: MIT */
/* program - can this file be run with a preloaded library? */
#include "wrappers/program.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define SCRIPT_DEPTH_MAX 4 /* as the kernel: scripts naming scripts */
#define PHDRS_MAX	 64

static bool is_executable(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
	       access(path, X_OK) == 0;
}

int program_find(const char *name, char *path, size_t size)
{
	const char *dirs = getenv("PATH"), *end;
	int err = -NTM_ENOTFOUND;

	if (!*name)
		return -NTM_ENOTFOUND;
	if (strchr(name, '/')) {
		if ((size_t)snprintf(path, size, "%s", name) >= size)
			return -NTM_ENOTFOUND;
		if (is_executable(path))
			return 0;
		return access(path, F_OK) == 0 ? -NTM_EPERM : -NTM_ENOTFOUND;
	}
	for (dirs = dirs ? dirs : "/usr/local/bin:/usr/bin:/bin"; dirs;
	     dirs = *end ? end + 1 : NULL) {
		end = strchrnul(dirs, ':');
		if ((size_t)snprintf(path, size, "%.*s%s%s", (int)(end - dirs),
				     dirs, end == dirs ? "./" : "/",
				     name) >= size)
			continue;
		if (is_executable(path))
			return 0;
		if (access(path, F_OK) == 0)
			err = -NTM_EPERM;
	}
	return err;
}

/* The interpreter of "#!" in @head; false when this is no script. */
static bool script_interpreter(char *head, char *path, size_t size)
{
	char *p = head + 2;

	if (strncmp(head, "#!", 2))
		return false;
	p[strcspn(p, "\n")] = '\0';
	p += strspn(p, " \t");
	p[strcspn(p, " \t")] = '\0';
	return *p && (size_t)snprintf(path, size, "%s", p) < size;
}

static enum program_kind elf_kind(int fd, const Elf64_Ehdr *eh)
{
	Elf64_Phdr ph[PHDRS_MAX];
	size_t want;
	int i;

	if (eh->e_ident[EI_CLASS] != ELFCLASS64 ||
	    eh->e_phentsize != sizeof(ph[0]) || eh->e_phnum > PHDRS_MAX)
		return PROGRAM_FOREIGN;
	want = eh->e_phnum * sizeof(ph[0]);
	if (pread(fd, ph, want, (off_t)eh->e_phoff) != (ssize_t)want)
		return PROGRAM_FOREIGN;
	for (i = 0; i < eh->e_phnum; i++)
		if (ph[i].p_type == PT_INTERP)
			return PROGRAM_DYNAMIC;
	return PROGRAM_STATIC;
}

static enum program_kind privileged_kind(int fd)
{
	struct stat st;
	char caps[64];

	if (fstat(fd, &st) == 0 &&
	    (((st.st_mode & S_ISUID) && st.st_uid != geteuid()) ||
	     ((st.st_mode & S_ISGID) && st.st_gid != getegid())))
		return PROGRAM_SETUID;
	if (fgetxattr(fd, "security.capability", caps, sizeof(caps)) > 0 &&
	    geteuid() != 0)
		return PROGRAM_CAPS;
	return PROGRAM_DYNAMIC;
}

enum program_kind program_inspect(const char *path, char *real, size_t size)
{
	union {
		char text[257];
		Elf64_Ehdr elf;
	} head;
	enum program_kind kind = PROGRAM_FOREIGN;
	int depth;

	snprintf(real, size, "%s", path);
	for (depth = 0; depth < SCRIPT_DEPTH_MAX; depth++) {
		int fd = open(real, O_RDONLY | O_CLOEXEC);
		ssize_t n;

		if (fd < 0)
			return PROGRAM_FOREIGN;
		memset(&head, 0, sizeof(head));
		n = read(fd, head.text, sizeof(head.text) - 1);
		if (n >= (ssize_t)sizeof(head.elf) &&
		    !memcmp(head.elf.e_ident, ELFMAG, SELFMAG)) {
			kind = privileged_kind(fd);
			if (kind == PROGRAM_DYNAMIC)
				kind = elf_kind(fd, &head.elf);
			close(fd);
			return kind;
		}
		close(fd);
		if (n < 3 || !script_interpreter(head.text, real, size))
			return PROGRAM_FOREIGN;
	}
	return PROGRAM_FOREIGN;
}
