#pragma once
// The exchange of two names, which Swift cannot see: glibc declares it only for programs that ask for its extensions.
/// Lets two paths of one file system change places in one step. Returns 0, else errno; EINVAL where the file system cannot.
int vigil_exchange_names(const char *one, const char *other);
