/* SPDX-License-Identifier: MIT */
/* test_program - what can be preloaded, told from the file alone */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "wrappers/program.h"

static char dir[] = "/tmp/test_program.XXXXXX";

static const char *file_make(const char *name, const void *data, size_t len,
			     mode_t mode)
{
	static char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), (ssize_t)len);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
	return path;
}

struct elf_file {
	Elf64_Ehdr eh;
	Elf64_Phdr ph[2];
};

static struct elf_file elf_make(uint32_t type_of_second)
{
	struct elf_file f;

	memset(&f, 0, sizeof(f));
	memcpy(f.eh.e_ident, ELFMAG, SELFMAG);
	f.eh.e_ident[EI_CLASS] = ELFCLASS64;
	f.eh.e_phoff = sizeof(f.eh);
	f.eh.e_phentsize = sizeof(f.ph[0]);
	f.eh.e_phnum = 2;
	f.ph[0].p_type = PT_LOAD;
	f.ph[1].p_type = type_of_second;
	return f;
}

static enum program_kind kind_of(const char *path)
{
	char real[PATH_MAX];

	return program_inspect(path, real, sizeof(real));
}

static void dynamic_static_foreign(void **state)
{
	struct elf_file dynamic = elf_make(PT_INTERP);
	struct elf_file fixed = elf_make(PT_LOAD);
	struct elf_file narrow = elf_make(PT_INTERP);

	(void)state;
	narrow.eh.e_ident[EI_CLASS] = ELFCLASS32;
	assert_int_equal(
		kind_of(file_make("dynamic", &dynamic, sizeof(dynamic), 0755)),
		PROGRAM_DYNAMIC);
	assert_int_equal(
		kind_of(file_make("static", &fixed, sizeof(fixed), 0755)),
		PROGRAM_STATIC);
	assert_int_equal(
		kind_of(file_make("narrow", &narrow, sizeof(narrow), 0755)),
		PROGRAM_FOREIGN);
	assert_int_equal(kind_of(file_make("text", "hello", 5, 0755)),
			 PROGRAM_FOREIGN);
	assert_int_equal(kind_of("/nonexistent"), PROGRAM_FOREIGN);
	assert_int_equal(kind_of("/bin/sh"), PROGRAM_DYNAMIC);
}

static void truncated_at_every_byte(void **state)
{
	struct elf_file f = elf_make(PT_INTERP);
	size_t len;

	(void)state;
	for (len = 0; len < sizeof(f); len++)
		assert_int_equal(kind_of(file_make("short", &f, len, 0755)),
				 PROGRAM_FOREIGN);
}

static void script_names_its_interpreter(void **state)
{
	struct elf_file fixed = elf_make(PT_LOAD);
	char text[PATH_MAX + 16], real[PATH_MAX];
	const char *path = file_make("interp", &fixed, sizeof(fixed), 0755);
	int n = snprintf(text, sizeof(text), "#! %s -x\n", path);

	(void)state;
	assert_int_equal(
		program_inspect(file_make("script", text, (size_t)n, 0755),
				real, sizeof(real)),
		PROGRAM_STATIC);
	assert_non_null(strstr(real, "/interp"));
	/* A script that names itself ends too. */
	n = snprintf(text, sizeof(text), "#!%s/self\n", dir);
	assert_int_equal(kind_of(file_make("self", text, (size_t)n, 0755)),
			 PROGRAM_FOREIGN);
}

static void setuid_of_another(void **state)
{
	struct elf_file f = elf_make(PT_INTERP);
	const char *path = file_make("suid", &f, sizeof(f), 0755);

	(void)state;
	/* Our own set-user-ID file changes nothing, so the loader trusts us. */
	assert_int_equal(chmod(path, 04755), 0);
	assert_int_equal(kind_of(path), PROGRAM_DYNAMIC);
	if (geteuid() != 0) {
		struct stat st;

		/* In a user namespace its owner may look like us. */
		if (stat("/usr/bin/passwd", &st) == 0 &&
		    (st.st_mode & S_ISUID) && st.st_uid != geteuid())
			assert_int_equal(kind_of("/usr/bin/passwd"),
					 PROGRAM_SETUID);
		return;
	}
	assert_int_equal(chown(path, 12345, 12345), 0);
	assert_int_equal(chmod(path, 04755), 0);
	assert_int_equal(kind_of(path), PROGRAM_SETUID);
}

static void find_like_execvp(void **state)
{
	struct elf_file f = elf_make(PT_INTERP);
	char path[PATH_MAX], want[PATH_MAX];

	(void)state;
	file_make("tool", &f, sizeof(f), 0755);
	file_make("data", &f, sizeof(f), 0644);
	snprintf(want, sizeof(want), "%s/tool", dir);
	setenv("PATH", dir, 1);
	assert_int_equal(program_find("tool", path, sizeof(path)), 0);
	assert_string_equal(path, want);
	assert_int_equal(program_find("data", path, sizeof(path)), -NTM_EPERM);
	assert_int_equal(program_find("none", path, sizeof(path)),
			 -NTM_ENOTFOUND);
	assert_int_equal(program_find("", path, sizeof(path)), -NTM_ENOTFOUND);
	assert_int_equal(program_find(want, path, sizeof(path)), 0);
	assert_int_equal(program_find("tool", path, 4), -NTM_ENOTFOUND);
}

static int teardown(void **state)
{
	char cmd[PATH_MAX];

	(void)state;
	snprintf(cmd, sizeof(cmd), "exec /bin/rm -rf %s", dir);
	return system(cmd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dynamic_static_foreign),
		cmocka_unit_test(truncated_at_every_byte),
		cmocka_unit_test(script_names_its_interpreter),
		cmocka_unit_test(setuid_of_another),
		cmocka_unit_test(find_like_execvp),
	};

	if (!mkdtemp(dir))
		return 1;
	return cmocka_run_group_tests(tests, NULL, teardown);
}
