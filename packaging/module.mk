# SPDX-License-Identifier: MIT
# packaging - install, uninstall

INSTALL_BIN := ntm-run ntm ntm-group ntm-broker ntm-server
INSTALL_LIBEXEC := ntm-worker ntm-portmap ntm-post ntm-member ntm-exit
MAN1 := wrappers/ntm-run.1 wrappers/ntm.1 wrappers/ntm-group.1 broker/ntm-broker.1 preload/libntm.so.1
MAN3 := wrappers/ntmclient.3
MAN5 := servers/ntm-server.conf.5
MAN8 := servers/ntm-server.8
DOCS := README.md INSTALL LICENSE $(wildcard docs/*)
MANDIR := $(PREFIX)/share/man
DOCDIR := $(PREFIX)/share/doc/ntmobile
UNITDIR := $(PREFIX)/lib/systemd/system
EMPTIED := libexec/ntm libexec lib/systemd/system lib/systemd lib/pkgconfig share/doc \
           $(addprefix share/man/,man1 man3 man5 man8) \
           $(if $(filter /usr /usr/local,$(PREFIX)),,bin lib include share/man share)

install: all
	umask 022; install -d $(DESTDIR)$(PREFIX)/{bin,lib,libexec/ntm} \
		$(DESTDIR)$(MANDIR)/man{1,3,5,8} $(DESTDIR)$(DOCDIR) \
		$(DESTDIR)$(UNITDIR) $(DESTDIR)$(DOCDIR)/apparmor
	install -m 755 $(addprefix $(O)/bin/,$(INSTALL_BIN)) $(DESTDIR)$(PREFIX)/bin/
	install -m 755 $(addprefix $(O)/bin/,$(INSTALL_LIBEXEC)) \
		$(DESTDIR)$(PREFIX)/libexec/ntm/
	install -m 644 $(LIBNTM_INSTALLED) $(DESTDIR)$(PREFIX)/lib/
	install -m 644 $(MAN1) $(DESTDIR)$(MANDIR)/man1/
	install -m 644 $(MAN3) $(DESTDIR)$(MANDIR)/man3/
	install -m 644 $(MAN5) $(DESTDIR)$(MANDIR)/man5/
	install -m 644 $(MAN8) $(DESTDIR)$(MANDIR)/man8/
	install -m 644 $(DOCS) $(DESTDIR)$(DOCDIR)/
	umask 022; install -d $(DESTDIR)$(PREFIX)/include $(DESTDIR)$(PREFIX)/lib/pkgconfig
	install -m 644 wrappers/ntmclient.h $(DESTDIR)$(PREFIX)/include/
	install -m 644 $(CLIENT_LIB) $(DESTDIR)$(PREFIX)/lib/
	ln -sf libntmclient.so.0 $(DESTDIR)$(PREFIX)/lib/libntmclient.so
	umask 022; sed 's|@PREFIX@|$(PREFIX)|g; s|@VERSION@|$(VERSION)|g' \
		packaging/ntmclient.pc \
		> $(DESTDIR)$(PREFIX)/lib/pkgconfig/ntmclient.pc
	umask 022; sed 's|@PREFIX@|$(PREFIX)|g' packaging/ntm-server.service \
		> $(DESTDIR)$(UNITDIR)/ntm-server.service
	umask 022; sed 's|@PREFIX@|$(PREFIX)|g' packaging/apparmor/ntm-broker \
		> $(DESTDIR)$(DOCDIR)/apparmor/ntm-broker
	@# Only the system's own folders are ld.so's; a home PREFIX has `ntm env`.
	@if [ -z "$(DESTDIR)" ] && [ "$$(id -u)" = 0 ]; then ldconfig; fi
	@if [ -z "$(DESTDIR)" ] && ! command -v ntm >/dev/null; then \
		echo "$(PREFIX)/bin is not in your PATH; add it: export PATH=\"$(PREFIX)/bin:\$$PATH\""; fi

uninstall:
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/bin/,$(INSTALL_BIN))
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/libexec/ntm/,$(INSTALL_LIBEXEC))
	rm -f $(DESTDIR)$(PREFIX)/lib/libntm.so \
		$(DESTDIR)$(PREFIX)/lib/libntmclient.so{,.0} \
		$(DESTDIR)$(PREFIX)/lib/pkgconfig/ntmclient.pc \
		$(DESTDIR)$(PREFIX)/include/ntmclient.h
	rm -f $(addprefix $(DESTDIR)$(MANDIR)/man1/,$(notdir $(MAN1)))
	rm -f $(addprefix $(DESTDIR)$(MANDIR)/man3/,$(notdir $(MAN3)))
	rm -f $(addprefix $(DESTDIR)$(MANDIR)/man5/,$(notdir $(MAN5)))
	rm -f $(addprefix $(DESTDIR)$(MANDIR)/man8/,$(notdir $(MAN8)))
	rm -f $(DESTDIR)$(UNITDIR)/ntm-server.service
	rm -rf $(DESTDIR)$(DOCDIR)
	@# Folders go where nothing else is in them; those every system has stay.
	@cd $(DESTDIR)$(PREFIX) 2>/dev/null || exit 0; \
	for dir in $(EMPTIED); do \
		rmdir --ignore-fail-on-non-empty $$dir 2>/dev/null || :; done
	@if [ -z "$(DESTDIR)" ] && [ "$$(id -u)" = 0 ]; then ldconfig; fi
