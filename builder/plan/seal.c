#include "plan/seal.h"

const char *const seal_action_names[] = {
    [SEAL_REMOVE] = "remove", [SEAL_REMOVE_FILE] = "remove", [SEAL_EMPTY] = "empty",
    [SEAL_CLEAR] = "clear",   [SEAL_LOGS] = "empty",
};

const struct seal_item seal_items[] = {
    {SEAL_EMPTY, "/etc/machine-id", "identity"},
    {SEAL_REMOVE_FILE, "/var/lib/dbus/machine-id", "identity"},
    {SEAL_REMOVE, "/etc/ssh/ssh_host_*", "host key"},
    {SEAL_REMOVE, "/etc/dropbear/dropbear_*_host_key", "host key"},
    /* random seeds: clones that share one can guess each other's keys */
    {SEAL_REMOVE, "/var/lib/systemd/random-seed", "random seed"},
    {SEAL_REMOVE, "/var/lib/systemd/credential.secret", "random seed"},
    {SEAL_REMOVE, "/var/lib/random-seed", "random seed"},
    {SEAL_REMOVE, "/var/lib/urandom/random-seed", "random seed"},
    {SEAL_REMOVE, "/var/lib/misc/random-seed", "random seed"},
    {SEAL_CLEAR, "/var/lib/seedrng", "random seed"},
    {SEAL_REMOVE, "/boot/loader/random-seed", "random seed"},
    {SEAL_REMOVE, "/boot/efi/loader/random-seed", "random seed"},
    {SEAL_REMOVE, "/efi/loader/random-seed", "random seed"},
    /* the first boot's state, and what it writes */
    {SEAL_CLEAR, "/var/lib/cloud", "the first boot's state"},
    {SEAL_REMOVE, "/etc/netplan/50-cloud-init.yaml", "the first boot's state"},
    {SEAL_REMOVE, "/etc/network/interfaces.d/50-cloud-init*", "the first boot's state"},
    {SEAL_REMOVE, "/etc/NetworkManager/system-connections/cloud-init-*", "the first boot's state"},
    {SEAL_REMOVE, "/etc/udev/rules.d/70-persistent-net.rules", "the first boot's state"},
    /* the network's */
    {SEAL_CLEAR, "/var/lib/dhcp", "the network's state"},
    {SEAL_CLEAR, "/var/lib/dhclient", "the network's state"},
    {SEAL_CLEAR, "/var/lib/dhcpcd", "the network's state"},
    {SEAL_REMOVE, "/etc/dhcpcd.duid", "the network's state"},
    {SEAL_REMOVE, "/etc/dhcpcd.secret", "the network's state"},
    {SEAL_REMOVE, "/var/lib/NetworkManager/*.lease", "the network's state"},
    {SEAL_REMOVE, "/var/lib/NetworkManager/secret_key", "the network's state"},
    {SEAL_REMOVE, "/var/lib/NetworkManager/seen-bssids", "the network's state"},
    {SEAL_REMOVE, "/var/lib/NetworkManager/timestamps", "the network's state"},
    /* services that know this machine */
    {SEAL_REMOVE, "/etc/popularity-contest.conf", "a service's identity"},
    {SEAL_CLEAR, "/var/lib/ubuntu-advantage/private", "a service's identity"},
    /* logs, after the journal, whose folders are named by machine-id */
    {SEAL_CLEAR, "/var/log/journal", "log"},
    {SEAL_LOGS, "/var/log", "log"},
    /* package managers' caches and old copies */
    {SEAL_CLEAR, "/var/lib/apt/lists", "cache or old copy"},
    {SEAL_CLEAR, "/var/cache/apt/archives", "cache or old copy"},
    {SEAL_REMOVE, "/var/cache/apt/*.bin", "cache or old copy"},
    {SEAL_CLEAR, "/var/cache/apk", "cache or old copy"},
    {SEAL_CLEAR, "/var/cache/dnf", "cache or old copy"},
    {SEAL_CLEAR, "/var/cache/yum", "cache or old copy"},
    {SEAL_REMOVE, "/var/lib/dpkg/*-old", "cache or old copy"},
    {SEAL_REMOVE, "/var/cache/debconf/*-old", "cache or old copy"},
    {SEAL_REMOVE, "/var/cache/ldconfig/aux-cache", "cache or old copy"},
    /* what people leave behind */
    {SEAL_CLEAR, "/tmp", "leftover"},
    {SEAL_CLEAR, "/var/tmp", "leftover"},
    {SEAL_CLEAR, "/run", "leftover"},
    {SEAL_REMOVE, "/root/.*_history", "leftover"},
    {SEAL_REMOVE, "/root/.lesshst", "leftover"},
    {SEAL_REMOVE, "/root/.viminfo", "leftover"},
    {SEAL_REMOVE, "/home/*/.*_history", "leftover"},
};
const size_t seal_item_count = COUNT(seal_items);
