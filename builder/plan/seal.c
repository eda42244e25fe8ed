#include "plan/seal.h"

const char *const seal_action_names[] = {
    [SEAL_REMOVE] = "remove", [SEAL_REMOVE_FILE] = "remove", [SEAL_EMPTY] = "empty",
    [SEAL_CLEAR] = "clear",   [SEAL_LOGS] = "empty",
};

const struct seal_item seal_items[] = {
    {SEAL_EMPTY, "/etc/machine-id", "the machine's identity"},
    {SEAL_REMOVE_FILE, "/var/lib/dbus/machine-id", "the machine's identity"},
    {SEAL_REMOVE, "/etc/ssh/ssh_host_*", "host keys"},
    {SEAL_REMOVE, "/etc/dropbear/dropbear_*_host_key", "host keys"},
    /* random seeds: clones that share one can guess each other's keys */
    {SEAL_REMOVE, "/var/lib/systemd/random-seed", "random seeds"},
    {SEAL_REMOVE, "/var/lib/systemd/credential.secret", "random seeds"},
    {SEAL_REMOVE, "/var/lib/random-seed", "random seeds"},
    {SEAL_REMOVE, "/var/lib/urandom/random-seed", "random seeds"},
    {SEAL_REMOVE, "/var/lib/misc/random-seed", "random seeds"},
    {SEAL_CLEAR, "/var/lib/seedrng", "random seeds"},
    {SEAL_REMOVE, "/boot/loader/random-seed", "random seeds"},
    {SEAL_REMOVE, "/boot/efi/loader/random-seed", "random seeds"},
    {SEAL_REMOVE, "/efi/loader/random-seed", "random seeds"},
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
    {SEAL_REMOVE, "/etc/popularity-contest.conf", "services' identity"},
    {SEAL_CLEAR, "/var/lib/ubuntu-advantage/private", "services' identity"},
    /* logs, after the journal, whose folders are named by machine-id */
    {SEAL_CLEAR, "/var/log/journal", "logs"},
    {SEAL_LOGS, "/var/log", "logs"},
    /* package managers' caches and old copies */
    {SEAL_CLEAR, "/var/lib/apt/lists", "caches and old copies"},
    {SEAL_CLEAR, "/var/cache/apt/archives", "caches and old copies"},
    {SEAL_REMOVE, "/var/cache/apt/*.bin", "caches and old copies"},
    {SEAL_CLEAR, "/var/cache/apk", "caches and old copies"},
    {SEAL_CLEAR, "/var/cache/dnf", "caches and old copies"},
    {SEAL_CLEAR, "/var/cache/yum", "caches and old copies"},
    {SEAL_REMOVE, "/var/lib/dpkg/*-old", "caches and old copies"},
    {SEAL_REMOVE, "/var/cache/debconf/*-old", "caches and old copies"},
    {SEAL_REMOVE, "/var/cache/ldconfig/aux-cache", "caches and old copies"},
    /* what people leave behind */
    {SEAL_CLEAR, "/tmp", "leftovers"},
    {SEAL_CLEAR, "/var/tmp", "leftovers"},
    {SEAL_CLEAR, "/run", "leftovers"},
    {SEAL_REMOVE, "/root/.*_history", "leftovers"},
    {SEAL_REMOVE, "/root/.lesshst", "leftovers"},
    {SEAL_REMOVE, "/root/.viminfo", "leftovers"},
    {SEAL_REMOVE, "/home/*/.*_history", "leftovers"},
};
const size_t seal_item_count = COUNT(seal_items);
