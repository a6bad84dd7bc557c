# SPDX-License-Identifier: MIT
UNIT_TESTS += tests/unit/packaging/install.sh
