#include "base/no_network.h"

#include <endian.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define IF_NOT(value, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 0, (skip))
#define IF(value, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), (skip), 0)
#define RETURN(value) BPF_STMT(BPF_RET | BPF_K, (value))

bool no_network(void)
{
#if defined(ARCHITECTURE) && __BYTE_ORDER == __LITTLE_ENDIAN
    struct sock_filter code[] = {
        LOAD(arch),
        IF_NOT(ARCHITECTURE, 7),
        LOAD(nr),
        IF_NOT(SYS_socket, 5),
        LOAD(args[0]),
        IF(AF_INET, 4),
        IF(AF_INET6, 3),
        IF(AF_NETLINK, 2),
        IF(AF_PACKET, 1),
        RETURN(SECCOMP_RET_ALLOW),
        RETURN(SECCOMP_RET_ERRNO | EAFNOSUPPORT),
    };
    const struct sock_fprog program = {.len = COUNT(code), .filter = code};
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
#else
    return false;
#endif
}
