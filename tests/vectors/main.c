/* SPDX-License-Identifier: MIT */
/* main - prints docs/vectors.txt */
#include "tests/vectors/vectors.h"

int main(void)
{
	vectors_write(stdout);
	return fflush(stdout) || ferror(stdout);
}
