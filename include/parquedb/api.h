/// parquedb/api.h: how every public function is declared, and which library this is.
#ifndef PQDB_API_H
#define PQDB_API_H

#if defined(__GNUC__)
#define PQDB_API __attribute__((visibility("default")))
#else
#define PQDB_API
#endif

#ifdef __cplusplus
#define PQDB_BEGIN extern "C" {
#define PQDB_END }
#else
#define PQDB_BEGIN
#define PQDB_END
#endif

#define PQDB_VERSION_MAJOR 0
#define PQDB_VERSION_MINOR 1
#define PQDB_VERSION_PATCH 0

PQDB_BEGIN
/// "0.1.0" of the library that is linked, which may be newer than this header.
PQDB_API const char *pqdb_version(void);
PQDB_END

#endif
