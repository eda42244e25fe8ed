#include "plan/seal.h"

const char *const seal_action_names[] = {"empty", "remove", "clear"};

const struct seal_item seal_items[] = {
    /* machine-id(5): empty, never absent, or the first boot is not seen as one. */
    {SEAL_EMPTY, "/etc/machine-id", "identity"},
    {SEAL_REMOVE, "/var/lib/dbus/machine-id", "identity"},
    {SEAL_REMOVE, "/etc/ssh/ssh_host_*", "host keys"},
    {SEAL_REMOVE, "/var/lib/systemd/random-seed", "random seed"},
    {SEAL_REMOVE, "/var/lib/systemd/credential.secret", "random seed"},
    {SEAL_REMOVE, "/var/lib/urandom/random-seed", "random seed"},
    {SEAL_REMOVE, "/var/lib/misc/random-seed", "random seed"},
    {SEAL_CLEAR, "/var/lib/seedrng", "random seed"},
    {SEAL_CLEAR, "/var/lib/cloud", "cloud-init's state"},
    {SEAL_CLEAR, "/var/lib/dhcp", "leases"},
    {SEAL_CLEAR, "/var/lib/dhclient", "leases"},
    {SEAL_CLEAR, "/var/lib/dhcpcd", "leases"},
    {SEAL_REMOVE, "/var/lib/NetworkManager/*.lease", "leases"},
    {SEAL_CLEAR, "/var/log", "logs"},
    {SEAL_CLEAR, "/var/cache/apt", "package cache"},
    {SEAL_CLEAR, "/var/lib/apt/lists", "package cache"},
    {SEAL_CLEAR, "/var/cache/apk", "package cache"},
    {SEAL_REMOVE, "/var/cache/ldconfig/aux-cache", "cache"},
    {SEAL_REMOVE, "/var/cache/debconf/*-old", "cache"},
    {SEAL_REMOVE, "/var/lib/dpkg/*-old", "cache"},
    {SEAL_REMOVE, "/root/.ash_history", "history"},
    {SEAL_REMOVE, "/root/.bash_history", "history"},
    {SEAL_CLEAR, "/run", "temporary files"},
    {SEAL_CLEAR, "/tmp", "temporary files"},
    {SEAL_CLEAR, "/var/tmp", "temporary files"},
};
const size_t seal_item_count = COUNT(seal_items);
